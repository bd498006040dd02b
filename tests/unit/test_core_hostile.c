/* Whole cores in virtual time (core_world.h) with one member that signs what it likes. Goal: nothing a
 * member says makes an honest node lose a batch, stop, or store without bound. Method: node 3 of four is
 * stopped and the test speaks for it with its key. */
#include <stdlib.h>

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/wire.h"
#include "tests/unit/core_world.h"
#include "tests/unit/core_world_store.h"
#include "tests/unit/unit.h"

#define NODES   4u
#define HOSTILE 3u

static struct world *open_world(void)
{
    struct world_options options = world_options_default(NODES);
    struct world *world = world_open(&options);

    world_start_all(world);
    world_run(world, 100000);
    world_stop(world, HOSTILE);
    world_run(world, 100000);
    return world;
}

static struct digest digest_make(uint8_t number)
{
    struct digest digest;

    crypto_hash_one(&digest, &number, sizeof number);
    return digest;
}

/* A well-formed header of the hostile member with no parents, which nobody can vote for. */
static struct header header_make(const struct world *world, round_t round)
{
    return (struct header){.author = HOSTILE,
                           .round = round,
                           .epoch = world_committee(world)->epoch,
                           .created_at = world_wall_ms(world)};
}

static void header_name(struct header *header, const struct digest *digest)
{
    header->payload[header->payload_count++].digest = *digest;
}

/* Sends a header of `signer` to a node as the hostile member. */
static struct digest send_header(struct world *world,
                                 uint32_t node,
                                 const struct header *header,
                                 uint32_t signer)
{
    uint8_t memory[HEADER_BYTES_MAX + 65];
    struct writer writer = writer_make(memory, sizeof memory);
    struct signature signature;
    struct digest digest;

    header_digest(&digest, header);
    crypto_sign(&signature, SCOPE_HEADER, &digest, world_key(world, signer));
    wire_write_header(&writer, header, &signature);
    world_inject(world, node, HOSTILE, writer_view(&writer));
    return digest;
}

static round_t quorum_round(struct world *world, uint32_t node)
{
    struct core_status status;

    core_get_status(world_core(world, node), &status);
    return status.quorum_round;
}

static void assert_everywhere(const struct world *world, const struct digest *batch)
{
    for (uint32_t i = 0; i < HOSTILE; i++) {
        assert_null(world_alarm(world, i));
        assert_int_equal(world_executed(world, i, batch), 1);
    }
}

/* What a test wants to see of the nodes' actions. */
struct seen {
    struct digest promised; /* in: the batch looked for */
    uint32_t promises[NODES];
    uint32_t cuts;
    struct digest header; /* in: the header looked for */
    bool voted[NODES];
    struct header newest; /* own header of the highest round, round 0: none */
};

static void see(void *context, uint32_t node, const struct core_action *action)
{
    struct seen *seen = context;
    struct reader reader = reader_make(action->message.data, action->message.len);
    struct header header;

    if (action->kind == CORE_ACTION_CUT_PEER) seen->cuts++;
    if (action->kind == CORE_ACTION_BATCH_CERTIFIED)
        seen->promises[node] += digest_equal(&action->digest, &seen->promised);
    if (action->kind != CORE_ACTION_BROADCAST) return;
    switch (reader_u8(&reader)) {
    case WIRE_VOTE:
        if (memcmp(reader.next, seen->header.bytes, sizeof seen->header.bytes) == 0)
            seen->voted[node] = true;
        break;
    case WIRE_HEADER:
        header_decode(&header, &reader);
        if (header.round > seen->newest.round) seen->newest = header;
        break;
    default:
        break;
    }
}

/* A member streams a batch and never names it; a client gives equal bytes to an honest node. That node
 * has accepted it, so it must be ordered. */
static void batch_that_a_silent_member_streamed_is_ours_too(void **state)
{
    struct world *world = open_world();
    struct digest batch = digest_make(1);
    struct seen seen = {.promised = batch};

    (void)state;
    world_watch(world, see, &seen);
    world_store(world, 0, HOSTILE, &batch);
    world_run(world, 50000);
    world_store(world, 0, 0, &batch);
    world_run(world, 5000000);
    assert_everywhere(world, &batch);
    assert_int_equal(seen.promises[0], 1);
    world_close(world);
}

/* The same bytes at two honest nodes: executed once, and both clients hear that they are certified, also
 * the one who comes when all is over. */
static void equal_batches_are_promised_to_both_clients(void **state)
{
    struct world *world = open_world();
    struct digest batch = digest_make(1);
    struct seen seen = {.promised = batch};

    (void)state;
    world_watch(world, see, &seen);
    world_store(world, 0, 1, &batch);
    world_store(world, 0, 0, &batch);
    world_store(world, 1, 1, &batch);
    world_run(world, 2000000);
    world_store(world, 2, 2, &batch);
    world_run(world, 2000000);
    assert_everywhere(world, &batch);
    for (uint32_t i = 0; i < HOSTILE; i++)
        assert_true(seen.promises[i] >= 1);
    world_close(world);
}

/* A member names an honest node's batch, already before that node has sealed it, in header after header
 * that nobody can vote for. */
static void batch_cannot_be_kept_back_by_naming_it(void **state)
{
    struct world *world = open_world();
    struct digest batch = digest_make(1);

    (void)state;
    for (uint32_t i = 0; i < 2000; i++) {
        for (round_t ahead = 1; ahead <= 2; ahead++) {
            struct header header = header_make(world, quorum_round(world, 0) + ahead);

            header_name(&header, &batch);
            (void)send_header(world, 0, &header, HOSTILE);
        }
        if (i == 0) {
            for (uint32_t n = 0; n < HOSTILE; n++)
                world_store(world, n, 0, &batch);
        }
        world_run(world, 2000);
    }
    assert_everywhere(world, &batch);
    world_close(world);
}

/* Of an author that signs two headers in every round only so much evidence is kept. */
static void evidence_is_bounded(void **state)
{
    struct world *world = open_world();
    round_t last = 0;
    uint32_t rounds = 0;

    (void)state;
    while (rounds < 60) {
        round_t round = quorum_round(world, 0) + 1;

        if (round > last) {
            struct header header = header_make(world, round);

            (void)send_header(world, 0, &header, HOSTILE);
            header.created_at++;
            (void)send_header(world, 0, &header, HOSTILE);
            last = round;
            rounds++;
            (void)world_submit(world, 1, 500);
        }
        world_run(world, 5000);
    }
    assert_true(world_rows(world, 0, TABLE_EVIDENCE) >= 1);
    assert_true(world_rows(world, 0, TABLE_EVIDENCE) <= 16);
    assert_null(world_alarm(world, 0));
    world_close(world);
}

/* Who passes on a header with a bad signature did not check it, or made it: each costs us a check. */
static void who_passes_on_a_bad_signature_is_cut(void **state)
{
    struct world *world = open_world();
    struct header header = header_make(world, quorum_round(world, 0) + 1);
    struct seen seen = {.cuts = 0};

    (void)state;
    world_watch(world, see, &seen);
    header.author = 2;
    (void)send_header(world, 0, &header, HOSTILE);
    assert_int_equal(seen.cuts, 1);
    world_close(world);
}

/* A header that waits for the clock names a batch that is executed meanwhile. No vote rule reads
 * execution state, so it gets its votes when its time comes. */
static void execution_takes_no_batch_from_a_vote(void **state)
{
    struct world *world = open_world();
    struct seen seen = {.cuts = 0};
    struct digest batch;
    struct header header;

    (void)state;
    world_run(world, 3000000);
    world_watch(world, see, &seen);
    batch = world_submit(world, 0, 500);
    while (seen.newest.round == 0)
        world_run(world, 1000);
    header = seen.newest; /* its parents are good for anybody */
    header.author = HOSTILE;
    header.created_at = world_wall_ms(world) + 1800;
    header.payload_count = 0;
    header_name(&header, &batch);
    for (uint32_t i = 0; i < HOSTILE; i++)
        seen.header = send_header(world, i, &header, HOSTILE);
    world_run(world, 600000);
    assert_everywhere(world, &batch);
    for (uint32_t i = 0; i < HOSTILE; i++)
        assert_false(seen.voted[i]);
    world_run(world, 1500000);
    for (uint32_t i = 0; i < HOSTILE; i++)
        assert_true(seen.voted[i]);
    world_close(world);
}

/* Load until the quorum round of node 0 is this far. */
static void reach_round(struct world *world, round_t round)
{
    while (quorum_round(world, 0) < round) {
        (void)world_submit(world, 1, 500);
        world_run(world, 20000);
    }
}

/* A member names an executed batch, while the dedup window has it, in a header that is certified too late to be
 * anybody's parent. When that vertex is collected unordered the window has passed: the batch is not owed again. */
static void executed_batch_is_not_owed_to_who_names_it(void **state)
{
    struct world *world = open_world();
    struct digest batch = world_submit(world, 0, 500);
    struct seen seen = {.promised = batch};
    struct header header;

    (void)state;
    world_run(world, 500000);
    assert_int_equal(world_executed(world, 0, &batch), 1);
    reach_round(world, quorum_round(world, 0) + 70);
    world_watch(world, see, &seen);
    while (seen.newest.round == 0) {
        (void)world_submit(world, 1, 500);
        world_run(world, 1000);
    }
    header = seen.newest; /* its parents are good for anybody */
    header.author = HOSTILE;
    header.payload_count = 0;
    header_name(&header, &batch);
    reach_round(world, header.round + 5);
    for (uint32_t i = 0; i < HOSTILE; i++)
        seen.header = send_header(world, i, &header, HOSTILE);
    reach_round(world, header.round + 200);
    for (uint32_t i = 0; i < HOSTILE; i++) {
        assert_true(seen.voted[i]);
        assert_int_equal(world_executed(world, i, &batch), 1);
    }
    world_close(world);
}

static uint64_t network_index(struct world *world, uint32_t node)
{
    struct core_status status;

    core_get_status(world_core(world, node), &status);
    return status.network_index;
}

/* One member says that it has made pre-blocks that nobody else has: no honest node takes itself for behind.
 * Two that say so have an honest one among them. */
static void one_member_cannot_claim_that_we_are_behind(void **state)
{
    struct world *world = open_world();
    struct wire_attestation attestation = {.index = 1000000, .authority = HOSTILE};
    const struct wire_position position = {.certified_index = 2000000};
    uint8_t memory[256];
    struct writer writer = writer_make(memory, sizeof memory);

    (void)state;
    const uint64_t before = network_index(world, 0);
    wire_write_attestation(&writer, &attestation);
    world_inject(world, 0, HOSTILE, writer_view(&writer));
    writer = writer_make(memory, sizeof memory);
    wire_write_position(&writer, &position);
    world_inject(world, 0, HOSTILE, writer_view(&writer));
    assert_int_equal(network_index(world, 0), before);
    writer = writer_make(memory, sizeof memory);
    wire_write_position(&writer, &(struct wire_position){.certified_index = 500});
    world_inject(world, 0, 1, writer_view(&writer));
    assert_int_equal(network_index(world, 0), 500);
    attestation = (struct wire_attestation){.index = 700, .authority = 1};
    writer = writer_make(memory, sizeof memory);
    wire_write_attestation(&writer, &attestation);
    world_inject(world, 0, 1, writer_view(&writer));
    assert_int_equal(network_index(world, 0), 700);
    world_close(world);
}

/* ---- stores that say what was not ---------------------------------------------------------------- */

struct kept {
    struct table tables[CORE_TABLES];
};

/* Node 0's store, as it writes it. */
static void keep(void *context, uint32_t node, const struct core_action *action)
{
    struct kept *kept = context;
    struct table *table;

    if (node != 0 || action->table >= CORE_TABLES) return;
    table = &kept->tables[action->table];
    if (action->kind == CORE_ACTION_PERSIST) world_table_put(table, action->key, action->value);
    if (action->kind == CORE_ACTION_ERASE) world_table_erase_key(table, action->key);
    if (action->kind == CORE_ACTION_ERASE_BELOW)
        world_table_erase(table, 0, world_table_lower(table, action->key));
}

/* What a core says to these rows at a start. */
static enum status try_recover(struct world *world, const struct kept *kept)
{
    const struct core_options options = {.committee = world_committee(world),
                                         .self = 0,
                                         .key = *world_key(world, 0),
                                         .parameters = core_parameters_default()};
    void *memory = calloc(1, core_bytes(&options) + 64);
    enum status status = OK;
    struct core *core;

    assert_non_null(memory);
    assert_int_equal(core_init(&core, (void *)(((uintptr_t)memory + 63) / 64 * 64), &options), OK);
    for (int t = 0; t < CORE_TABLES && status == OK; t++) {
        uint8_t key[CORE_KEY_BYTES_MAX];
        size_t len = core_recover_first(core, (enum core_table)t, key);
        const struct table *table = &kept->tables[t];

        if (len == SIZE_MAX) continue;
        size_t i = world_table_lower(table, (struct bytes){key, len});
        for (; i < table->count && status == OK; i++)
            status = core_recover(core, (enum core_table)t,
                                  (struct bytes){table->rows[i].key, table->rows[i].key_len},
                                  (struct bytes){table->rows[i].value, table->rows[i].value_len});
    }
    free(memory);
    return status;
}

/* The last checkpoint is signed again after a start: one that is not what the ordering records lead to, or that lies
 * beyond what was cut, would be a second signature for one number. */
static void a_checkpoint_that_was_not_made_is_refused_at_a_start(void **state)
{
    enum { SEQUENCE_AT = 9, ROUND_AT = 17, RECORD_AT = 25 };
    static const struct {
        size_t at;
        uint8_t with;
        uint8_t rounds; /* times 256, so that the round can be that of the sequence number */
    } changes[] = {{SEQUENCE_AT, CHECKPOINT_INTERVAL, 1}, {ROUND_AT, 1, 0}, {RECORD_AT, 1, 0}};
    struct world *world = open_world();
    static struct kept kept;

    (void)state;
    world_watch(world, keep, &kept);
    while (kept.tables[TABLE_CHECKPOINTS].count == 0)
        world_run(world, 100000);
    world_run(world, 500000);
    assert_int_equal(try_recover(world, &kept), OK);
    const struct table *checkpoints = &kept.tables[TABLE_CHECKPOINTS];
    uint8_t *value = checkpoints->rows[checkpoints->count - 1].value;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const uint8_t before = value[changes[i].at];
        value[changes[i].at] = (uint8_t)(before + changes[i].with);
        value[ROUND_AT + 1] = (uint8_t)(value[ROUND_AT + 1] + changes[i].rounds);
        assert_int_equal(try_recover(world, &kept), ERR_CORRUPT);
        value[changes[i].at] = before;
        value[ROUND_AT + 1] = (uint8_t)(value[ROUND_AT + 1] - changes[i].rounds);
    }
    for (int t = 0; t < CORE_TABLES; t++)
        world_table_free(&kept.tables[t]);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_that_a_silent_member_streamed_is_ours_too),
        cmocka_unit_test(equal_batches_are_promised_to_both_clients),
        cmocka_unit_test(batch_cannot_be_kept_back_by_naming_it),
        cmocka_unit_test(evidence_is_bounded),
        cmocka_unit_test(who_passes_on_a_bad_signature_is_cut),
        cmocka_unit_test(one_member_cannot_claim_that_we_are_behind),
        cmocka_unit_test(execution_takes_no_batch_from_a_vote),
        cmocka_unit_test(executed_batch_is_not_owed_to_who_names_it),
        cmocka_unit_test(a_checkpoint_that_was_not_made_is_refused_at_a_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
