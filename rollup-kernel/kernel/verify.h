/* Segments: which pre-blocks are certified, and in what order.
 *
 *   segment   vec<pre-block header> | quorum        quorum: signers vec<u8> | signatures vec<64>
 *
 * The quorum signs the last header (scope 10); headers chain by `previous`, so it covers all of
 * them and all accepted before. A segment may begin with headers accepted already: if its chain
 * passes through the accepted digest, the rest is new; if not, two digests are certified for one
 * index, which more than F members must have signed: the first stays, the other header goes to
 * /fault/fork. ROLLUP 1. */
#ifndef KERNEL_VERIFY_H
#define KERNEL_VERIFY_H

#include "common/committee.h"
#include "common/preblock.h"

/* Headers that fit a 4095-byte message beside the smallest quorum. */
#define SEGMENT_HEADERS_MAX 26u

struct segment {
    const uint8_t *headers; /* count x 153 bytes */
    uint32_t count;
    uint64_t first; /* index of the first header, at least 1 */
    uint64_t last;
    struct bytes quorum; /* not decoded */
};

/* The last accepted pre-block; index 0 and the committee digest at the start. */
struct accepted {
    uint64_t index;
    struct digest digest;
};

enum segment_verdict {
    SEGMENT_UNCONNECTED, /* may connect later in this level */
    SEGMENT_USELESS,     /* bad, old, or a fork that was recorded */
    SEGMENT_ACCEPTED,
};

/* Writes /accepted and /accepted/digest, both at once. */
void accepted_write(const struct accepted *accepted);

/* Takes a message body apart: sizes, versions, consecutive indexes and the epoch, nothing that
 * costs. */
bool segment_parse(struct segment *ret_segment, struct bytes body, uint64_t epoch);

/* Accepts what is new in the segment: writes /pending/N and /accepted, moves `accepted`. */
enum segment_verdict segment_take(const struct segment *segment,
                                  const struct committee *committee,
                                  struct accepted *accepted);

#endif
