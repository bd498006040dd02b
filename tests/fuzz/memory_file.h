/* A file that is only in memory, for decoders that open what they read by its name: they run as deployed. */
#ifndef TESTS_FUZZ_MEMORY_FILE_H
#define TESTS_FUZZ_MEMORY_FILE_H

#include "common/base.h"

/* The path of a file of mode 0600 with exactly these bytes. One path per `number` (below MEMORY_FILES), the same
 * each time; its bytes stay until the next call with that number. */
const char *memory_file(unsigned number, const void *data, size_t len);

#define MEMORY_FILES 2u

#endif
