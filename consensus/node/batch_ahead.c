#include "consensus/node/batch_ahead.h"

#include <stdlib.h>

void batch_ahead_close(struct batch_ahead *ahead)
{
    for (size_t i = 0; i < AHEAD_PIECES; i++) {
        free(ahead->pieces[i].data);
        ahead->pieces[i] = (struct ahead_piece){.data = NULL};
    }
}

static bool piece_covers(const struct ahead_piece *piece,
                         uint32_t segment,
                         uint64_t offset,
                         size_t len)
{
    if (piece->len == 0 || piece->segment != segment || offset < piece->offset) return false;
    const uint64_t skip = offset - piece->offset;
    return skip <= piece->len && len <= piece->len - skip;
}

static struct ahead_piece *find_piece(struct batch_ahead *ahead,
                                      uint32_t segment,
                                      uint64_t offset,
                                      size_t len)
{
    for (size_t i = 0; i < AHEAD_PIECES; i++) {
        if (piece_covers(&ahead->pieces[i], segment, offset, len)) return &ahead->pieces[i];
    }
    return NULL;
}

static struct ahead_piece *oldest_piece(struct batch_ahead *ahead)
{
    struct ahead_piece *oldest = &ahead->pieces[0];

    for (size_t i = 1; i < AHEAD_PIECES; i++) {
        if (ahead->pieces[i].used < oldest->used) oldest = &ahead->pieces[i];
    }
    return oldest;
}

/* The longest unused piece holds what begins at `offset`, as far as the segment is written. */
static enum status load_piece(struct batch_ahead *ahead,
                              struct ahead_piece **ret_piece,
                              struct segment *segment,
                              uint64_t offset)
{
    struct ahead_piece *piece = oldest_piece(ahead);

    if (offset >= segment->bytes) return ERR_CORRUPT;
    if (piece->data == NULL)
        CHECK(posix_memalign((void **)&piece->data, SEGMENT_PAGE, AHEAD_BYTES) == 0);
    piece->len = 0;
    size_t got = 0;
    const size_t len = (size_t)u64_min(AHEAD_BYTES, segment->bytes - offset);
    const enum status status = segment_read(segment, piece->data, &got, offset, len);
    if (status != OK) return status;
    piece->segment = segment->number;
    piece->offset = offset;
    piece->len = got;
    ahead->reads++;
    *ret_piece = piece;
    return OK;
}

enum status batch_ahead_read(struct batch_ahead *ahead,
                             uint8_t *ret_data,
                             struct segment *segment,
                             uint64_t offset,
                             size_t len)
{
    struct ahead_piece *piece = find_piece(ahead, segment->number, offset, len);
    enum status status = OK;

    CHECK(len <= AHEAD_BYTES);
    if (piece == NULL) status = load_piece(ahead, &piece, segment, offset);
    if (status != OK) return status;
    if (!piece_covers(piece, segment->number, offset, len)) return ERR_CORRUPT;
    piece->used = ++ahead->clock;
    memcpy(ret_data, piece->data + (offset - piece->offset), len);
    return OK;
}

void batch_ahead_drop_segment(struct batch_ahead *ahead, uint32_t segment)
{
    for (size_t i = 0; i < AHEAD_PIECES; i++) {
        if (ahead->pieces[i].segment <= segment) ahead->pieces[i].len = 0;
    }
}
