/* A valid exported stream with real keys, for the tests of proto/verify.h: four authorities, six
 * rounds, five sub-DAGs in six pre-blocks.
 *
 *     pre-block   leader   certificates            what is special
 *     1           2.0      1.0 1.1 1.2 1.3 2.0     a batch of two pages; a payload of two batches
 *     2           3.1      2.1 2.2 3.1             2.2 names a batch again: skipped
 *     3, 4        4.2      3.0 3.2 3.3 | 4.2       one sub-DAG, cut; 4.2 names a batch again
 *     5           5.3      4.0 4.1 4.3 5.3         most payloads are empty
 *     6           6.0      5.0 5.1 5.2 6.0
 *
 * "r.a" is the vertex of author a in round r. Nobody names 2.3, so no leader reaches it. Items are
 * plain values: a test copies one, changes it, signs it again if the lie needs that, and encodes
 * it. */
#ifndef TESTS_UNIT_VERIFY_WORLD_H
#define TESTS_UNIT_VERIFY_WORLD_H

#include "common/committee.h"
#include "common/preblock.h"

#define WORLD_NODES        4u
#define WORLD_ROUNDS       6u
#define WORLD_ITEMS        6u
#define WORLD_CERTIFICATES 6u
#define WORLD_PAYLOAD      3u

struct world_item {
    uint64_t id;
    struct certificate leader;
    uint32_t count;
    struct certificate certificates[WORLD_CERTIFICATES];
    uint32_t batches[WORLD_CERTIFICATES]; /* how many of them each payload has */
    struct bytes payloads[WORLD_CERTIFICATES][WORLD_PAYLOAD];
    struct preblock preblock;
    bool certified;
    struct quorum quorum; /* of the pre-block */
};

/* Makes the committee and the stream, once; both live as long as the process. */
const struct committee *verify_world_committee(void);
const struct world_item *verify_world_item(uint32_t number); /* 1 .. WORLD_ITEMS */

/* The vertex of an author in a round, certified. */
const struct certificate *verify_world_vertex(round_t round, authority_t author);

/* Signatures by all authorities but `without` (WORLD_NODES: by all of them). */
void verify_world_sign_header(struct certificate *certificate, authority_t without);
void verify_world_sign_preblock(struct world_item *item, authority_t without);

/* Counts and manifest of the item's batches into its pre-block. */
void verify_world_count(struct world_item *item);

/* The item as exporter.SubDag; a view of memory that the next call overwrites. */
struct bytes verify_world_encode(const struct world_item *item);

#endif
