/* Reduction of a 512-bit number modulo the order of Ed25519's base point, under libsodium's name. One bit
 * at a time: 200 bytes of code where libsodium's unrolled one takes 3,500, for 2 % of a verification.
 * The number is public, so the time may depend on it. Checked against libsodium in tests/kernel. */
#include "common/base.h"

#define SCALAR_LIMBS 4u

/* 2^252 + 27742317777372353535851937790883648493, lowest limb first (RFC 8032, 5.1). */
static const uint64_t scalar_order[SCALAR_LIMBS] = {
    0x5812631a5cf5d3edu,
    0x14def9dea2f79cd6u,
    0,
    0x1000000000000000u,
};

/* Subtracts the order when `value` is not below it; `value` is less than twice the order. */
static void subtract_order(uint64_t *value)
{
    uint64_t difference[SCALAR_LIMBS];
    uint64_t borrow = 0;

    for (unsigned i = 0; i < SCALAR_LIMBS; i++) {
        uint64_t partial = value[i] - scalar_order[i];
        difference[i] = partial - borrow;
        borrow = (uint64_t)(value[i] < scalar_order[i]) | (uint64_t)(partial < borrow);
    }
    if (borrow == 0) memcpy(value, difference, sizeof difference);
}

void sc25519_reduce(unsigned char number[64]);
void sc25519_reduce(unsigned char number[64])
{
    uint64_t rest[SCALAR_LIMBS] = {0};

    for (unsigned bit = 512; bit-- > 0;) {
        uint64_t carry = (uint64_t)number[bit / 8] >> bit % 8 & 1u;
        for (unsigned i = 0; i < SCALAR_LIMBS; i++) {
            uint64_t top = rest[i] >> 63;
            rest[i] = rest[i] << 1 | carry;
            carry = top;
        }
        subtract_order(rest);
    }
    memcpy(number, rest, sizeof rest);
}
