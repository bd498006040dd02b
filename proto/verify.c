#include "proto/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "common/digest_index.h"
#include "common/hash_pages.h"
#include "proto/pb.h"
#include "proto/subdag.h"

/* Vertices of one sub-DAG that may be open: one per authority and round of the window. */
#define OPEN_MAX ((2u * GC_DEPTH + 2u) * AUTHORITIES_MAX)

/* One vertex of the sub-DAG whose last piece has not come yet. */
struct open_vertex {
    struct digest digest;
    round_t round;
    authority_t author;
    uint32_t parents_count;
    struct digest *parents;
};

struct verify {
    const struct committee *committee;
    bool begun;
    struct preblock last;
    struct digest last_digest;

    struct open_vertex *open; /* pieces of the sub-DAG in progress, in order */
    size_t open_count;
    size_t open_kept; /* of earlier pieces; the rest belong to the item being checked */

    struct digest_index *seen; /* vertices of finished and open sub-DAGs */
    struct digest *seen_ring;
    size_t seen_next;
    size_t seen_count;

    char *text;
    struct certificate certificate; /* being checked */
    struct certificate leader;
    struct digest *batches; /* manifest of the item, PREBLOCK_BATCHES_MAX */
    uint32_t batches_count;
    uint64_t transactions;
    uint64_t bytes;
};

static uint8_t seen_marker;

struct verify *verify_open(const struct committee *committee)
{
    struct verify *verify = calloc(1, sizeof *verify);
    CHECK(verify != NULL);
    verify->committee = committee;
    verify->open = calloc(OPEN_MAX, sizeof *verify->open);
    verify->seen = digest_index_new();
    verify->seen_ring = calloc(VERIFY_VERTICES_MAX, sizeof *verify->seen_ring);
    verify->batches = calloc(PREBLOCK_BATCHES_MAX, sizeof *verify->batches);
    CHECK(verify->open != NULL);
    CHECK(verify->seen_ring != NULL);
    CHECK(verify->batches != NULL);
    return verify;
}

static void forget_open(struct verify *verify, size_t keep)
{
    while (verify->open_count > keep)
        free(verify->open[--verify->open_count].parents);
    verify->open_kept = keep < verify->open_kept ? keep : verify->open_kept;
}

void verify_close(struct verify *verify)
{
    if (verify == NULL) return;
    forget_open(verify, 0);
    free(verify->open);
    digest_index_free(verify->seen);
    free(verify->seen_ring);
    free(verify->batches);
    free(verify);
}

/* Writes what is wrong and returns `status`. */
__attribute__((format(printf, 3, 4))) static enum status wrong(struct verify *verify,
                                                               enum status status,
                                                               const char *format,
                                                               ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verify->text, VERIFY_TEXT_BYTES, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static enum status check_certificate(struct verify *verify,
                                     struct certificate *certificate,
                                     struct digest *ret_digest,
                                     struct bytes bytes,
                                     const char *what,
                                     uint32_t number)
{
    enum status status = subdag_read_certificate(certificate, bytes);

    if (status != OK) return wrong(verify, status, "%s %u: malformed certificate", what, number);
    status = header_validate(&certificate->header, verify->committee);
    if (status != OK)
        return wrong(verify, status, "%s %u: header is not well-formed (%s)", what, number,
                     status_text(status));
    header_digest(ret_digest, &certificate->header);
    status =
        committee_verify_quorum(verify->committee, SCOPE_HEADER, ret_digest, &certificate->quorum);
    if (status != OK)
        return wrong(verify, status, "%s %u (author %u, round %llu): certificate: %s", what, number,
                     certificate->header.author, (unsigned long long)certificate->header.round,
                     status_text(status));
    return OK;
}

static bool is_after(const struct open_vertex *previous, const struct header *header)
{
    if (previous->round != header->round) return previous->round < header->round;
    return previous->author < header->author;
}

/* Adds the certificate just checked to the sub-DAG in progress. */
static enum status open_vertex(struct verify *verify, const struct digest *digest, uint32_t number)
{
    const struct header *header = &verify->certificate.header;
    struct open_vertex *vertex;
    size_t parents_bytes = header->parents_count * sizeof(struct digest);

    if (verify->open_count > 0 && !is_after(&verify->open[verify->open_count - 1], header))
        return wrong(verify, ERR_CONFLICT, "certificate %u: out of (round, author) order", number);
    if (digest_index_get(verify->seen, digest) != NULL)
        return wrong(verify, ERR_DUPLICATE, "certificate %u: this vertex was exported before",
                     number);
    if (verify->open_count == OPEN_MAX)
        return wrong(verify, ERR_TOO_LARGE, "certificate %u: more vertices than a sub-DAG has",
                     number);
    vertex = &verify->open[verify->open_count++];
    *vertex = (struct open_vertex){.digest = *digest,
                                   .round = header->round,
                                   .author = header->author,
                                   .parents_count = header->parents_count,
                                   .parents = malloc(parents_bytes + 1)};
    CHECK(vertex->parents != NULL);
    memcpy(vertex->parents, header->parents, parents_bytes);
    return OK;
}

/* ---- batches --------------------------------------------------------------------------------- */

/* The batches of one payload against the header that must name them, in its order. */
static enum status check_payload(struct verify *verify, struct bytes payload, uint32_t number)
{
    const struct header *header = &verify->certificate.header;
    struct reader cursor = reader_make(payload.data, payload.len);
    struct bytes batch;
    uint32_t named = 0;
    size_t bytes = 0;

    while (subdag_next_batch(&batch, &cursor)) {
        struct digest digest;
        uint32_t transactions;

        if (verify->batches_count == PREBLOCK_BATCHES_MAX)
            return wrong(verify, ERR_TOO_LARGE, "payload %u: too many batches", number);
        if (batch_validate(&transactions, batch.data, batch.len) != OK)
            return wrong(verify, ERR_MALFORMED, "payload %u: batch %u is not canonical", number,
                         verify->batches_count);
        hash_pages_root(&digest, batch.data, batch.len);
        while (named < header->payload_count &&
               !digest_equal(&header->payload[named].digest, &digest))
            named++;
        if (named == header->payload_count)
            return wrong(verify, ERR_MISSING,
                         "payload %u: batch %u is not named by its certificate's header", number,
                         verify->batches_count);
        named++;
        bytes += pb_bytes_bytes(batch.len);
        verify->batches[verify->batches_count++] = digest;
        verify->transactions += transactions;
        verify->bytes += batch.len;
    }
    if (!reader_done(&cursor)) return wrong(verify, ERR_MALFORMED, "payload %u: malformed", number);
    if (bytes != payload.len)
        return wrong(verify, ERR_MALFORMED, "payload %u: holds more than batches", number);
    return OK;
}

static enum status check_vertices(struct verify *verify, const struct subdag *subdag)
{
    struct reader certificates = reader_make(subdag->bytes.data, subdag->bytes.len);
    struct reader payloads = certificates;
    struct bytes bytes;
    struct bytes payload;
    uint32_t number = 0;

    verify->batches_count = 0;
    verify->transactions = 0;
    verify->bytes = 0;
    if (subdag->certificates_count == 0) return wrong(verify, ERR_MISSING, "no certificates");
    if (subdag->payloads_count != subdag->certificates_count)
        return wrong(verify, ERR_MALFORMED, "%u payloads for %u certificates",
                     subdag->payloads_count, subdag->certificates_count);
    while (subdag_next_certificate(&bytes, &certificates)) {
        struct digest digest;
        enum status status =
            check_certificate(verify, &verify->certificate, &digest, bytes, "certificate", number);
        if (status == OK) status = open_vertex(verify, &digest, number);
        if (status != OK) return status;
        if (!subdag_next_payload(&payload, &payloads))
            return wrong(verify, ERR_MALFORMED, "payload %u: malformed", number);
        status = check_payload(verify, payload, number);
        if (status != OK) return status;
        number++;
    }
    return OK;
}

/* ---- the pre-block --------------------------------------------------------------------------- */

static enum status check_chain(struct verify *verify, const struct preblock *preblock)
{
    const struct preblock *last = &verify->last;

    if (preblock->epoch != verify->committee->epoch)
        return wrong(verify, ERR_EPOCH, "pre-block: epoch %llu",
                     (unsigned long long)preblock->epoch);
    if (preblock->index == 0) return wrong(verify, ERR_CHAIN, "pre-block: index 0");
    if (preblock->index == 1 && !digest_equal(&preblock->previous, &verify->committee->digest))
        return wrong(verify, ERR_CHAIN, "pre-block 1: previous is not the committee digest");
    if (!verify->begun) return OK;
    if (preblock->index != last->index + 1)
        return wrong(verify, ERR_CHAIN, "pre-block: index %llu after %llu",
                     (unsigned long long)preblock->index, (unsigned long long)last->index);
    if (!digest_equal(&preblock->previous, &verify->last_digest))
        return wrong(verify, ERR_CHAIN, "pre-block: previous is not the digest of the one before");
    if (preblock->timestamp <= last->timestamp)
        return wrong(verify, ERR_CHAIN, "pre-block: timestamp does not ascend");
    if (preblock->round < last->round)
        return wrong(verify, ERR_CHAIN, "pre-block: round goes back");
    return OK;
}

static enum status check_contents(struct verify *verify, const struct preblock *preblock)
{
    struct digest manifest;

    if (preblock->batches != verify->batches_count || verify->batches_count == 0)
        return wrong(verify, ERR_CONFLICT, "pre-block: %u batches, but %u came", preblock->batches,
                     verify->batches_count);
    if (preblock->transactions != verify->transactions)
        return wrong(verify, ERR_CONFLICT, "pre-block: %u transactions, but %llu came",
                     preblock->transactions, (unsigned long long)verify->transactions);
    if (preblock->bytes != verify->bytes)
        return wrong(verify, ERR_CONFLICT, "pre-block: %llu bytes, but %llu came",
                     (unsigned long long)preblock->bytes, (unsigned long long)verify->bytes);
    preblock_manifest(&manifest, verify->batches, verify->batches_count);
    if (!digest_equal(&manifest, &preblock->payload))
        return wrong(verify, ERR_CONFLICT, "pre-block: payload is not the root of its batches");
    return OK;
}

static bool is_parent_of_open(const struct verify *verify,
                              size_t above,
                              const struct digest *digest)
{
    for (size_t i = above; i < verify->open_count; i++)
        for (uint32_t j = 0; j < verify->open[i].parents_count; j++)
            if (digest_equal(&verify->open[i].parents[j], digest)) return true;
    return false;
}

/* The sub-DAG is complete: going down from the leader, each vertex must be a parent of one above
 * it. As all above it were reached in the same way, it is reached too. */
static enum status check_reach(struct verify *verify)
{
    for (size_t i = verify->open_count - 1; i > 0; i--) {
        const struct open_vertex *vertex = &verify->open[i - 1];
        if (!is_parent_of_open(verify, i, &vertex->digest))
            return wrong(verify, ERR_MISSING,
                         "vertex (author %u, round %llu): the leader does not reach it",
                         vertex->author, (unsigned long long)vertex->round);
    }
    return OK;
}

static enum status check_leader(struct verify *verify,
                                const struct subdag *subdag,
                                const struct preblock *preblock,
                                bool *ret_is_last)
{
    struct digest digest;
    const struct open_vertex *last = &verify->open[verify->open_count - 1];
    enum status status =
        check_certificate(verify, &verify->leader, &digest, subdag->leader, "leader", 0);
    if (status != OK) return status;
    if (!digest_equal(&digest, &preblock->leader))
        return wrong(verify, ERR_CONFLICT, "leader: is not the pre-block's leader");
    if (verify->leader.header.round != preblock->round)
        return wrong(verify, ERR_CONFLICT, "pre-block: round is not its leader's");
    *ret_is_last = digest_equal(&last->digest, &digest);
    if (*ret_is_last) return check_reach(verify);
    if (last->round >= preblock->round)
        return wrong(verify, ERR_CONFLICT, "leader: is not the last certificate");
    return OK;
}

static enum status check_preblock(struct verify *verify,
                                  struct verify_item *item,
                                  const struct subdag *subdag,
                                  bool require_certificate)
{
    struct reader header = reader_make(subdag->preblock_header.data, subdag->preblock_header.len);
    struct reader certificate =
        reader_make(subdag->preblock_certificate.data, subdag->preblock_certificate.len);
    struct quorum *quorum = &verify->certificate.quorum;
    enum status status;

    preblock_decode(&item->preblock, &header);
    if (!reader_done(&header)) return wrong(verify, ERR_MALFORMED, "pre-block: malformed header");
    preblock_digest(&item->digest, &item->preblock);
    if (subdag->id != item->preblock.index)
        return wrong(verify, ERR_CONFLICT, "id: %llu, but the pre-block's index is %llu",
                     (unsigned long long)subdag->id, (unsigned long long)item->preblock.index);
    item->certified = subdag->preblock_certificate.len > 0;
    if (!item->certified)
        return require_certificate ? wrong(verify, ERR_QUORUM, "pre-block certificate: missing")
                                   : OK;
    quorum_decode(quorum, &certificate);
    if (!reader_done(&certificate))
        return wrong(verify, ERR_MALFORMED, "pre-block certificate: malformed");
    status = committee_verify_quorum(verify->committee, SCOPE_PREBLOCK, &item->digest, quorum);
    if (status != OK)
        return wrong(verify, status, "pre-block certificate: %s", status_text(status));
    return OK;
}

/* ---- one item -------------------------------------------------------------------------------- */

static void remember(struct verify *verify, const struct digest *digest)
{
    struct digest *slot = &verify->seen_ring[verify->seen_next];

    if (verify->seen_count == VERIFY_VERTICES_MAX)
        (void)digest_index_remove(verify->seen, slot);
    else
        verify->seen_count++;
    *slot = *digest;
    verify->seen_next = (verify->seen_next + 1) % VERIFY_VERTICES_MAX;
    digest_index_add(verify->seen, digest, &seen_marker);
}

/* A new leader closes what an earlier one left open: only possible when the stream began in the
 * middle of a cut sub-DAG, as otherwise its last piece was judged. */
static enum status check_continues(struct verify *verify, const struct preblock *preblock)
{
    if (verify->open_kept == 0) return OK;
    if (!digest_equal(&preblock->leader, &verify->last.leader))
        return wrong(verify, ERR_MISSING, "pre-block: the sub-DAG before it never ended");
    return OK;
}

static enum status check_item(struct verify *verify,
                              struct verify_item *item,
                              bool *ret_is_last,
                              struct bytes bytes,
                              bool require_certificate)
{
    struct subdag subdag;
    enum status status = subdag_open(&subdag, bytes);

    if (status != OK) return wrong(verify, status, "item: malformed");
    status = check_preblock(verify, item, &subdag, require_certificate);
    if (status == OK) status = check_chain(verify, &item->preblock);
    if (status == OK) status = check_continues(verify, &item->preblock);
    if (status == OK) status = check_vertices(verify, &subdag);
    if (status == OK) status = check_contents(verify, &item->preblock);
    if (status == OK) status = check_leader(verify, &subdag, &item->preblock, ret_is_last);
    return status;
}

enum status verify_next(struct verify *verify,
                        struct verify_item *ret_item,
                        char *ret_text,
                        struct bytes subdag,
                        bool require_certificate)
{
    struct verify_item item;
    bool is_last = false;
    enum status status;

    verify->text = ret_text;
    status = check_item(verify, &item, &is_last, subdag, require_certificate);
    if (status != OK) {
        forget_open(verify, verify->open_kept);
        return status;
    }
    for (size_t i = verify->open_kept; i < verify->open_count; i++)
        remember(verify, &verify->open[i].digest);
    verify->open_kept = verify->open_count;
    if (is_last) forget_open(verify, 0);
    verify->begun = true;
    verify->last = item.preblock;
    verify->last_digest = item.digest;
    *ret_item = item;
    return OK;
}
