#include "consensus/node/exports.h"

#include <stdlib.h>

#include "common/log.h"

/* Repairs for one want; a pre-block has no more batches, so further ones mend nothing. */
#define WANT_REPAIRS_MAX PREBLOCK_BATCHES_MAX

struct want {
    uint64_t index;
    bool certified;
    bool reading;
    bool lacks_batch; /* waits for the repair of `lacking` */
    uint32_t repairs; /* so far */
    struct digest lacking;
};

/* Wants being read, and those that found no room with the storage thread and are tried again. */
struct exports {
    struct exports_options options;
    uint64_t oldest;
    uint64_t made;
    uint64_t certified;
    struct want wants[API_WANTS_MAX];
    size_t wants_count;
};

struct exports *exports_open(const struct exports_options *options)
{
    struct exports *exports = calloc(1, sizeof *exports);
    CHECK(exports != NULL);
    exports->options = *options;
    exports->oldest = 1;
    return exports;
}

void exports_close(struct exports *exports)
{
    free(exports);
}

static void post_tip(struct exports *exports)
{
    api_post_tip(exports->options.api, exports->oldest, exports->made, exports->certified);
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
    return storage_submit_export(exports->options.storage, want->index, want->certified, asked);
}

/* Begins the reads that are not begun yet, as far as the storage thread takes them. */
static void begin_reads(struct exports *exports)
{
    for (size_t i = 0; i < exports->wants_count; i++) {
        struct want *want = &exports->wants[i];
        if (want->reading || want->lacks_batch) continue;
        if (!submit_read(exports, want)) return;
        want->reading = true;
    }
}

void exports_want(struct exports *exports, uint64_t index, bool certified)
{
    for (size_t i = 0; i < exports->wants_count; i++)
        if (exports->wants[i].index == index && exports->wants[i].certified == certified) return;
    if (exports->wants_count == API_WANTS_MAX) {
        api_post_gone(exports->options.api, index, certified, exports->oldest);
        return;
    }
    exports->wants[exports->wants_count++] = (struct want){.index = index, .certified = certified};
    begin_reads(exports);
}

/* The want that this request read. */
static struct want *find_want(struct exports *exports, const struct storage_request *request)
{
    bool certified = request->context != NULL;

    for (size_t i = 0; i < exports->wants_count; i++) {
        struct want *want = &exports->wants[i];
        if (want->index == request->index && want->certified == certified && want->reading)
            return want;
    }
    return NULL;
}

static void drop_want(struct exports *exports, struct want *want)
{
    size_t after = (size_t)(&exports->wants[--exports->wants_count] - want);

    memmove(want, want + 1, after * sizeof *want);
}

static void give_up(struct exports *exports, struct want *want, const char *why)
{
    log_warn("export: pre-block %llu cannot be read: %s", (unsigned long long)want->index, why);
    api_post_gone(exports->options.api, want->index, want->certified, exports->oldest);
    drop_want(exports, want);
}

/* True when the want waits for a repair now. */
static bool begin_repair(struct exports *exports,
                         struct want *want,
                         const struct storage_request *request)
{
    const struct exports_options *options = &exports->options;

    if (request->status != ERR_MISSING || !request->lacks_batch) return false;
    if (want->index < exports->oldest || want->repairs == WANT_REPAIRS_MAX) return false;
    want->reading = false;
    want->lacks_batch = true;
    want->lacking = request->record.digest;
    want->repairs++;
    if (options->repair(options->context, &want->lacking, request->record.worker)) return true;
    want->lacks_batch = false;
    return false;
}

enum status exports_completed(struct exports *exports, struct storage_request *request)
{
    const enum status status = request->status;
    struct want *want = find_want(exports, request);

    CHECK(want != NULL);
    if (status == OK) {
        api_post_item(exports->options.api, want->index, want->certified, request->buffer);
        drop_want(exports, want);
    } else if (!begin_repair(exports, want, request)) {
        give_up(exports, want, status_text(status));
    }
    storage_request_free(request);
    begin_reads(exports);
    return status == ERR_IO || status == ERR_CORRUPT ? status : OK;
}

void exports_repaired(struct exports *exports, const struct digest *digest, bool back)
{
    for (size_t i = exports->wants_count; i > 0; i--) {
        struct want *want = &exports->wants[i - 1];

        if (!want->lacks_batch || !digest_equal(&want->lacking, digest)) continue;
        want->lacks_batch = false;
        if (!back) give_up(exports, want, "a batch of it is rotten here and gone elsewhere");
    }
    begin_reads(exports);
}
