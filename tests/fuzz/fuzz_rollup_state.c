#include "tests/fuzz/fuzz.h"

#include "common/bytes.h"
#include "rollup-kernel/host/durable.h"
#include "sequencer/rollup_state.h"

/* Everything that the sequencer reads of a rollup node that may be anything: the state at a head, and the copy of all
 * durable storage. This driver stands where rollup_client.c does: each question is answered by the next line of the
 * input, as that line were the body of a reply; behind the last one nobody answers.
 *
 *   input = JSON texts, one per line */
#define QUESTIONS_MAX 200u

struct answers {
    struct bytes rest;
    uint32_t count;
};

static struct answers answers;

/* Questions wait, as they do for the network: nobody calls back while it is asked. */
static struct question {
    rollup_done *done;
    void *context;
} questions[64];
static size_t questions_count;

static void ask(rollup_done *done, void *context, const char *path)
{
    CHECK(durable_check_path(durable_path(path)) == 0);
    CHECK(questions_count < sizeof questions / sizeof questions[0]);
    questions[questions_count++] = (struct question){done, context};
}

/* So that a copy asks again for what was not answered. */
bool rollup_client_is_up(const struct rollup_client *client)
{
    (void)client;
    return true;
}

void rollup_get_value(struct rollup_client *client,
                      rollup_done *done,
                      void *context,
                      const char *block,
                      const char *path)
{
    (void)client;
    (void)block;
    ask(done, context, path);
}

void rollup_get_subkeys(struct rollup_client *client,
                        rollup_done *done,
                        void *context,
                        const char *block,
                        const char *path)
{
    (void)client;
    (void)block;
    ask(done, context, path);
}

static json_t *next_answer(void)
{
    const uint8_t *end = memchr(answers.rest.data, '\n', answers.rest.len);
    size_t len = end == NULL ? answers.rest.len : (size_t)(end - answers.rest.data);
    json_t *json = json_loadb((const char *)answers.rest.data, len, JSON_DECODE_ANY, NULL);

    len += end != NULL;
    answers.rest = (struct bytes){answers.rest.data + len, answers.rest.len - len};
    return json;
}

static void answer_all(const uint8_t *data, size_t size)
{
    answers = (struct answers){.rest = {data, size}};
    while (questions_count > 0) {
        struct question question = questions[0];
        memmove(questions, questions + 1, --questions_count * sizeof questions[0]);
        if (answers.rest.len == 0 || answers.count++ == QUESTIONS_MAX) {
            question.done(question.context, NULL, "nobody answers");
            continue;
        }
        json_t *json = next_answer();
        question.done(question.context, json, json == NULL ? "not JSON" : NULL);
        json_decref(json);
    }
}

static void on_state(void *context, const struct rollup_state *state, const char *failure)
{
    bool *ended = context;

    CHECK(!*ended);
    *ended = true;
    CHECK((state == NULL) == (failure != NULL));
    if (state == NULL) return;
    CHECK(state->applied <= state->accepted);
    CHECK(state->installed || state->accepted == 0);
}

static void on_copy(void *context, struct durable *durable, const char *failure)
{
    bool *ended = context;
    struct digest digest;

    CHECK(!*ended);
    *ended = true;
    CHECK((durable == NULL) == (failure != NULL));
    if (durable != NULL) durable_hash(&digest, durable, durable_path(""));
    durable_close(durable);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hash[] = "BLockGenesisGenesisGenesisGenesisGenesisf79b5d1CoW2";
    bool ended = false;

    rollup_state_read(NULL, on_state, &ended, 7, hash);
    answer_all(data, size);
    CHECK(ended);
    ended = false;
    rollup_copy(NULL, on_copy, &ended, hash);
    answer_all(data, size);
    CHECK(ended);
    return 0;
}
