#include "rollup-kernel/host/base58.h"

#include <sodium.h>

#define CHECK_BYTES 4u
#define BYTES_MAX   (5u + 32u + CHECK_BYTES)

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

struct kind {
    uint8_t prefix[5];
    size_t prefix_len;
    size_t payload_len;
};

static const struct kind kinds[] = {
    [BASE58_ROLLUP] = {{0x06, 0x7c, 0x75}, 3, 20},
    [BASE58_BLOCK] = {{0x01, 0x34}, 2, 32},
    [BASE58_OPERATION] = {{0x05, 0x74}, 2, 32},
    [BASE58_MESSAGE] = {{0x03, 0xfa, 0xb3, 0xf7, 0xc4}, 5, 32},
    [BASE58_STATE] = {{0x11, 0xa5, 0xeb, 0xf0}, 4, 32},
    [BASE58_CONTRACT] = {{0x02, 0x5a, 0x79}, 3, 20},
};

static void checksum(uint8_t ret[CHECK_BYTES], const uint8_t *data, size_t len)
{
    uint8_t once[crypto_hash_sha256_BYTES], twice[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(once, data, len);
    crypto_hash_sha256(twice, once, sizeof once);
    memcpy(ret, twice, CHECK_BYTES);
}

/* Divides the big-endian number by 58 in place and returns the rest. */
static unsigned divide(uint8_t *number, size_t len)
{
    unsigned rest = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned value = rest * 256 + number[i];
        number[i] = (uint8_t)(value / 58);
        rest = value % 58;
    }
    return rest;
}

static bool is_zero(const uint8_t *number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (number[i] != 0) return false;
    }
    return true;
}

void base58_encode(char ret[BASE58_TEXT_MAX], enum base58_kind kind, const uint8_t *payload)
{
    const struct kind *is = &kinds[kind];
    uint8_t number[BYTES_MAX];
    size_t len = is->prefix_len + is->payload_len;
    char digits[BASE58_TEXT_MAX];
    size_t count = 0;

    /* No prefix begins with a zero byte, so there are no leading zeros to keep. */
    memcpy(number, is->prefix, is->prefix_len);
    memcpy(number + is->prefix_len, payload, is->payload_len);
    checksum(number + len, number, len);
    len += CHECK_BYTES;
    while (!is_zero(number, len)) {
        CHECK(count < sizeof digits - 1);
        digits[count++] = alphabet[divide(number, len)];
    }
    for (size_t i = 0; i < count; i++) {
        ret[i] = digits[count - 1 - i];
    }
    ret[count] = '\0';
}

enum status base58_decode(uint8_t *ret_payload, enum base58_kind kind, const char *text)
{
    const struct kind *is = &kinds[kind];
    const size_t len = is->prefix_len + is->payload_len;
    uint8_t number[BYTES_MAX] = {0};
    uint8_t check[CHECK_BYTES];

    /* A leading 1 is a zero byte in front of the prefix: no kind has one, so there is one text for each payload. */
    if (strlen(text) >= BASE58_TEXT_MAX || text[0] == alphabet[0]) return ERR_MALFORMED;
    for (; *text != '\0'; text++) {
        const char *digit = strchr(alphabet, *text);
        if (digit == NULL) return ERR_MALFORMED;
        unsigned carry = (unsigned)(digit - alphabet);
        for (size_t i = len + CHECK_BYTES; i-- > 0;) {
            carry += number[i] * 58u;
            number[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0) return ERR_MALFORMED;
    }
    if (memcmp(number, is->prefix, is->prefix_len) != 0) return ERR_MALFORMED;
    checksum(check, number, len);
    if (memcmp(check, number + len, CHECK_BYTES) != 0) return ERR_MALFORMED;
    memcpy(ret_payload, number + is->prefix_len, is->payload_len);
    return OK;
}
