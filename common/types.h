/* The protocol's values as the programs hold them: header, vote, certificate. Their bytes are in
 * common/codec.h; their rules in docs/protocol.md. All are plain values of fixed size: they own
 * nothing and can be copied. */
#ifndef COMMON_TYPES_H
#define COMMON_TYPES_H

#include "common/base.h"
#include "common/limits.h"

/* A set of committee members. */
struct authority_set {
    uint64_t words[2];
};
_Static_assert(AUTHORITIES_MAX <= 128, "an authority set is two words");

static inline bool authority_set_has(const struct authority_set *set, authority_t authority)
{
    return (set->words[authority / 64] >> (authority % 64)) & 1;
}

static inline void authority_set_add(struct authority_set *set, authority_t authority)
{
    set->words[authority / 64] |= (uint64_t)1 << (authority % 64);
}

static inline void authority_set_remove(struct authority_set *set, authority_t authority)
{
    set->words[authority / 64] &= ~((uint64_t)1 << (authority % 64));
}

static inline bool authority_set_is_empty(const struct authority_set *set)
{
    return (set->words[0] | set->words[1]) == 0;
}

/* One entry of a header's payload: a batch by digest, the worker that holds it, when it was sealed.
 */
struct batch_info {
    struct digest digest;
    uint32_t worker;
    uint64_t created_at; /* ms since the Unix epoch */
};

/* What an authority proposes for a round. Parents are digests of certified headers of the round
 * before, ascending and distinct (for round 1, the genesis digests). */
struct header {
    authority_t author;
    round_t round;
    uint64_t epoch;
    uint64_t created_at; /* ms since the Unix epoch */
    uint32_t payload_count;
    uint32_t parents_count;
    struct batch_info payload[HEADER_BATCHES_MAX];
    struct digest parents[AUTHORITIES_MAX];
};

/* A signature on a header's digest. Round and author are hints until the header is known. */
struct vote {
    struct digest header;
    round_t round;
    authority_t author;
    authority_t voter;
    struct signature signature;
};

/* Signers ascending with one signature each, same order: the quorum part of a certificate, of a
 * header (scope 6) or of a pre-block (scope 10). */
struct quorum {
    uint32_t count;
    uint8_t signers[AUTHORITIES_MAX];
    struct signature signatures[AUTHORITIES_MAX];
};

/* A header with signatures of stake >= Q. Its identity is the header's digest. */
struct certificate {
    struct header header;
    struct quorum quorum;
};

#endif
