#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>

#include "common/crypto.h"
#include "consensus/core/core.h"

/* A node of four against three peers that send anything, in any order. The input is a script:
 *
 *     peer u8 | len u16 | len bytes    peer % 4 of 1 .. 3: a frame body from that peer
 *                                      peer % 4 of 0: no peer; len ms pass, or, if peer is 4 or
 *                                      more, the link of peer len % 4 goes down or up
 *
 * After each step every invariant holds. A peer cannot raise an alarm without our own key. */
#define STEPS_MAX 200u

static struct committee committee;
static struct secret_key secrets[4];

static void make_committee(void)
{
    committee.count = 4;
    for (uint8_t i = 0; i < 4; i++) {
        struct secret_key unused;
        uint8_t seed[32] = {i, 1};
        crypto_key_pair(&committee.members[i].key, &secrets[i], seed);
        seed[1] = 2;
        crypto_key_pair(&committee.members[i].network_key, &unused, seed);
        committee.members[i].stake = 1;
    }
    CHECK(committee_finish(&committee) == OK);
}

static void take_step(struct core *core, const struct core_event *event)
{
    struct core_actions actions = core_step(core, event);
    for (size_t i = 0; i < actions.count; i++) {
        const struct core_action *action = &actions.items[i];
        CHECK(action->kind != CORE_ACTION_ALARM);
        CHECK(action->message.len <= FRAME_BYTES_MAX);
        CHECK(action->peer < 4);
    }
    core_check(core);
}

static void run_script(struct core *core, struct reader *script)
{
    struct core_event event = {
        .kind = CORE_EVENT_START, .now_us = 1000000, .wall_ms = 1767323045678};
    take_step(core, &event);
    for (authority_t peer = 1; peer < 4; peer++) {
        event.kind = CORE_EVENT_PEER_UP;
        event.peer = peer;
        take_step(core, &event);
    }
    for (uint32_t steps = 0; script->left > 0 && steps < STEPS_MAX; steps++) {
        uint8_t peer = reader_u8(script);
        uint16_t len = reader_u16(script);
        event.now_us += 100;
        event.peer = peer % 4;
        if (event.peer != 0) {
            event.kind = CORE_EVENT_MESSAGE;
            event.message = reader_view(script, len < script->left ? len : script->left);
        } else if (peer == 0 || len % 4 == 0) {
            event.kind = CORE_EVENT_TIMER;
            event.now_us += (uint64_t)len * 1000;
            event.wall_ms += len;
        } else {
            event.kind = len % 8 < 4 ? CORE_EVENT_PEER_DOWN : CORE_EVENT_PEER_UP;
            event.peer = len % 4;
        }
        if (script->failed) break;
        take_step(core, &event);
        if (core_deadline_us(core) <= event.now_us) {
            event.kind = CORE_EVENT_TIMER;
            take_step(core, &event);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (committee.count == 0) make_committee();

    struct core *core;
    struct core_options options = {.committee = &committee,
                                   .self = 0,
                                   .key = secrets[0],
                                   .parameters = core_parameters_default()};
    size_t bytes = core_bytes(&options);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(core_init(&core, memory, &options) == OK);
    struct reader script = reader_make(data, size);
    run_script(core, &script);
    CHECK(munmap(memory, bytes) == 0);
    return 0;
}
