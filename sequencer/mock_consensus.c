#include "sequencer/mock_consensus.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "common/hash_pages.h"
#include "common/key_file.h"
#include "common/limits.h"
#include "sequencer/mock_record.h"

/* A pre-block is made at once when so much waits. */
#define FULL_BYTES       (2u * 1024u * 1024u)

#define RECORD_BYTES_MAX (PREBLOCK_BYTES_MAX + 8u * BATCH_BYTES_MAX)

/* A pre-block as it is in the file, without the length. */
struct record {
    uint8_t *data;
    size_t len;
};

struct waiting {
    struct submission submission;
    struct waiting *next;
};

struct mock {
    struct consensus consensus; /* first */
    struct event_base *base;
    const struct committee *committee;
    struct secret_key keys[MOCK_MEMBERS];
    int file;
    struct record *records; /* index 1 is [0] */
    uint64_t count;
    uint64_t bytes;
    struct digest last_digest;
    uint64_t last_timestamp;
    struct event *timer;
    struct writer batches[MOCK_BATCHES_MAX]; /* open for the next pre-block; the last one grows */
    uint32_t batches_count;
    uint32_t transactions;
    uint64_t open_bytes;
    struct waiting *waiting;
    struct consensus_stream *streams;
};

struct consensus_stream {
    struct mock *mock;
    struct consensus_stream *next;
    struct consensus_follow follow;
    struct event *event;
    uint64_t last; /* delivered */
    bool paused;
    bool closed;
};

static struct bytes record_view(const struct record *record)
{
    return (struct bytes){record->data, record->len};
}

/* ---- streams --------------------------------------------------------------------------------- */

static void stream_free(struct consensus_stream *stream)
{
    struct consensus_stream **link = &stream->mock->streams;

    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    event_free(stream->event);
    free(stream);
}

/* Delivers one pre-block and comes back for the next. */
static void on_stream(evutil_socket_t fd, short what, void *context)
{
    struct consensus_stream *stream = context;
    struct mock *mock = stream->mock;
    struct da_preblock *preblock;
    struct preblock header;

    (void)fd;
    (void)what;
    if (stream->closed) {
        stream_free(stream);
        return;
    }
    if (stream->paused || stream->last >= mock->count) return;
    CHECK(mock_record_open(&preblock, &header, record_view(&mock->records[stream->last])) == OK);
    stream->last++;
    event_active(stream->event, 0, 0);
    stream->follow.on_preblock(stream->follow.context, preblock);
}

static struct consensus_stream *mock_open_stream(struct consensus *consensus,
                                                 const struct consensus_follow *follow)
{
    struct mock *mock = (struct mock *)consensus;
    struct consensus_stream *stream = calloc(1, sizeof *stream);

    CHECK(stream != NULL);
    *stream = (struct consensus_stream){
        .mock = mock, .next = mock->streams, .follow = *follow, .last = follow->from};
    stream->event = event_new(mock->base, -1, 0, on_stream, stream);
    CHECK(stream->event != NULL);
    mock->streams = stream;
    event_active(stream->event, 0, 0);
    return stream;
}

static void mock_pause(struct consensus_stream *stream, bool pause)
{
    stream->paused = pause;
    if (!pause) event_active(stream->event, 0, 0);
}

static void mock_close_stream(struct consensus_stream *stream)
{
    stream->closed = true;
    event_active(stream->event, 0, 0);
}

/* ---- pre-blocks ------------------------------------------------------------------------------ */

static void take_record(struct mock *mock, const struct preblock *header, struct record record)
{
    if ((mock->count & (mock->count + 1)) == 0) {
        mock->records = realloc(mock->records, 2 * (mock->count + 1) * sizeof *mock->records);
        CHECK(mock->records != NULL);
    }
    mock->records[mock->count++] = record;
    mock->bytes += record.len;
    mock->last_timestamp = header->timestamp;
    preblock_digest(&mock->last_digest, header);
}

static void make_header(struct preblock *ret_header, const struct mock *mock)
{
    struct digest manifest[MOCK_BATCHES_MAX];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
    *ret_header = (struct preblock){
        .epoch = mock->committee->epoch,
        .index = mock->count + 1,
        .previous = mock->last_digest,
        .round = 2 * (mock->count + 1),
        .timestamp = u64_max(ms, mock->last_timestamp + 1),
        .batches = mock->batches_count,
        .transactions = mock->transactions,
        .bytes = mock->open_bytes,
    };
    crypto_hash_one(&ret_header->leader, &ret_header->round, sizeof ret_header->round);
    for (uint32_t i = 0; i < mock->batches_count; i++)
        hash_pages_root(&manifest[i], mock->batches[i].data, mock->batches[i].len);
    preblock_manifest(&ret_header->payload, manifest, mock->batches_count);
}

/* The open batches as a record behind its length. */
static struct record make_record(struct preblock *ret_header, const struct mock *mock)
{
    uint8_t *data = malloc(4 + RECORD_BYTES_MAX);
    struct writer writer = writer_make(data, 4 + RECORD_BYTES_MAX);
    struct bytes batches[MOCK_BATCHES_MAX];
    struct quorum quorum = {.count = 0};
    struct digest digest;

    CHECK(data != NULL);
    make_header(ret_header, mock);
    preblock_digest(&digest, ret_header);
    /* The smallest quorum of four: three, each time another one is missing. */
    for (uint32_t i = 0; i < MOCK_MEMBERS; i++) {
        if (i == ret_header->index % MOCK_MEMBERS) continue;
        quorum.signers[quorum.count] = (uint8_t)i;
        crypto_sign(&quorum.signatures[quorum.count++], SCOPE_PREBLOCK, &digest, &mock->keys[i]);
    }
    writer_u32(&writer, 0);
    for (uint32_t i = 0; i < mock->batches_count; i++)
        batches[i] = writer_view(&mock->batches[i]);
    mock_record_write(&writer, ret_header, &quorum, batches, mock->batches_count);
    CHECK(!writer.failed);
    struct writer length = writer_make(data, 4);
    writer_u32(&length, (uint32_t)writer.len - 4);
    return (struct record){data, writer.len};
}

static bool append_file(const struct mock *mock, const struct record *record)
{
    size_t at = 0;

    while (at < record->len) {
        ssize_t written = write(mock->file, record->data + at, record->len - at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        at += (size_t)written;
    }
    return fdatasync(mock->file) == 0;
}

static void answer_waiting(struct mock *mock,
                           enum submitted result,
                           uint64_t index,
                           const char *text)
{
    struct waiting *waiting = mock->waiting;

    mock->waiting = NULL;
    while (waiting != NULL) {
        struct waiting *next = waiting->next;
        waiting->submission.done(waiting->submission.context, result, index, text);
        free(waiting);
        waiting = next;
    }
}

static void close_batches(struct mock *mock)
{
    for (uint32_t i = 0; i < mock->batches_count; i++)
        free(mock->batches[i].data);
    mock->batches_count = 0;
    mock->transactions = 0;
    mock->open_bytes = 0;
}

/* The open batches become the next pre-block, on disk before anybody hears of it. */
static void make_preblock(struct mock *mock)
{
    struct preblock header;

    event_del(mock->timer);
    if (mock->batches_count == 0) return;
    struct record record = make_record(&header, mock);
    close_batches(mock);
    /* A torn record would hide all behind it; a mock may simply stop. */
    CHECK(append_file(mock, &record));
    memmove(record.data, record.data + 4, record.len - 4);
    record.len -= 4;
    record.data = realloc(record.data, record.len);
    CHECK(record.data != NULL);
    take_record(mock, &header, record);
    for (struct consensus_stream *stream = mock->streams; stream != NULL; stream = stream->next)
        event_active(stream->event, 0, 0);
    answer_waiting(mock, SUBMITTED_OK, mock->count, "");
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    make_preblock(context);
}

static void add_transaction(struct mock *mock, const uint8_t *transaction, size_t len)
{
    size_t entry = batch_entry_bytes(len);
    uint32_t count = mock->batches_count;
    struct writer *batch = count == 0 ? NULL : &mock->batches[count - 1];

    if (batch == NULL || batch->len + entry > BATCH_BYTES_MAX) {
        CHECK(count < MOCK_BATCHES_MAX);
        uint8_t *data = malloc(BATCH_BYTES_MAX);
        CHECK(data != NULL);
        batch = &mock->batches[mock->batches_count++];
        *batch = writer_make(data, BATCH_BYTES_MAX);
    }
    batch_append(batch, transaction, len);
    mock->transactions++;
    mock->open_bytes += entry;
}

static void mock_submit(struct consensus *consensus,
                        const uint8_t *transaction,
                        size_t len,
                        const struct submission *submission)
{
    const struct timeval gather = {.tv_usec = MOCK_GATHER_US};
    struct mock *mock = (struct mock *)consensus;

    if (len == 0 || len > TRANSACTION_BYTES_MAX) {
        submission->done(submission->context, SUBMITTED_REFUSED, 0,
                         "a transaction has 1 to 262144 bytes");
        return;
    }
    if (mock->bytes > MOCK_HISTORY_BYTES_MAX) {
        submission->done(submission->context, SUBMITTED_BUSY, 0, "the mock's history is full");
        return;
    }
    struct waiting *waiting = malloc(sizeof *waiting);
    CHECK(waiting != NULL);
    *waiting = (struct waiting){*submission, mock->waiting};
    mock->waiting = waiting;
    add_transaction(mock, transaction, len);
    if (mock->open_bytes >= FULL_BYTES) {
        make_preblock(mock);
    } else if (!event_pending(mock->timer, EV_TIMEOUT, NULL)) {
        event_add(mock->timer, &gather);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool mock_is_up(const struct consensus *consensus)
{
    (void)consensus;
    return true;
}

static void mock_close(struct consensus *consensus)
{
    struct mock *mock = (struct mock *)consensus;

    answer_waiting(mock, SUBMITTED_DOWN, 0, "stopping");
    while (mock->streams != NULL)
        stream_free(mock->streams);
    if (mock->timer != NULL) event_free(mock->timer);
    close_batches(mock);
    for (uint64_t i = 0; i < mock->count; i++)
        free(mock->records[i].data);
    free(mock->records);
    if (mock->file >= 0) close(mock->file);
    free(mock);
}

static const struct consensus_ops mock_ops = {
    .close = mock_close,
    .open = mock_open_stream,
    .pause = mock_pause,
    .close_stream = mock_close_stream,
    .submit = mock_submit,
    .is_up = mock_is_up,
};

/* New keys and committee.json, unless there is one. */
static enum status make_committee(const char *path, const char *directory, struct error_line *error)
{
    static struct committee_file file; /* large */
    uint8_t seed[KEY_SEED_BYTES];
    struct secret_key unused;
    char key_path[4096];

    memset(&file, 0, sizeof file);
    key_seed_random(file.committee.network);
    file.committee.count = MOCK_MEMBERS;
    for (uint32_t i = 0; i < MOCK_MEMBERS; i++) {
        struct member *member = &file.committee.members[i];
        struct authority_entry *entry = &file.entries[i];
        const struct address nowhere = {"127.0.0.1", 1};
        snprintf(key_path, sizeof key_path, "%s/key-%u", directory, i + 1);
        (void)unlink(key_path); /* of a start that did not get as far as committee.json */
        key_seed_random(seed);
        enum status status = key_file_create(key_path, seed, error);
        if (status != OK) return status;
        crypto_key_pair(&member->key, &unused, seed);
        key_seed_random(seed);
        crypto_key_pair(&member->network_key, &unused, seed);
        member->stake = 1;
        snprintf(entry->name, sizeof entry->name, "mock-%u", i + 1);
        entry->primary = entry->exporter = entry->transactions = entry->worker = entry->http =
            nowhere;
    }
    CHECK(committee_finish(&file.committee) == OK);
    return committee_file_save(&file, path, error);
}

static enum status load_committee(struct mock *mock,
                                  struct committee_file *ret_committee,
                                  const char *directory,
                                  struct error_line *error)
{
    char path[4096];
    uint8_t seed[KEY_SEED_BYTES];
    struct public_key key;

    snprintf(path, sizeof path, "%s/committee.json", directory);
    enum status status = OK;
    if (access(path, F_OK) != 0) status = make_committee(path, directory, error);
    if (status == OK) status = committee_file_load(ret_committee, path, error);
    if (status == OK && ret_committee->committee.count != MOCK_MEMBERS)
        status = error_line_set(error, ERR_CONFIG, "%s: is no mock's committee", path);
    for (uint32_t i = 0; status == OK && i < MOCK_MEMBERS; i++) {
        snprintf(path, sizeof path, "%s/key-%u", directory, i + 1);
        status = key_file_read(seed, path, error);
        if (status == OK) crypto_key_pair(&key, &mock->keys[i], seed);
        if (status == OK && memcmp(&key, &ret_committee->committee.members[i].key, sizeof key) != 0)
            status = error_line_set(error, ERR_CONFIG, "%s: is not the committee's key", path);
    }
    return status;
}

/* Reads the next record of the file; false at its end or at a torn one. */
static bool read_record(struct record *ret_record, FILE *stream)
{
    uint8_t prefix[4];

    if (fread(prefix, 1, sizeof prefix, stream) != sizeof prefix) return false;
    struct reader reader = reader_make(prefix, sizeof prefix);
    size_t len = reader_u32(&reader);
    if (len == 0 || len > RECORD_BYTES_MAX) return false;
    uint8_t *data = malloc(len);
    CHECK(data != NULL);
    if (fread(data, 1, len, stream) != len) {
        free(data);
        return false;
    }
    *ret_record = (struct record){data, len};
    return true;
}

static enum status load_records(struct mock *mock, const char *directory, struct error_line *error)
{
    char path[4096];
    struct record record;
    off_t good = 0;

    snprintf(path, sizeof path, "%s/preblocks.log", directory);
    mock->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (mock->file < 0 || flock(mock->file, LOCK_EX | LOCK_NB) != 0)
        return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    enum status status = OK;
    while (status == OK && read_record(&record, stream)) {
        struct da_preblock *preblock;
        struct preblock header;
        status = mock_record_open(&preblock, &header, record_view(&record));
        if (status == OK) da_preblock_free(preblock);
        if (status == OK && (header.index != mock->count + 1 ||
                             !digest_equal(&header.previous, &mock->last_digest)))
            status = ERR_CHAIN;
        if (status != OK) {
            free(record.data);
            error_line_set(error, status, "%s: record %llu: %s", path,
                           (unsigned long long)mock->count + 1, status_text(status));
            break;
        }
        take_record(mock, &header, record);
        good = (off_t)ftell(stream);
    }
    fclose(stream);
    /* What was being written at a crash was never answered. */
    if (status == OK && ftruncate(mock->file, good) != 0)
        status = error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    return status;
}

enum status mock_consensus_open(struct consensus **ret_consensus,
                                struct committee_file *ret_committee,
                                struct event_base *base,
                                const char *directory,
                                struct error_line *error)
{
    struct mock *mock = calloc(1, sizeof *mock);

    CHECK(mock != NULL);
    *mock = (struct mock){.consensus = {&mock_ops}, .base = base, .file = -1};
    enum status status = load_committee(mock, ret_committee, directory, error);
    if (status == OK) {
        mock->committee = &ret_committee->committee;
        mock->last_digest = mock->committee->digest;
        status = load_records(mock, directory, error);
    }
    if (status != OK) {
        mock_close(&mock->consensus);
        return status;
    }
    mock->timer = event_new(base, -1, 0, on_timer, mock);
    CHECK(mock->timer != NULL);
    *ret_consensus = &mock->consensus;
    return OK;
}
