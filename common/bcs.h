/* Binary Canonical Serialization, the part we need: fixed-width little-endian integers and bare
 * fixed arrays come from common/bytes.h; here are ULEB128 lengths. Strict: a length that is not
 * minimal or over u32 fails the reader, so decode-then-encode is the identity. Source: BCS
 * specification. */
#ifndef COMMON_BCS_H
#define COMMON_BCS_H

#include "common/bytes.h"

/* Reads a ULEB128 length of at most `max`; fails the reader (and returns 0) when it is not minimal,
 * longer than five bytes, or larger. */
uint32_t bcs_read_length(struct reader *reader, uint32_t max);

void bcs_write_length(struct writer *writer, uint32_t length);

#endif
