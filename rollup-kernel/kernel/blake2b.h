/* BLAKE2b with a 32-byte digest and no key (RFC 7693), as a loop over twelve rounds. libsodium's
 * unrolled compression costs the kernel 5 KB; this one costs one. Checked against libsodium in
 * tests/kernel. */
#ifndef KERNEL_BLAKE2B_H
#define KERNEL_BLAKE2B_H

#include "common/base.h"

/* The fractional parts of the square roots of the first eight primes: SHA-512 starts from them, too. */
extern const uint64_t blake2b_iv[8];

struct blake2b {
    uint64_t chain[8];
    uint64_t total; /* bytes hashed, without what is in `block` */
    uint32_t used;  /* bytes waiting in `block`: a full block waits until more input comes */
    uint8_t block[128];
};

void blake2b_init(struct blake2b *state);
void blake2b_update(struct blake2b *state, const void *data, size_t len);
void blake2b_final(struct digest *ret_digest, struct blake2b *state);

#endif
