#include "rollup-kernel/kernel/verify.h"

#include "common/bcs.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "rollup-kernel/kernel/storage.h"

static const uint8_t *header_at(const struct segment *segment, uint64_t index)
{
    return segment->headers + (index - segment->first) * PREBLOCK_HEADER_BYTES;
}

static void header_at_decode(struct preblock *ret_header,
                             const struct segment *segment,
                             uint64_t index)
{
    struct reader reader = reader_make(header_at(segment, index), PREBLOCK_HEADER_BYTES);

    preblock_decode(ret_header, &reader);
}

bool segment_parse(struct segment *ret_segment, struct bytes body, uint64_t epoch)
{
    struct reader reader = reader_make(body.data, body.len);

    ret_segment->count = bcs_read_length(&reader, SEGMENT_HEADERS_MAX);
    ret_segment->headers = reader.next;
    for (uint32_t i = 0; i < ret_segment->count; i++) {
        struct preblock header;
        preblock_decode(&header, &reader);
        if (i == 0) ret_segment->first = header.index;
        if (header.epoch != epoch || header.index - i != ret_segment->first) return false;
        ret_segment->last = header.index;
    }
    ret_segment->quorum = (struct bytes){reader.next, reader.left};
    /* The last index is below the first only where the numbers wrap around. */
    return !reader.failed && ret_segment->count > 0 && ret_segment->first > 0 &&
           ret_segment->last >= ret_segment->first;
}

/* Hashes the headers and checks that each names the one before. */
static bool chain_holds(struct digest *ret_last, const struct segment *segment)
{
    for (uint64_t index = segment->first;; index++) {
        struct preblock header;
        header_at_decode(&header, segment, index);
        if (index > segment->first && !digest_equal(&header.previous, ret_last)) return false;
        crypto_hash_one(ret_last, header_at(segment, index), PREBLOCK_HEADER_BYTES);
        if (index == segment->last) return true;
    }
}

static bool quorum_signs(const struct segment *segment,
                         const struct committee *committee,
                         const struct digest *digest)
{
    static struct quorum quorum;
    struct reader reader = reader_make(segment->quorum.data, segment->quorum.len);

    quorum_decode(&quorum, &reader);
    return reader_done(&reader) &&
           committee_verify_quorum(committee, SCOPE_PREBLOCK, digest, &quorum) == OK;
}

/* The digest known for `index`, which is at most the accepted one. False for those no longer known.
 */
static bool known_digest(struct digest *ret_digest, uint64_t index, const struct accepted *accepted)
{
    uint8_t header[PREBLOCK_HEADER_BYTES];
    struct path path;

    if (index == accepted->index) {
        *ret_digest = accepted->digest;
        return true;
    }
    path_set(&path, "/pending");
    path_add_number(&path, index);
    if (storage_read_at(&path, 0, header, sizeof header) != sizeof header) return false;
    crypto_hash_one(ret_digest, header, sizeof header);
    return true;
}

static void record_fork(const struct segment *segment)
{
    struct path path;

    path_set(&path, "/fault/fork");
    if (storage_has(&path)) return;
    storage_write_at(&path, 0, header_at(segment, segment->last), PREBLOCK_HEADER_BYTES);
    debug_number("fork at", segment->last);
}

void accepted_write(const struct accepted *accepted)
{
    struct path path;

    path_set(&path, "/accepted");
    storage_write("/incoming/digest", accepted->digest.bytes, sizeof accepted->digest.bytes);
    storage_write_u64("/incoming", accepted->index);
    storage_move("/incoming", &path);
}

static void accept(const struct segment *segment,
                   struct accepted *accepted,
                   const struct digest *digest)
{
    struct path path;

    while (accepted->index < segment->last) {
        accepted->index++;
        path_set(&path, "/pending");
        path_add_number(&path, accepted->index);
        storage_write_at(&path, 0, header_at(segment, accepted->index), PREBLOCK_HEADER_BYTES);
    }
    accepted->digest = *digest;
    accepted_write(accepted);
    debug_number("accepted", accepted->index);
}

enum segment_verdict segment_take(const struct segment *segment,
                                  const struct committee *committee,
                                  struct accepted *accepted)
{
    struct digest last, known;
    bool fork;

    if (segment->first > accepted->index + 1) return SEGMENT_UNCONNECTED;
    if (!chain_holds(&last, segment)) return SEGMENT_USELESS;

    if (segment->last <= accepted->index) {
        if (!known_digest(&known, segment->last, accepted)) return SEGMENT_USELESS;
        if (digest_equal(&known, &last)) return SEGMENT_USELESS;
        fork = true;
    } else {
        struct preblock next;
        header_at_decode(&next, segment, accepted->index + 1);
        fork = !digest_equal(&next.previous, &accepted->digest);
    }
    if (!quorum_signs(segment, committee, &last)) return SEGMENT_USELESS;
    if (fork) {
        record_fork(segment);
        return SEGMENT_USELESS;
    }
    accept(segment, accepted, &last);
    return SEGMENT_ACCEPTED;
}
