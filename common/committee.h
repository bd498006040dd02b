/* The committee: who signs, with what stake, and the three thresholds.
 *
 *   N = total stake,  F = floor((N - 1) / 3),  Q = N - F (quorum),  V = F + 1 (one honest member)
 *
 * The committee record is network (32 random bytes, made once) | epoch u64 | vec<key 32, network
 * key 32, stake u32>, BCS. Its BLAKE2b-256 is the committee digest: it goes into the mesh hello,
 * the store, the pre-block chain (it is `previous` of pre-block 1) and the kernel. Addresses are
 * not part of it. Rules: CONSENSUS 1 (docs/protocol.md, committee). */
#ifndef COMMON_COMMITTEE_H
#define COMMON_COMMITTEE_H

#include "common/bytes.h"
#include "common/types.h"

struct member {
    struct public_key key;         /* signs headers, votes, attestations */
    struct public_key network_key; /* pinned in the mesh's TLS certificates */
    uint32_t stake;
};

/* Invariants (committee_check): 1 <= count <= AUTHORITIES_MAX; stakes >= 1 with a sum below 2^32;
 * no duplicate key; the smallest quorum has at most QUORUM_SIGNERS_MAX signers; total, quorum,
 * validity and digest agree with the members. */
struct committee {
    uint8_t network[32];
    uint64_t epoch;
    uint32_t count;
    struct member members[AUTHORITIES_MAX];
    /* derived */
    stake_t total;
    stake_t quorum;   /* Q */
    stake_t validity; /* V */
    struct digest digest;
};

/* Checks the members and fills the derived fields. ERR_CONFIG when a rule above is broken. */
enum status committee_finish(struct committee *committee);

/* Bytes of the record: at most COMMITTEE_RECORD_BYTES_MAX. */
#define COMMITTEE_RECORD_BYTES_MAX (32u + 8u + 2u + AUTHORITIES_MAX * 68u)
void committee_encode(struct writer *writer, const struct committee *committee);

/* Reads a record and finishes it. ERR_MALFORMED or ERR_CONFIG. Does not ask for the end of the
 * reader. */
enum status committee_decode(struct committee *ret_committee, struct reader *reader);

/* Stake of the members of `set`; indexes at or above count do not count. */
stake_t committee_stake(const struct committee *committee, const struct authority_set *set);

/* Genesis digest of a member: BLAKE2b(committee digest || index as u16 LE). Round-1 headers name
 * exactly these, all of them, as parents. */
void committee_genesis(struct digest *ret_digest,
                       const struct committee *committee,
                       authority_t authority);

/* Checks a quorum part, cheapest first: signers ascending, known, stake >= Q, then each signature
 * over intent(scope) || digest, stopping at the first bad one. `scope` is an enum crypto_scope.
 * ERR_MALFORMED, ERR_UNKNOWN_AUTHORITY, ERR_QUORUM or ERR_SIGNATURE. */
enum status committee_verify_quorum(const struct committee *committee,
                                    int scope,
                                    const struct digest *digest,
                                    const struct quorum *quorum);

#endif
