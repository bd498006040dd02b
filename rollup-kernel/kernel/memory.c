/* memcpy and its kin for wasm32 without the bulk-memory feature, which the rollup's engines accept
 * only by accident. Byte loops: the engines turn them into good code, and each byte counts in the
 * binary. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *memcpy(void *to, const void *from, size_t len)
{
    return memmove(to, from, len);
}

void *memmove(void *to, const void *from, size_t len)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    if (target <= source) {
        for (size_t i = 0; i < len; i++) {
            target[i] = source[i];
        }
    } else {
        while (len > 0) {
            len--;
            target[len] = source[len];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t len)
{
    uint8_t *target = to;

    for (size_t i = 0; i < len; i++) {
        target[i] = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *left = a;
    const uint8_t *right = b;

    for (size_t i = 0; i < len; i++) {
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}
