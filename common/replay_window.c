#include "common/replay_window.h"

static uint64_t *word_of(struct replay_window *window, uint64_t nonce)
{
    return &window->bits[nonce % REPLAY_WINDOW_NONCES / 64];
}

static uint64_t bit_of(uint64_t nonce)
{
    return (uint64_t)1 << (nonce % 64);
}

enum status replay_window_check(const struct replay_window *window, uint64_t nonce)
{
    if (nonce > window->highest) return OK;
    if (window->highest - nonce >= REPLAY_WINDOW_NONCES) return ERR_STALE;
    uint64_t word = window->bits[nonce % REPLAY_WINDOW_NONCES / 64];
    return (word & bit_of(nonce)) == 0 ? OK : ERR_DUPLICATE;
}

void replay_window_mark(struct replay_window *window, uint64_t nonce)
{
    CHECK(replay_window_check(window, nonce) == OK);
    if (nonce > window->highest) {
        /* The places of the numbers that come into the window may hold bits of those that leave. */
        if (nonce - window->highest >= REPLAY_WINDOW_NONCES) {
            memset(window->bits, 0, sizeof window->bits);
        } else {
            for (uint64_t other = window->highest + 1; other < nonce; other++)
                *word_of(window, other) &= ~bit_of(other); /* nonce itself is set below */
        }
        window->highest = nonce;
    }
    *word_of(window, nonce) |= bit_of(nonce);
}
