#include "consensus/node/readiness.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t readiness_lag_rounds(const struct core_status *status)
{
    uint64_t behind = u64_minus(status->peer_round, status->quorum_round);
    return behind <= LAG_ROUNDS_READY ? 0 : behind;
}

uint64_t readiness_lag_preblocks(const struct core_status *status)
{
    return u64_minus(status->network_index, status->preblock_index);
}

struct readiness readiness_judge(const struct core_status *status, bool begun, bool reaches_quorum)
{
    const uint64_t rounds = readiness_lag_rounds(status);
    const uint64_t preblocks = readiness_lag_preblocks(status);

    if (!begun && status->syncing) return (struct readiness){READINESS_CATCHING_UP, 0};
    if (!begun || !reaches_quorum) return (struct readiness){READINESS_NO_QUORUM, 0};
    if (rounds > 0) return (struct readiness){READINESS_ROUNDS_BEHIND, rounds};
    if (preblocks > LAG_PREBLOCKS_READY)
        return (struct readiness){READINESS_PREBLOCKS_BEHIND, preblocks};
    return (struct readiness){READINESS_READY, 0};
}

const char *readiness_code(const struct readiness *readiness)
{
    switch (readiness->kind) {
    case READINESS_READY:
        CHECK(false);
    case READINESS_CATCHING_UP:
    case READINESS_NO_QUORUM:
        return "not_ready";
    case READINESS_ROUNDS_BEHIND:
        return "lagging";
    case READINESS_PREBLOCKS_BEHIND:
        return "executing";
    }
    CHECK(false);
}

void readiness_text(char *ret, const struct readiness *readiness)
{
    switch (readiness->kind) {
    case READINESS_READY:
        CHECK(false);
    case READINESS_CATCHING_UP:
        (void)snprintf(ret, READINESS_TEXT_BYTES, "catching up with peers");
        break;
    case READINESS_NO_QUORUM:
        (void)snprintf(ret, READINESS_TEXT_BYTES, "waiting for a quorum of peers");
        break;
    case READINESS_ROUNDS_BEHIND:
        (void)snprintf(ret, READINESS_TEXT_BYTES, "%" PRIu64 " rounds behind", readiness->behind);
        break;
    case READINESS_PREBLOCKS_BEHIND:
        (void)snprintf(ret, READINESS_TEXT_BYTES, "%" PRIu64 " pre-blocks behind",
                       readiness->behind);
        break;
    }
}
