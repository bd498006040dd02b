/* Headers and votes seen, until they are a certificate.
 *
 *     slot (author, round):   first header [+ up to two others that votes of stake >= V name]
 *                             one vote per voter, by header digest
 *
 * - A header's signature by its author is also its author's vote; it was verified before it came
 *   here.
 * - The first vote of each (voter, author, round) is kept. It is verified only when the stake
 *   naming its header could reach Q, and no more are verified once Q is reached. A bad one is
 *   removed and reported, so that the voter's real vote can still come.
 * - Another header than the first enters only when votes of stake >= V name it: at least one honest
 *   voter then has it, and at most two digests can be named like that, so a slot is bounded.
 * - The window is a ring of CERTIFIER_ROUNDS rounds; a higher round takes the place of a lower one.
 *   What falls out is either certified, or so old that its vertex will hardly be ordered any more.
 *
 * Certificates are assembled by everybody; nobody waits for the author. Theory: CONSENSUS 6. */
#ifndef CONSENSUS_CORE_CERTIFIER_H
#define CONSENSUS_CORE_CERTIFIER_H

#include "common/committee.h"
#include "common/types.h"
#include "consensus/core/region.h"

/* Rounds of headers and votes kept: votes are given down to gc_round + 2, GC_DEPTH below the last
 * anchor, which a working network keeps within a few rounds of the top. A power of two. */
#define CERTIFIER_ROUNDS 64u
_Static_assert(CERTIFIER_ROUNDS > GC_DEPTH + 8, "every votable round of a working network fits");

/* The first header, and one for each of the two digests that stake >= V can name. */
#define CERTIFIER_HEADERS 3u

struct certifier_header {
    struct digest digest;
    struct signature signature; /* the author's */
    struct header *header;      /* alive as long as the slot keeps its round */
};

struct certifier_vote {
    struct digest header;
    struct signature signature;
    bool present;
    bool verified;
};

/* Invariants (certifier_check): headers_count <= CERTIFIER_HEADERS, the first is the first seen;
 * digests differ; certified implies a header with that digest. */
struct certifier_slot {
    round_t round; /* 0: never used */
    authority_t author;
    uint8_t headers_count;
    bool certified;
    bool evidence; /* two headers of its author were stored as evidence */
    bool named;    /* votes of stake >= V name a header that was unknown */
    struct certifier_header headers[CERTIFIER_HEADERS];
    struct certifier_vote *votes; /* one per authority */
};

struct certifier {
    const struct committee *committee;
    struct certifier_slot *slots; /* CERTIFIER_ROUNDS x count */
    uint64_t verified;            /* signatures of votes verified since start */
};

void certifier_place(struct certifier *certifier,
                     struct region *region,
                     const struct committee *committee);

/* The slot of (round, author) if the window holds that round, else NULL. */
struct certifier_slot *certifier_slot(const struct certifier *certifier,
                                      round_t round,
                                      authority_t author);

/* The header with this digest in the slot, or NULL. */
const struct certifier_header *certifier_find(const struct certifier_slot *slot,
                                              const struct digest *digest);

/* Adds a well-formed header whose author's signature was verified.
 *   OK             new, and the first of its slot (or an other one that votes of stake >= V name)
 *   ERR_DUPLICATE  known
 *   ERR_CONFLICT   another header is the first, and votes of stake >= V do not name this one: not
 * added ERR_STALE      below the window */
enum status certifier_add_header(struct certifier *certifier,
                                 const struct header *header,
                                 const struct digest *digest,
                                 const struct signature *signature);

/* Adds a vote of a known voter and author. `verified`: its signature is our own or was checked.
 *   OK; ERR_DUPLICATE the same again; ERR_CONFLICT the voter named another header before (ignored);
 *   ERR_STALE below the window. */
enum status certifier_add_vote(struct certifier *certifier, const struct vote *vote, bool verified);

/* Stake of the voters that name `digest` in the slot, verified or not. */
stake_t certifier_named_stake(const struct certifier *certifier,
                              const struct certifier_slot *slot,
                              const struct digest *digest);

/* A digest named by stake >= V whose header is unknown, if there is one. */
bool certifier_unknown(const struct certifier *certifier,
                       struct digest *ret_digest,
                       const struct certifier_slot *slot);

/* Makes the certificate of `digest` if its header is known, the slot is not certified yet and the
 * votes allow it. Verifies as few votes as possible. Voters with a bad signature are put into
 * `ret_bad` and their votes removed. True when `ret_certificate` was made. */
bool certifier_certify(struct certifier *certifier,
                       struct certificate *ret_certificate,
                       struct authority_set *ret_bad,
                       struct certifier_slot *slot,
                       const struct digest *digest);

void certifier_check(const struct certifier *certifier);

#endif
