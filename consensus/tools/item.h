/* What a listener says about one exported sub-DAG: counted in place, without copying a transaction.
 */
#ifndef CONSENSUS_TOOLS_ITEM_H
#define CONSENSUS_TOOLS_ITEM_H

#include "common/base.h"

struct item {
    uint64_t id;
    uint64_t transactions;
    uint64_t bytes;      /* of all transactions */
    uint64_t foreign;    /* transactions without a plausible time stamp */
    uint64_t latency_ms; /* sum over the stamped ones */
    uint64_t created_ms; /* between the oldest and the newest certificate */
    uint64_t rounds;     /* spanned by the certificates */
    uint64_t certificates;
    uint64_t sealed_ms;    /* from the sealing of each named batch to now_ms, summed ... */
    uint64_t sealed_count; /* ... over so many batches */
    uint64_t timestamp;    /* ms, of the pre-block; 0 when the server has none */
    bool has_digest;
    struct digest digest; /* of the pre-block */
};

/* Sees each transaction; `stamp_ms` is 0 for a foreign one. */
typedef void item_visit(void *context, struct bytes transaction, uint64_t stamp_ms);

/* Counts an encoded exporter.SubDag that arrived at `now_ms`. `visit` may be NULL. ERR_MALFORMED.
 */
enum status item_read(struct item *ret_item,
                      struct bytes subdag,
                      uint64_t now_ms,
                      item_visit *visit,
                      void *context);

#endif
