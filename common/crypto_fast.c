/* The simulator's stand-in for hashes and signatures: cheap, deterministic, and not secure.
 *
 * The hash has 256 bits and mixes well, so equal digests mean equal content in any run that does
 * not look for collisions. A signature is a function of the public key, the scope and the digest,
 * so whoever knows a public key could forge one: the simulator's adversaries are programs of ours
 * that never sign with a key that is not theirs. Never linked into anything but the simulator. */
#include "common/crypto.h"

__extension__ typedef unsigned __int128 wide;

#define LANE_A 0xa0761d6478bd642full
#define LANE_B 0xe7037ed1a0b428dbull
#define LANE_C 0x8ebc6af09c88c6e3ull
#define LANE_D 0x589965cc75374cc3ull

/* Absorbs 16 bytes at a time into four lanes; `tail` carries what did not fill a block, so that how
 * the input is cut into parts does not matter. */
struct mixer {
    uint64_t lanes[4];
    uint8_t tail[16];
    size_t tail_len;
    uint64_t total;
};

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void mixer_block(struct mixer *mixer, const uint8_t *block)
{
    uint64_t x, y;

    memcpy(&x, block, 8);
    memcpy(&y, block + 8, 8);
    uint64_t a = mixer->lanes[0] ^ x, b = mixer->lanes[1] ^ y;
    mixer->lanes[0] = fold(a ^ LANE_A, b ^ LANE_B) + mixer->lanes[2];
    mixer->lanes[1] = (b << 23 | b >> 41) + LANE_C;
    mixer->lanes[2] = fold(x ^ mixer->lanes[3], LANE_D ^ y) + a;
    mixer->lanes[3] = (mixer->lanes[3] << 17 | mixer->lanes[3] >> 47) ^ mixer->lanes[0];
}

static void mixer_begin(struct mixer *mixer)
{
    *mixer = (struct mixer){.lanes = {LANE_A, LANE_B, LANE_C, LANE_D}};
}

static void mixer_add(struct mixer *mixer, const uint8_t *data, size_t len)
{
    mixer->total += len;
    if (mixer->tail_len > 0) {
        size_t room = sizeof mixer->tail - mixer->tail_len;
        size_t take = len < room ? len : room;
        if (take > 0) memcpy(mixer->tail + mixer->tail_len, data, take);
        mixer->tail_len += take;
        if (mixer->tail_len < sizeof mixer->tail) return;
        mixer_block(mixer, mixer->tail);
        mixer->tail_len = 0;
        data += take;
        len -= take;
    }
    for (; len >= sizeof mixer->tail; data += 16, len -= 16)
        mixer_block(mixer, data);
    if (len > 0) memcpy(mixer->tail, data, len);
    mixer->tail_len = len;
}

static void mixer_end(struct digest *ret_digest, struct mixer *mixer)
{
    uint8_t last[16] = {0};

    if (mixer->tail_len > 0) memcpy(last, mixer->tail, mixer->tail_len);
    mixer_block(mixer, last);
    memcpy(last, &mixer->total, 8);
    memset(last + 8, 0x5a, 8);
    for (int i = 0; i < 3; i++)
        mixer_block(mixer, last);
    for (int i = 0; i < 4; i++) {
        uint64_t word = fold(mixer->lanes[i] ^ LANE_D, mixer->lanes[(i + 1) & 3] ^ LANE_A) ^
                        mixer->lanes[(i + 2) & 3];
        memcpy(ret_digest->bytes + 8 * i, &word, 8);
    }
}

void crypto_hash(struct digest *ret_digest, const struct bytes *parts, size_t count)
{
    struct mixer mixer;

    mixer_begin(&mixer);
    for (size_t i = 0; i < count; i++)
        mixer_add(&mixer, parts[i].data, parts[i].len);
    mixer_end(ret_digest, &mixer);
}

void crypto_hash_one(struct digest *ret_digest, const void *data, size_t len)
{
    struct bytes part = {data, len};

    crypto_hash(ret_digest, &part, 1);
}

static void signature_of(struct signature *ret_signature,
                         enum crypto_scope scope,
                         const struct digest *digest,
                         const uint8_t public[32])
{
    uint8_t signed_bytes[68] = {(uint8_t)scope, 0, 1, 'S'};
    struct digest half;

    memcpy(signed_bytes + 4, public, 32);
    memcpy(signed_bytes + 36, digest->bytes, 32);
    crypto_hash_one(&half, signed_bytes, sizeof signed_bytes);
    memcpy(ret_signature->bytes, half.bytes, 32);
    for (int i = 0; i < 32; i++)
        ret_signature->bytes[32 + i] = half.bytes[31 - i] ^ public[i];
}

void crypto_sign(struct signature *ret_signature,
                 enum crypto_scope scope,
                 const struct digest *digest,
                 const struct secret_key *key)
{
    signature_of(ret_signature, scope, digest, key->bytes + 32);
}

bool crypto_verify(enum crypto_scope scope,
                   const struct digest *digest,
                   const struct public_key *key,
                   const struct signature *signature)
{
    struct signature expected;

    signature_of(&expected, scope, digest, key->bytes);
    return memcmp(expected.bytes, signature->bytes, sizeof expected.bytes) == 0;
}

void crypto_key_pair(struct public_key *ret_public,
                     struct secret_key *ret_secret,
                     const uint8_t seed[32])
{
    uint8_t domain[33] = {'K'};
    struct digest public;

    memcpy(domain + 1, seed, 32);
    crypto_hash_one(&public, domain, sizeof domain);
    memcpy(ret_public->bytes, public.bytes, 32);
    memcpy(ret_secret->bytes, seed, 32);
    memcpy(ret_secret->bytes + 32, public.bytes, 32);
}

bool crypto_key_is_valid(const struct public_key *key)
{
    uint8_t any = 0;

    for (size_t i = 0; i < sizeof key->bytes; i++)
        any |= key->bytes[i];
    return any != 0;
}
