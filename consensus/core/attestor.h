/* Attestations: signatures on pre-block digests, and the certificates they make (CONSENSUS 10).
 *
 * A node signs pre-block i only when it has made it itself, which needs every batch of it durable
 * here; (i, D) is durable before the signature leaves. Another D for a signed i is impossible: a
 * failed CHECK for our own, an alarm for a certificate.
 *
 * A certificate of j covers all i <= j, by the hash chain. Signatures are kept in a ring above the
 * last certified index, one per (index, authority), and verified only when the stake behind our own
 * digest of that index could reach Q. A certificate that arrives for an index not made here yet is
 * kept, newest only, until it is.
 *
 * How far the others are is what they say themselves (attestations, positions), without a proof: some
 * honest node is at least as far as stake V claims to be. */
#ifndef CONSENSUS_CORE_ATTESTOR_H
#define CONSENSUS_CORE_ATTESTOR_H

#include "common/committee.h"
#include "common/types.h"
#include "consensus/core/region.h"
#include "consensus/core/wire.h"

/* The ring: at least ATTESTATION_WINDOW indexes; a power of two. */
#define ATTESTOR_RING 1024u
_Static_assert(ATTESTOR_RING >= ATTESTATION_WINDOW, "the window fits the ring");

struct attestation_cell {
    uint64_t index; /* 0: empty */
    struct digest digest;
    struct signature signature;
    bool verified;
};

/* A pre-block and its certificate. The header comes along because the signatures cover nothing but its
 * digest: an index beside it would be anybody's word. */
struct preblock_proof {
    uint64_t index; /* of the header; 0: none */
    struct preblock header;
    struct digest digest; /* of the header */
    struct quorum quorum;
};

/* Invariants (attestor_check): certified <= made; a kept certificate that is ahead is above made.
 */
struct attestor {
    const struct committee *committee;
    authority_t self;
    uint64_t made;                  /* last pre-block made here */
    uint64_t certified;             /* last one with a certificate */
    struct attestation_cell *cells; /* ATTESTOR_RING x count; own cells hold what we signed */
    struct digest *digests;   /* by index mod ATTESTOR_RING: our own, of (made - ring, made] */
    struct preblock *headers; /* the same */
    uint64_t *claims;         /* by authority: the highest index it has said that it made */
    struct preblock_proof
        newest; /* the certificate of `certified`, index 0 when it is not in memory */
    struct preblock_proof ahead; /* verified, of an index above made */
};

void attestor_place(struct attestor *attestor,
                    struct region *region,
                    const struct committee *committee,
                    authority_t self);

/* Our own pre-block: made + 1, or anything higher at recovery. */
void attestor_note_made(struct attestor *attestor, const struct preblock *header);

/* Notes what we signed or a verified one; else an unverified one from its signer. OK,
 * ERR_DUPLICATE, ERR_STALE (at or below the last certified), ERR_AHEAD (beyond the window: ask for
 * the certificate), ERR_CONFLICT (another digest before; the first is kept). */
enum status attestor_add(struct attestor *attestor,
                         const struct wire_attestation *attestation,
                         bool verified);

/* What we signed for `index`, or NULL. */
const struct attestation_cell *attestor_own(const struct attestor *attestor, uint64_t index);

/* Makes the certificate of `index` if it is above the last certified, made here, and the signatures
 * allow it; verifies as few as possible. `ret_bad`: signers of bad ones, which are removed. */
bool attestor_certify(struct attestor *attestor, struct authority_set *ret_bad, uint64_t index);

/* Takes a certificate whose quorum was verified. OK: `newest` is it now. ERR_AHEAD: kept until the
 * pre-block is made. ERR_STALE: not newer than what is known. ERR_CONFLICT: certifies another
 * digest than ours: alarm. */
enum status attestor_take_proof(struct attestor *attestor, const struct preblock_proof *proof);

/* After attestor_note_made: when the kept certificate is of the newest index, takes it. As above;
 * ERR_NOT_FOUND when there is none for it. */
enum status attestor_settle_ahead(struct attestor *attestor);

/* The authority says that it has made `index`. */
void attestor_note_claim(struct attestor *attestor, authority_t authority, uint64_t index);

/* The highest index that others with stake V claim, or that a certificate names: some honest node has
 * made it. Never below `made`. */
uint64_t attestor_network(const struct attestor *attestor);

void attestor_check(const struct attestor *attestor);

#endif
