/* The copy of a rollup's durable storage: a walk over subkeys, some calls at a time. */
#include "sequencer/rollup_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "rollup-kernel/host/durable.h"

/* Calls under way at once, and bounds of what is copied. */
#define COPY_CALLS_MAX  16u
#define COPY_TRIES_MAX  5u /* of one call: a copy of a thousand calls is not lost with one of them */
#define COPY_PATHS_MAX  1000000u
#define COPY_BYTES_MAX  (512u * 1024u * 1024u)
#define VALUE_BYTES_MAX (16u * 1024u * 1024u)

/* What is under the root of a kernel's storage (docs/rollup.md, durable storage). */
static const char *const roots[] = {
    "/kernel", "/accepted",    "/index",   "/digest", "/head",  "/pending",
    "/pages",  "/authorities", "/epoch",   "/mode",   "/state", "/application",
    "/run",    "/blocks",      "/counter", "/fault",
};

/* Below these every name is a value without children. */
static const char *const lists[] = {"/blocks", "/pending", "/authorities"};

struct copy;

struct task {
    struct copy *copy;
    struct task *next;
    bool is_value;
    uint32_t tries;
    char path[DURABLE_PATH_BYTES_MAX + 1];
};

struct copy {
    struct rollup_client *client;
    rollup_copy_done *done;
    void *context;
    struct durable *durable;
    struct task *tasks; /* waiting */
    uint32_t calls;
    uint64_t paths;
    uint64_t bytes;
    char hash[ROLLUP_HASH_BYTES];
    char failure[256];
};

static void add_task(struct copy *copy, const char *parent, const char *name, bool is_value)
{
    struct task *task = calloc(1, sizeof *task);

    CHECK(task != NULL);
    task->copy = copy;
    task->is_value = is_value;
    int len =
        snprintf(task->path, sizeof task->path, "%s%s%s", parent, name[0] == '\0' ? "" : "/", name);
    if (len < 0 || (size_t)len >= sizeof task->path ||
        durable_check_path(durable_path(task->path)) != 0 || ++copy->paths > COPY_PATHS_MAX) {
        snprintf(copy->failure, sizeof copy->failure, "storage has too many or impossible paths");
        free(task);
        return;
    }
    task->next = copy->tasks;
    copy->tasks = task;
}

static bool is_list(const char *path)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(path, lists[i]) == 0) return true;
    }
    return strncmp(path, "/pages/", 7) == 0 && strchr(path + 7, '/') == NULL;
}

static void copy_end(struct copy *copy)
{
    while (copy->tasks != NULL) {
        struct task *task = copy->tasks;
        copy->tasks = task->next;
        free(task);
    }
    if (copy->failure[0] == '\0') {
        copy->done(copy->context, copy->durable, NULL);
    } else {
        durable_close(copy->durable);
        copy->done(copy->context, NULL, copy->failure);
    }
    free(copy);
}

static void copy_advance(struct copy *copy);

static void take_value(struct copy *copy, const char *path, const json_t *json)
{
    const size_t capacity = json_string_length(json) / 2;
    size_t len;

    if (json_is_null(json)) return;
    uint8_t *value = capacity > VALUE_BYTES_MAX ? NULL : malloc(capacity + 1);
    CHECK(value != NULL || capacity > VALUE_BYTES_MAX);
    if (value != NULL && rollup_read_hex(value, &len, capacity, json) &&
        copy->bytes + len <= COPY_BYTES_MAX) {
        copy->bytes += len;
        durable_set(copy->durable, durable_path(path), (struct bytes){value, len});
    } else {
        snprintf(copy->failure, sizeof copy->failure, "%.100s: value is too large or not hex",
                 path);
    }
    free(value);
}

static void take_subkeys(struct copy *copy, const char *path, const json_t *json)
{
    size_t at;
    const json_t *name;

    json_array_foreach(json, at, name)
    {
        const char *text = json_string_value(name);
        if (text == NULL) continue;
        add_task(copy, path, text, text[0] == '\0' || is_list(path));
    }
}

static void on_answer(void *context, const json_t *json, const char *failure)
{
    struct task *task = context;
    struct copy *copy = task->copy;

    copy->calls--;
    bool again = copy->failure[0] == '\0' && rollup_client_is_up(copy->client);
    if (failure != NULL && again && ++task->tries < COPY_TRIES_MAX) {
        task->next = copy->tasks;
        copy->tasks = task;
        copy_advance(copy);
        return;
    }
    if (failure != NULL) {
        if (copy->failure[0] == '\0') snprintf(copy->failure, sizeof copy->failure, "%s", failure);
    } else if (task->is_value) {
        take_value(copy, task->path, json);
    } else {
        take_subkeys(copy, task->path, json);
    }
    free(task);
    copy_advance(copy);
}

static void copy_advance(struct copy *copy)
{
    while (copy->failure[0] == '\0' && copy->tasks != NULL && copy->calls < COPY_CALLS_MAX) {
        struct task *task = copy->tasks;
        copy->tasks = task->next;
        copy->calls++;
        if (task->is_value) {
            rollup_get_value(copy->client, on_answer, task, copy->hash, task->path);
        } else {
            rollup_get_subkeys(copy->client, on_answer, task, copy->hash, task->path);
        }
    }
    if (copy->calls == 0) copy_end(copy);
}

void rollup_copy(struct rollup_client *client,
                 rollup_copy_done *done,
                 void *context,
                 const char *hash)
{
    struct copy *copy = calloc(1, sizeof *copy);

    CHECK(copy != NULL);
    CHECK(strlen(hash) < sizeof copy->hash);
    *copy = (struct copy){.client = client, .done = done, .context = context};
    memcpy(copy->hash, hash, strlen(hash) + 1);
    copy->durable = durable_new();
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        add_task(copy, roots[i], "", false);
    copy_advance(copy);
}
