#include "consensus/node/exports.h"

#include <stdlib.h>

#include "common/log.h"

struct want {
    uint64_t index;
    bool certified;
    bool reading;
};

/* Wants being read, and those that found no room with the storage thread and are tried again. */
struct exports {
    struct api *api;
    struct storage_client *storage;
    uint64_t oldest;
    uint64_t made;
    uint64_t certified;
    struct want wants[API_WANTS_MAX];
    size_t wants_count;
};

struct exports *exports_open(struct api *api, struct storage_client *storage)
{
    struct exports *exports = calloc(1, sizeof *exports);
    CHECK(exports != NULL);
    exports->api = api;
    exports->storage = storage;
    exports->oldest = 1;
    return exports;
}

void exports_close(struct exports *exports)
{
    free(exports);
}

static void post_tip(struct exports *exports)
{
    api_post_tip(exports->api, exports->oldest, exports->made, exports->certified);
}

void exports_set_tip(struct exports *exports, uint64_t oldest, uint64_t made, uint64_t certified)
{
    CHECK(oldest >= 1);
    exports->oldest = oldest;
    exports->made = made;
    exports->certified = certified;
    post_tip(exports);
}

void exports_made(struct exports *exports, uint64_t index)
{
    CHECK(index == exports->made + 1);
    exports->made = index;
    post_tip(exports);
}

void exports_certified(struct exports *exports, uint64_t index)
{
    if (index <= exports->certified) return;
    exports->certified = index;
    post_tip(exports);
}

void exports_pruned(struct exports *exports, uint64_t oldest)
{
    if (oldest <= exports->oldest) return;
    exports->oldest = oldest;
    post_tip(exports);
}

uint64_t exports_oldest(const struct exports *exports)
{
    return exports->oldest;
}

/* The request comes back with what it found in `certified`; what was asked for is in its context.
 */
static bool submit_read(struct exports *exports, const struct want *want)
{
    void *asked = (void *)(uintptr_t)(want->certified ? 1 : 0);
    return storage_submit_export(exports->storage, want->index, want->certified, asked);
}

/* Begins the reads that are not begun yet, as far as the storage thread takes them. */
static void begin_reads(struct exports *exports)
{
    for (size_t i = 0; i < exports->wants_count; i++) {
        struct want *want = &exports->wants[i];
        if (want->reading) continue;
        if (!submit_read(exports, want)) return;
        want->reading = true;
    }
}

void exports_want(struct exports *exports, uint64_t index, bool certified)
{
    for (size_t i = 0; i < exports->wants_count; i++)
        if (exports->wants[i].index == index && exports->wants[i].certified == certified) return;
    if (exports->wants_count == API_WANTS_MAX) {
        api_post_gone(exports->api, index, certified, exports->oldest);
        return;
    }
    exports->wants[exports->wants_count++] = (struct want){index, certified, false};
    begin_reads(exports);
}

/* Takes the want that this request read off the list. */
static bool take_want(struct exports *exports,
                      const struct storage_request *request,
                      struct want *ret_want)
{
    bool certified = request->context != NULL;
    for (size_t i = 0; i < exports->wants_count; i++) {
        const struct want *want = &exports->wants[i];
        if (want->index != request->index || want->certified != certified || !want->reading)
            continue;
        *ret_want = *want;
        exports->wants_count--;
        memmove(&exports->wants[i], &exports->wants[i + 1],
                (exports->wants_count - i) * sizeof exports->wants[0]);
        return true;
    }
    return false;
}

enum status exports_completed(struct exports *exports, struct storage_request *request)
{
    enum status status = request->status == ERR_IO ? ERR_IO : OK;
    struct want want;

    CHECK(take_want(exports, request, &want));
    if (request->status == OK) {
        api_post_item(exports->api, want.index, want.certified, request->buffer);
    } else {
        log_warn("export: pre-block %llu cannot be read: %s", (unsigned long long)want.index,
                 status_text(request->status));
        api_post_gone(exports->api, want.index, want.certified, exports->oldest);
    }
    storage_request_free(request);
    begin_reads(exports);
    return status;
}
