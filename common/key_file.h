/* Files that hold one secret: the 32-byte seed of an Ed25519 key as a line of 64 hex digits. They
 * are made with mode 0600 and never overwritten, and refused when others than the owner can read
 * them. */
#ifndef COMMON_KEY_FILE_H
#define COMMON_KEY_FILE_H

#include "common/error_line.h"

#define KEY_SEED_BYTES 32u

/* A fresh seed from the system's random source. */
void key_seed_random(uint8_t ret_seed[KEY_SEED_BYTES]);

/* Makes the file and syncs it. ERR_CONFLICT when it exists, ERR_IO. */
enum status key_file_create(const char *path,
                            const uint8_t seed[KEY_SEED_BYTES],
                            struct error_line *error);

/* ERR_IO when unreadable, ERR_CONFIG when others may read it, ERR_MALFORMED when it is not a key.
 */
enum status key_file_read(uint8_t ret_seed[KEY_SEED_BYTES],
                          const char *path,
                          struct error_line *error);

#endif
