#include "tests/unit/core_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/crypto.h"
#include "consensus/core/records.h"
#include "consensus/core/wire.h"
#include "tests/unit/core_world_store.h"

#define PREBLOCKS_MAX 65536u

/* Letters between two walks over all invariants, which cost far more than a step. */
#define CHECK_EVERY 64u

struct held_batch {
    struct digest digest;
    uint32_t author;
    uint32_t bytes;
    uint64_t created_at;
};

struct node {
    struct core *core; /* NULL: stopped */
    void *memory;
    size_t memory_len;
    uint64_t life; /* messages to an earlier life are lost */
    struct table tables[CORE_TABLES];
    struct held_batch *batches;
    size_t batches_count;
    size_t batches_capacity;
    struct digest *preblocks; /* by index */
    uint64_t delivered;
    uint64_t certified;
    struct digest *executed;
    size_t executed_count;
    size_t executed_capacity;
    const char *alarm;
    bool ready;
};

enum letter_kind { LETTER_MESSAGE, LETTER_BATCH, LETTER_UP };

struct letter {
    uint64_t at_us;
    uint64_t order;
    enum letter_kind kind;
    uint32_t from;
    uint32_t to;
    uint64_t life;
    uint8_t *body;
    size_t len;
    struct held_batch batch;
    bool streamed;
};

struct world {
    struct world_options options;
    struct committee committee;
    struct secret_key keys[WORLD_NODES_MAX];
    struct node nodes[WORLD_NODES_MAX];
    bool cut[WORLD_NODES_MAX][WORLD_NODES_MAX];
    struct letter *letters; /* binary heap by (at_us, order) */
    size_t letters_count;
    size_t letters_capacity;
    uint64_t order;
    uint64_t now_us;
    uint64_t batches_made;
    uint8_t lost_kind; /* of messages; 0: none */
    world_watcher *watcher;
    void *watcher_context;
};

/* ---- letters --------------------------------------------------------------------------------- */

static bool letter_before(const struct letter *a, const struct letter *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void letter_post(struct world *world, struct letter letter)
{
    size_t i;

    world->letters = world_grow(world->letters, &world->letters_capacity, world->letters_count,
                                sizeof *world->letters);
    letter.order = world->order++;
    letter.life = world->nodes[letter.to].life;
    i = world->letters_count++;
    while (i > 0 && letter_before(&letter, &world->letters[(i - 1) / 2])) {
        world->letters[i] = world->letters[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->letters[i] = letter;
}

static struct letter letter_take(struct world *world)
{
    struct letter first = world->letters[0];
    struct letter last = world->letters[--world->letters_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= world->letters_count) break;
        if (child + 1 < world->letters_count &&
            letter_before(&world->letters[child + 1], &world->letters[child])) {
            child++;
        }
        if (!letter_before(&world->letters[child], &last)) break;
        world->letters[i] = world->letters[child];
        i = child;
    }
    if (world->letters_count > 0) world->letters[i] = last;
    return first;
}

static void post_message(struct world *world, uint32_t from, uint32_t to, struct bytes body)
{
    struct letter letter = {.at_us = world->now_us + world->options.delay_us,
                            .kind = LETTER_MESSAGE,
                            .from = from,
                            .to = to,
                            .len = body.len};

    if (world->cut[from][to] || world->nodes[to].core == NULL) return;
    if (body.data[0] == world->lost_kind) return;
    letter.body = malloc(body.len);
    CHECK(letter.body != NULL);
    memcpy(letter.body, body.data, body.len);
    letter_post(world, letter);
}

static void post_batch(struct world *world,
                       uint32_t from,
                       uint32_t to,
                       const struct held_batch *batch,
                       bool streamed)
{
    struct letter letter = {.at_us = world->now_us + world->options.delay_us,
                            .kind = LETTER_BATCH,
                            .from = from,
                            .to = to,
                            .batch = *batch,
                            .streamed = streamed};

    if (world->cut[from][to] || world->nodes[to].core == NULL) return;
    letter_post(world, letter);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void step(struct world *world, uint32_t n, struct core_event event);

static const struct held_batch *batch_held(const struct node *node, const struct digest *digest)
{
    for (size_t i = node->batches_count; i > 0; i--) {
        if (digest_equal(&node->batches[i - 1].digest, digest)) return &node->batches[i - 1];
    }
    return NULL;
}

static void hold_batch(struct node *node, const struct held_batch *batch)
{
    if (batch_held(node, &batch->digest) != NULL) return;
    node->batches = world_grow(node->batches, &node->batches_capacity, node->batches_count,
                               sizeof *node->batches);
    node->batches[node->batches_count++] = *batch;
}

static void deliver(struct node *node, const struct core_action *action)
{
    struct preblock_record record;

    CHECK(preblock_record_open(&record, action->record) == OK);
    CHECK(action->index == node->delivered + 1);
    CHECK(action->index < PREBLOCKS_MAX);
    node->delivered = action->index;
    node->preblocks[action->index] = action->digest;
    for (uint32_t i = 0; i < record.batches_count; i++) {
        struct preblock_batch batch = preblock_record_batch(&record, i);

        CHECK(batch_held(node, &batch.digest) != NULL);
        node->executed = world_grow(node->executed, &node->executed_capacity, node->executed_count,
                                    sizeof *node->executed);
        node->executed[node->executed_count++] = batch.digest;
    }
}

static void answer_range(struct world *world, uint32_t n, const struct core_action *action)
{
    const struct table *table = &world->nodes[n].tables[TABLE_CERTIFICATES];
    uint8_t *memory = malloc(WIRE_ANSWER_BYTES_MAX);
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct wire_answer answer;
    size_t at =
        world_table_lower(table, (struct bytes){key, key_of_slot(key, action->round + 1, 0)});
    bool last = true;

    CHECK(memory != NULL);
    wire_answer_begin(&answer, memory, &world->committee);
    for (; at < table->count; at++) {
        if (wire_answer_append(&answer,
                               (struct bytes){table->rows[at].value, table->rows[at].value_len})) {
            continue;
        }
        last = false;
        break;
    }
    post_message(world, n, action->peer, wire_answer_finish(&answer, last));
    free(memory);
}

static void answer_certificates(struct world *world, uint32_t n, const struct core_action *action)
{
    uint8_t *memory = malloc(WIRE_ANSWER_BYTES_MAX);
    struct wire_answer answer;

    CHECK(memory != NULL);
    wire_answer_begin(&answer, memory, &world->committee);
    for (size_t i = 0; i < action->refs_count; i++) {
        uint8_t key[CORE_KEY_BYTES_MAX];
        struct bytes value = world_row(
            world, n, TABLE_CERTIFICATES,
            (struct bytes){key, key_of_slot(key, action->refs[i].round, action->refs[i].author)});

        if (value.data != NULL) (void)wire_answer_append(&answer, value);
    }
    post_message(world, n, action->peer, wire_answer_finish(&answer, true));
    free(memory);
}

static void answer_header(struct world *world, uint32_t n, const struct core_action *action)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    uint8_t memory[HEADER_BYTES_MAX + 65];
    struct bytes value = world_row(world, n, TABLE_HEADERS,
                                   (struct bytes){key, key_of_vertex(key, &action->refs[0])});

    if (value.data == NULL) return;
    post_message(world, n, action->peer, wire_header_body(memory, value));
}

static void send_all(struct world *world, uint32_t n, struct bytes body)
{
    for (uint32_t to = 0; to < world->options.nodes; to++) {
        if (to != n) post_message(world, n, to, body);
    }
}

static void acknowledge(struct world *world, uint32_t n, const struct core_action *action)
{
    uint8_t body[64];
    struct writer writer = writer_make(body, sizeof body);

    wire_write_batch_ack(&writer, &action->digest);
    post_message(world, n, action->peer, writer_view(&writer));
}

static void look_up(struct world *world, uint32_t n, const struct digest *digest)
{
    const struct held_batch *batch = batch_held(&world->nodes[n], digest);

    if (batch == NULL) return;
    letter_post(world, (struct letter){.at_us = world->now_us,
                                       .kind = LETTER_BATCH,
                                       .from = batch->author,
                                       .to = n,
                                       .batch = *batch});
}

static void fetch(struct world *world, uint32_t n, const struct core_action *action)
{
    const struct held_batch *batch = batch_held(&world->nodes[action->peer], &action->digest);

    CHECK(action->peer != n);
    uint8_t absent[33] = {WIRE_NO_BATCH};
    memcpy(absent + 1, action->digest.bytes, sizeof action->digest.bytes);
    if (world->nodes[action->peer].core == NULL) return;
    if (batch == NULL) post_message(world, action->peer, n, (struct bytes){absent, sizeof absent});
    if (batch != NULL) post_batch(world, action->peer, n, batch, false);
}

static void perform(struct world *world, uint32_t n, const struct core_action *action)
{
    struct node *node = &world->nodes[n];
    struct table *table = &node->tables[action->table];

    if (world->watcher != NULL) world->watcher(world->watcher_context, n, action);
    switch (action->kind) {
    case CORE_ACTION_PERSIST:
        world_table_put(table, action->key, action->value);
        break;
    case CORE_ACTION_ERASE:
        world_table_erase_key(table, action->key);
        break;
    case CORE_ACTION_ERASE_BELOW:
        world_table_erase(table, 0, world_table_lower(table, action->key));
        break;
    case CORE_ACTION_SEND:
        post_message(world, n, action->peer, action->message);
        break;
    case CORE_ACTION_BROADCAST:
        send_all(world, n, action->message);
        break;
    case CORE_ACTION_SERVE_CERTIFICATES:
        answer_certificates(world, n, action);
        break;
    case CORE_ACTION_SERVE_RANGE:
        answer_range(world, n, action);
        break;
    case CORE_ACTION_SERVE_HEADER:
        answer_header(world, n, action);
        break;
    case CORE_ACTION_LOOK_UP_BATCH:
        look_up(world, n, &action->digest);
        break;
    case CORE_ACTION_FETCH_BATCH:
        fetch(world, n, action);
        break;
    case CORE_ACTION_ACKNOWLEDGE_BATCH:
        acknowledge(world, n, action);
        break;
    case CORE_ACTION_SERVE_RECORDS: /* nobody forgets here: the simulator's part */
    case CORE_ACTION_RESTART:
    case CORE_ACTION_BATCH_CERTIFIED:
    case CORE_ACTION_BATCH_DROPPED:
    case CORE_ACTION_CUT_PEER:
        break;
    case CORE_ACTION_DELIVER:
        deliver(node, action);
        break;
    case CORE_ACTION_CERTIFY:
        CHECK(action->index > node->certified);
        node->certified = action->index;
        break;
    case CORE_ACTION_READY:
        node->ready = true;
        break;
    case CORE_ACTION_ALARM:
        node->alarm = action->reason;
        break;
    }
}

static void step(struct world *world, uint32_t n, struct core_event event)
{
    struct node *node = &world->nodes[n];
    struct core_actions actions;

    event.now_us = world->now_us;
    event.wall_ms = world_wall_ms(world);
    actions = core_step(node->core, &event);
    if (world->order % CHECK_EVERY == 0) core_check(node->core);
    for (size_t i = 0; i < actions.count; i++)
        perform(world, n, &actions.items[i]);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct world_options world_options_default(uint32_t nodes)
{
    return (struct world_options){
        .nodes = nodes, .stakes = NULL, .delay_us = 1000, .parameters = core_parameters_default()};
}

struct world *world_open(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof *world);

    CHECK(world != NULL);
    CHECK(options->nodes <= WORLD_NODES_MAX);
    world->options = *options;
    world->now_us = 1000000;
    world->committee.count = options->nodes;
    for (uint32_t i = 0; i < options->nodes; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        struct secret_key network;

        crypto_key_pair(&world->committee.members[i].key, &world->keys[i], seed);
        seed[1] = 1;
        crypto_key_pair(&world->committee.members[i].network_key, &network, seed);
        world->committee.members[i].stake = options->stakes == NULL ? 1 : options->stakes[i];
        world->nodes[i].preblocks = calloc(PREBLOCKS_MAX, sizeof(struct digest));
    }
    CHECK(committee_finish(&world->committee) == OK);
    return world;
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        struct node *node = &world->nodes[i];

        world_stop(world, i);
        for (unsigned t = 0; t < CORE_TABLES; t++)
            world_table_free(&node->tables[t]);
        free(node->batches);
        free(node->preblocks);
        free(node->executed);
    }
    while (world->letters_count > 0)
        free(letter_take(world).body);
    free(world->letters);
    free(world);
}

static void link_up(struct world *world, uint32_t a, uint32_t b)
{
    if (world->nodes[a].core == NULL || world->nodes[b].core == NULL || world->cut[a][b]) return;
    letter_post(world,
                (struct letter){.at_us = world->now_us, .kind = LETTER_UP, .from = a, .to = b});
    letter_post(world,
                (struct letter){.at_us = world->now_us, .kind = LETTER_UP, .from = b, .to = a});
}

void world_start(struct world *world, uint32_t n, bool rejoin)
{
    struct node *node = &world->nodes[n];
    struct core_options options = {.committee = &world->committee,
                                   .self = (authority_t)n,
                                   .key = world->keys[n],
                                   .parameters = world->options.parameters,
                                   .rejoin = rejoin};
    size_t bytes = core_bytes(&options);

    CHECK(node->core == NULL);
    /* Zero pages that cost what is touched: with MALLOC_PERTURB_ a heap would touch all of it. */
    node->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(node->memory != MAP_FAILED);
    node->memory_len = bytes;
    CHECK(core_init(&node->core, node->memory, &options) == OK);
    node->life++;
    for (unsigned t = 0; t < CORE_TABLES; t++)
        world_table_recover(&node->tables[t], node->core, (enum core_table)t);
    step(world, n, (struct core_event){.kind = CORE_EVENT_START});
    for (size_t i = 0; i < node->batches_count; i++) {
        const struct held_batch *batch = &node->batches[i];

        if (batch->author != n) continue;
        if (world_row(world, n, TABLE_EXECUTED, (struct bytes){batch->digest.bytes, 32}).data !=
            NULL) {
            continue;
        }
        look_up(world, n, &batch->digest);
    }
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        if (i != n) link_up(world, i, n);
    }
}

void world_start_all(struct world *world)
{
    for (uint32_t i = 0; i < world->options.nodes; i++)
        world_start(world, i, false);
}

void world_stop(struct world *world, uint32_t n)
{
    struct node *node = &world->nodes[n];

    if (node->core == NULL) return;
    (void)munmap(node->memory, node->memory_len);
    node->core = NULL;
    node->life++;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        if (i == n || world->nodes[i].core == NULL) continue;
        step(world, i, (struct core_event){.kind = CORE_EVENT_PEER_DOWN, .peer = (authority_t)n});
    }
}

void world_wipe(struct world *world, uint32_t n)
{
    struct node *node = &world->nodes[n];

    CHECK(node->core == NULL);
    for (unsigned t = 0; t < CORE_TABLES; t++)
        world_table_erase(&node->tables[t], 0, node->tables[t].count);
    node->batches_count = 0;
    node->executed_count = 0;
    node->delivered = 0;
    node->certified = 0;
    node->ready = false;
}

void world_cut(struct world *world, uint32_t a, uint32_t b, bool cut)
{
    world->cut[a][b] = cut;
    world->cut[b][a] = cut;
    if (!cut) link_up(world, a, b);
}

static struct held_batch batch_make(struct world *world, uint32_t n, uint32_t bytes)
{
    struct held_batch batch = {.author = n, .bytes = bytes, .created_at = world_wall_ms(world)};

    world->batches_made++;
    crypto_hash_one(&batch.digest, &world->batches_made, sizeof world->batches_made);
    return batch;
}

static void give_batch(struct world *world,
                       uint32_t n,
                       const struct held_batch *batch,
                       bool streamed)
{
    struct core_event event = {.kind = CORE_EVENT_BATCH_STORED, .peer = (authority_t)batch->author};

    hold_batch(&world->nodes[n], batch);
    event.batch.digest = batch->digest;
    event.batch.bytes = batch->bytes;
    event.batch.transactions = 1;
    event.batch.created_at = batch->created_at;
    event.batch.streamed = streamed;
    step(world, n, event);
}

void world_store(struct world *world, uint32_t n, uint32_t author, const struct digest *digest)
{
    struct held_batch batch = {*digest, author, 500, world_wall_ms(world)};

    give_batch(world, n, &batch, author != n);
}

struct digest world_submit(struct world *world, uint32_t n, uint32_t bytes)
{
    struct held_batch batch = batch_make(world, n, bytes);

    give_batch(world, n, &batch, false);
    for (uint32_t to = 0; to < world->options.nodes; to++) {
        if (to != n) post_batch(world, n, to, &batch, true);
    }
    return batch.digest;
}

static void receive(struct world *world, struct letter *letter)
{
    struct node *node = &world->nodes[letter->to];
    struct core_event event = {.peer = (authority_t)letter->from};

    if (node->core == NULL || node->life != letter->life) return;
    switch (letter->kind) {
    case LETTER_MESSAGE:
        event.kind = CORE_EVENT_MESSAGE;
        event.message = (struct bytes){letter->body, letter->len};
        step(world, letter->to, event);
        break;
    case LETTER_UP:
        event.kind = CORE_EVENT_PEER_UP;
        step(world, letter->to, event);
        break;
    case LETTER_BATCH:
        give_batch(world, letter->to, &letter->batch, letter->streamed);
        break;
    }
}

/* The node whose timer is due first, and when. */
static uint32_t next_timer(const struct world *world, uint64_t *ret_at_us)
{
    uint32_t node = 0;

    *ret_at_us = UINT64_MAX;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        uint64_t deadline;

        if (world->nodes[i].core == NULL) continue;
        deadline = core_deadline_us(world->nodes[i].core);
        if (deadline != UINT64_MAX) deadline = u64_max(deadline, world->now_us);
        if (deadline >= *ret_at_us) continue;
        *ret_at_us = deadline;
        node = i;
    }
    return node;
}

void world_run(struct world *world, uint64_t us)
{
    uint64_t end = world->now_us + us;

    for (;;) {
        uint64_t timer_us;
        uint32_t node = next_timer(world, &timer_us);
        uint64_t letter_us = world->letters_count > 0 ? world->letters[0].at_us : UINT64_MAX;

        if (u64_min(timer_us, letter_us) > end) break;
        world->now_us = u64_max(world->now_us, u64_min(timer_us, letter_us));
        if (letter_us <= timer_us) {
            struct letter letter = letter_take(world);

            receive(world, &letter);
            free(letter.body);
        } else {
            step(world, node, (struct core_event){.kind = CORE_EVENT_TIMER});
        }
    }
    world->now_us = end;
}

void world_inject(struct world *world, uint32_t node, uint32_t from, struct bytes body)
{
    step(world, node,
         (struct core_event){
             .kind = CORE_EVENT_MESSAGE, .peer = (authority_t)from, .message = body});
}

void world_watch(struct world *world, world_watcher *watcher, void *context)
{
    world->watcher = watcher;
    world->watcher_context = context;
}

void world_lose(struct world *world, uint8_t kind)
{
    world->lost_kind = kind;
}

/* ---- looking --------------------------------------------------------------------------------- */

struct core *world_core(struct world *world, uint32_t node)
{
    return world->nodes[node].core;
}

const struct committee *world_committee(const struct world *world)
{
    return &world->committee;
}

const struct secret_key *world_key(const struct world *world, uint32_t node)
{
    return &world->keys[node];
}

uint64_t world_now(const struct world *world)
{
    return world->now_us;
}

uint64_t world_wall_ms(const struct world *world)
{
    return UINT64_C(1700000000000) + world->now_us / 1000;
}

uint64_t world_delivered(const struct world *world, uint32_t node)
{
    return world->nodes[node].delivered;
}

struct digest world_preblock(const struct world *world, uint32_t node, uint64_t index)
{
    CHECK(index >= 1);
    CHECK(index <= world->nodes[node].delivered);
    return world->nodes[node].preblocks[index];
}

uint64_t world_certified(const struct world *world, uint32_t node)
{
    return world->nodes[node].certified;
}

uint32_t world_executed(const struct world *world, uint32_t node, const struct digest *digest)
{
    uint32_t count = 0;

    for (size_t i = 0; i < world->nodes[node].executed_count; i++) {
        if (digest_equal(&world->nodes[node].executed[i], digest)) count++;
    }
    return count;
}

const char *world_alarm(const struct world *world, uint32_t node)
{
    return world->nodes[node].alarm;
}

bool world_ready(const struct world *world, uint32_t node)
{
    return world->nodes[node].ready;
}

size_t world_rows(const struct world *world, uint32_t node, enum core_table table)
{
    return world->nodes[node].tables[table].count;
}

struct bytes world_row(const struct world *world,
                       uint32_t node,
                       enum core_table table,
                       struct bytes key)
{
    const struct table *rows = &world->nodes[node].tables[table];
    size_t at = world_table_lower(rows, key);

    if (at == rows->count || world_key_compare(&rows->rows[at], key) != 0)
        return (struct bytes){NULL, 0};
    return (struct bytes){rows->rows[at].value, rows->rows[at].value_len};
}
