/* What anybody can check of an exported stream with nothing but the committee record.
 *
 *   each certificate    well-formed header, distinct known signers of stake >= Q, every signature
 *   the leader          is the pre-block's leader; is last in its sub-DAG; reaches every other
 * vertex of the sub-DAG through parents (a sub-DAG that was cut is judged when its last piece
 * comes) the order           (round, author) ascending; no vertex twice within the window that is
 * remembered the batches         canonical; each is named by its certificate's header, in the
 * header's order the pre-block       manifest root, counts and bytes; leader, round; index and
 * chain; timestamp ascending its certificate     signers of stake >= Q, every signature over the
 * pre-block's digest
 *
 * That the leader was the one the schedule named follows from the quorum on the pre-block. A stream
 * that begins in the middle is checked from its first item on; the first item's `previous` is taken
 * as given. Rules: CONSENSUS 11 (docs/protocol.md, verifying). */
#ifndef PROTO_VERIFY_H
#define PROTO_VERIFY_H

#include "common/committee.h"
#include "common/preblock.h"

#define VERIFY_TEXT_BYTES 256u

/* Vertices remembered for "no vertex twice", over all sub-DAGs: the window of two GC depths and
 * more. */
#define VERIFY_VERTICES_MAX 32768u

struct verify;

/* `committee` outlives it. Never NULL. */
struct verify *verify_open(const struct committee *committee);
void verify_close(struct verify *verify); /* NULL is fine */

/* What was found right about one item. */
struct verify_item {
    struct preblock preblock;
    struct digest digest;
    bool certified; /* it carried its certificate, and that is valid */
};

/* Checks the next item (an encoded exporter.SubDag). `require_certificate`: an item without a
 * pre-block certificate is wrong. On failure `ret_text` (VERIFY_TEXT_BYTES) names what is wrong,
 * and where, and nothing is remembered of the item: the right one may follow. ERR_MALFORMED,
 * ERR_SIGNATURE, ERR_QUORUM, ERR_CHAIN, ERR_CONFLICT, ERR_UNKNOWN_AUTHORITY, ERR_EPOCH,
 * ERR_DUPLICATE or ERR_MISSING. */
enum status verify_next(struct verify *verify,
                        struct verify_item *ret_item,
                        char *ret_text,
                        struct bytes subdag,
                        bool require_certificate);

#endif
