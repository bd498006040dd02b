/* A fuzz driver is one function that takes any bytes and checks what must hold for all of them: the
 * decoder ends, stays inside its memory, and what it accepts encodes to the same bytes. The same
 * function is linked into libFuzzer (option `fuzz`, needs clang) and into replay_main.c, which is
 * an ordinary test. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "common/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For formats with a reader and a writer: checks that `size` bytes which decode whole come back.
 * `encode` writes what `decode` read into its own static value. */
void fuzz_round_trip(const uint8_t *data,
                     size_t size,
                     size_t bytes_max,
                     void (*decode)(struct reader *reader),
                     void (*encode)(struct writer *writer));

#endif
