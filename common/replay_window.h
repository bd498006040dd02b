/* Which nonces of one key were used: all of the newest REPLAY_WINDOW_NONCES below the highest one
 * are known exactly, everything below them counts as used. So a nonce is used at most once for as
 * long as the window lives, in constant memory; a client may send numbers in any order that is not
 * off by more than the window, and may leave numbers out.
 *
 * The zeroed struct is the window in which nothing was used. */
#ifndef COMMON_REPLAY_WINDOW_H
#define COMMON_REPLAY_WINDOW_H

#include "common/base.h"

/* 8 KiB per key; a client's parallel streams may be apart by so many transactions. */
#define REPLAY_WINDOW_NONCES 65536u

struct replay_window {
    uint64_t highest; /* used; 0 in the beginning */
    uint64_t bits[REPLAY_WINDOW_NONCES / 64];
};

/* OK: not used yet. ERR_DUPLICATE: used. ERR_STALE: below the window. */
enum status replay_window_check(const struct replay_window *window, uint64_t nonce);

/* Uses a nonce that replay_window_check found OK. */
void replay_window_mark(struct replay_window *window, uint64_t nonce);

#endif
