#include "tests/golden/dag_script.h"

#include <stdlib.h>

#include "tests/golden/dag_script_internal.h"

struct dag_script *dag_script_open(FILE *output)
{
    struct dag_script *script = calloc(1, sizeof *script);
    CHECK(script != NULL);
    script->vertices = calloc(SCRIPT_VERTICES_MAX, sizeof *script->vertices);
    CHECK(script->vertices != NULL);
    script->output = output;
    script->options.rule = (struct commit_parameters){.stride = 1, .fast = true};
    script->options.gc_depth = GC_DEPTH;
    script->options.window = SCHEDULE_WINDOW;
    script->options.dag_rounds = DAG_ROUNDS;
    return script;
}

static void script_drop_state(struct dag_script *script)
{
    free(script->dag);
    free(script->orderer);
    script->dag = NULL;
    script->orderer = NULL;
}

void dag_script_close(struct dag_script *script)
{
    script_drop_state(script);
    for (uint32_t i = 0; i < script->records_count; i++)
        free(script->records[i].data);
    free(script->vertices);
    free(script);
}

static void *script_memory(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);
    CHECK(memory != NULL);
    return memset(memory, 0, rounded);
}

/* The first change fixes committee and rule. */
static void script_start(struct dag_script *script)
{
    if (script->dag != NULL) return;
    script->options.committee = &script->committee;
    dag_init(&script->dag,
             script_memory(dag_bytes(script->committee.count, script->options.dag_rounds)),
             &script->committee, script->options.dag_rounds);
    orderer_init(&script->orderer, script_memory(orderer_bytes(&script->options)),
                 &script->options);
    if (script->records_count == 0) script->chain = preblock_chain_start(&script->committee);
}

static bool script_complain(struct dag_script *script, const char *problem, const char *word)
{
    fprintf(script->output, "? %s: %s\n", problem, word);
    return false;
}

/* ---- ordering -------------------------------------------------------------------------------- */

static void script_cut(struct dag_script *script, const struct ordering_record *record)
{
    struct batch_size *sizes = calloc((size_t)record->batches_count + 1, sizeof *sizes);
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;
    struct ordering_batch batch;
    struct preblock_cutter cutter;
    struct preblock_cut cut;
    uint32_t count = 0;

    while (ordering_record_next(&cursor, &vertex))
        while (ordering_record_next_batch(&cursor, &batch))
            sizes[count++] = script_batch_by_digest(script, &batch.digest)->size;
    preblock_cutter_begin(&cutter, record, sizes);
    while (preblock_cutter_next(&cutter, &cut, &script->chain))
        script_print_cut(script, &cut);
    free(sizes);
}

static void script_decide(struct dag_script *script)
{
    struct commit_decision decision;
    struct ordering_record record;

    while (orderer_decide(script->orderer, &decision, script->dag)) {
        commit_rule_check(script->dag, &decision);
        orderer_order(script->orderer, &record, script->dag, &decision);
        script_print_record(script, &record, decision.how);
        script_cut(script, &record);
        struct script_record *kept = &script->records[script->records_count++];
        kept->len = record.bytes.len;
        kept->data = script_memory(kept->len);
        memcpy(kept->data, record.bytes.data, kept->len);
        dag_collect(script->dag, orderer_gc_round(script->orderer));
    }
    dag_check(script->dag);
    orderer_check(script->orderer);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void script_report(struct dag_script *script,
                          const struct script_vertex *vertex,
                          enum status status)
{
    if (status == OK) return;
    fprintf(script->output, "%lu%c%s: %s\n", (unsigned long)vertex->header.round,
            'A' + vertex->header.author, vertex->twin ? "'" : "", status_text(status));
}

static void script_insert(struct dag_script *script, struct script_vertex *vertex)
{
    enum status status = dag_insert(script->dag, &vertex->header, &vertex->digest);
    script_report(script, vertex, status);
    if (status == OK) vertex->inserted = true;
    script_decide(script);
}

/* insert, first, certify: the round, then vertices. */
static bool script_run_vertices(struct dag_script *script, const char *verb, char *words)
{
    char *save = NULL;
    const char *word = strtok_r(words, " ", &save);
    if (word == NULL) return script_complain(script, "no round", verb);
    round_t round = strtoull(word, NULL, 10);

    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        struct script_vertex *vertex = script_read_vertex(script, round, word);
        if (vertex == NULL) return script_complain(script, "no such vertex", word);
        if (strcmp(verb, "insert") == 0) {
            script_insert(script, vertex);
            continue;
        }
        enum status status =
            strcmp(verb, "first") == 0
                ? dag_note_first_header(script->dag, &vertex->header, &vertex->digest)
                : dag_note_certified(script->dag, &vertex->header, &vertex->digest);
        script_report(script, vertex, status);
        script_decide(script);
    }
    return true;
}

/* rounds FROM-TO LETTERS */
static bool script_run_rounds(struct dag_script *script, const char *words)
{
    unsigned long from = 0;
    unsigned long to = 0;
    char letters[AUTHORITIES_MAX + 1] = "";
    if (sscanf(words, "%lu-%lu %100s", &from, &to, letters) != 3 || from == 0)
        return script_complain(script, "rounds FROM-TO AUTHORS", words);

    for (round_t round = from; round <= to; round++) {
        for (const char *letter = letters; *letter != 0; letter++) {
            authority_t author = (authority_t)(*letter - 'A');
            struct script_vertex *vertex = script_add(script, round, author, false);
            for (uint32_t a = 0; round > 1 && a < script->committee.count; a++) {
                const struct dag_vertex *parent = dag_get(script->dag, round - 1, (authority_t)a);
                if (parent != NULL) script_add_parent(&vertex->header, &parent->digest);
            }
            script_keep(script, vertex);
            script_insert(script, vertex);
        }
    }
    return true;
}

static bool script_run_committee(struct dag_script *script, char *words)
{
    uint32_t stakes[26];
    uint32_t count = 0;
    char *save = NULL;

    for (char *word = strtok_r(words, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (word[0] != 'A' + (int)count || count == 26)
            return script_complain(script, "members go A, B, ..", word);
        stakes[count++] = word[1] == '*' ? (uint32_t)strtoul(word + 2, NULL, 10) : 1;
    }
    test_committee_make(&script->committee, count, stakes, 1);
    return true;
}

static bool script_run_rule(struct dag_script *script, const char *words)
{
    unsigned stride = 0;
    unsigned fast = 0;
    unsigned gc = 0;
    unsigned window = 0;
    if (sscanf(words, "stride=%u fast=%u gc=%u window=%u", &stride, &fast, &gc, &window) != 4)
        return script_complain(script, "stride= fast= gc= window=", words);
    script->options.rule = (struct commit_parameters){.stride = stride, .fast = fast != 0};
    script->options.gc_depth = gc;
    script->options.window = window;
    return true;
}

/* Tries committee digests until the empty prefix gives these leaders. */
static bool script_run_leaders(struct dag_script *script, const char *letters)
{
    uint32_t stakes[AUTHORITIES_MAX];
    uint32_t count = script->committee.count;
    struct schedule *schedule = malloc(sizeof *schedule);
    bool found = false;

    for (uint32_t a = 0; a < count; a++)
        stakes[a] = script->committee.members[a].stake;
    for (uint64_t nonce = 1; !found && nonce < 10000000; nonce++) {
        test_committee_make(&script->committee, count, stakes, nonce);
        if (nonce == 1) schedule_init(schedule, &script->committee, 1);
        found = true;
        for (size_t i = 0; found && letters[i] != 0; i++)
            found = schedule_leader(schedule, i + 1) == letters[i] - 'A';
    }
    free(schedule);
    return found || script_complain(script, "no such schedule", letters);
}

static bool script_run_batch(struct dag_script *script, const char *words)
{
    char name[SCRIPT_NAME_MAX] = "";
    struct batch_size size = {0, 0};
    if (sscanf(words, "%15s %u %u", name, &size.bytes, &size.transactions) != 3)
        return script_complain(script, "batch NAME BYTES TRANSACTIONS", words);
    script_batch(script, name, strlen(name))->size = size;
    return true;
}

static bool script_run_leader(struct dag_script *script, char *words)
{
    char *save = NULL;
    fprintf(script->output, "leaders");
    for (char *word = strtok_r(words, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        round_t round = strtoull(word, NULL, 10);
        authority_t leader = schedule_leader(orderer_schedule(script->orderer), round);
        fprintf(script->output, " %lu%c", (unsigned long)round, 'A' + leader);
    }
    fputc('\n', script->output);
    return true;
}

static bool script_run_state(struct dag_script *script)
{
    fprintf(script->output,
            "sequence %lu, anchor round %lu, gc round %lu, quorum round %lu, excluded",
            (unsigned long)orderer_sequence(script->orderer),
            (unsigned long)orderer_anchor_round(script->orderer),
            (unsigned long)dag_gc_round(script->dag), (unsigned long)dag_quorum_round(script->dag));
    script_print_set(script, &orderer_schedule(script->orderer)->excluded);
    fputc('\n', script->output);
    return true;
}

static bool script_run_restart(struct dag_script *script)
{
    uint32_t window = script->options.window;
    uint32_t from = script->records_count > window ? script->records_count - window : 0;

    script_drop_state(script);
    script_start(script);
    for (uint32_t i = from; i < script->records_count; i++) {
        struct bytes bytes = {script->records[i].data, script->records[i].len};
        enum status status = orderer_replay(script->orderer, script->dag, bytes);
        CHECK(status == OK);
    }
    enum status status = orderer_replay_end(script->orderer);
    CHECK(status == OK);
    for (uint32_t i = 0; i < script->vertices_count; i++) {
        struct script_vertex *vertex = &script->vertices[i];
        if (vertex->inserted && vertex->header.round > dag_gc_round(script->dag))
            script_insert(script, vertex);
    }
    return script_run_state(script);
}

bool dag_script_run(struct dag_script *script, const char *line)
{
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", line) >= (int)sizeof copy)
        return script_complain(script, "line too long", "");
    char *words = NULL;
    const char *verb = strtok_r(copy, " ", &words);
    if (verb == NULL) return true;

    if (strcmp(verb, "committee") == 0) return script_run_committee(script, words);
    if (strcmp(verb, "rule") == 0) return script_run_rule(script, words);
    if (strcmp(verb, "leaders") == 0) return script_run_leaders(script, words);
    if (strcmp(verb, "batch") == 0) return script_run_batch(script, words);
    script_start(script);
    if (strcmp(verb, "rounds") == 0) return script_run_rounds(script, words);
    if (strcmp(verb, "leader") == 0) return script_run_leader(script, words);
    if (strcmp(verb, "state") == 0) return script_run_state(script);
    if (strcmp(verb, "restart") == 0) return script_run_restart(script);
    if (strcmp(verb, "insert") == 0 || strcmp(verb, "first") == 0 || strcmp(verb, "certify") == 0)
        return script_run_vertices(script, verb, words);
    return script_complain(script, "no such command", verb);
}
