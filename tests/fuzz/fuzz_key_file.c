#include "tests/fuzz/fuzz.h"

#include "common/key_file.h"
#include "tests/fuzz/memory_file.h"

/* A file that is to hold a secret: taken only as a line of 64 digits, with or without its end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t seed[KEY_SEED_BYTES];
    char hex[2 * KEY_SEED_BYTES + 1];
    struct error_line error = {""};
    enum status status = key_file_read(seed, memory_file(0, data, size), &error);

    CHECK((status == OK) == (error.text[0] == '\0'));
    CHECK(strchr(error.text, '\n') == NULL);
    if (status != OK) return 0;
    hex_encode(hex, seed, sizeof seed);
    CHECK(size == 64 || (size == 65 && data[64] == '\n'));
    for (size_t i = 0; i < 64; i++)
        CHECK(hex[i] == (data[i] >= 'A' && data[i] <= 'F' ? data[i] + 32 : data[i]));
    return 0;
}
