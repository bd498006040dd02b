#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/codec.h"
#include "sequencer/mock_record.h"

/* A pre-block out of the mock's file: what is taken has one form, and its pages hold its batches. A header names its
 * batches by hash, so the driver puts the right one into it, unless the first byte is odd.
 *
 *   input = keep the header as it is u8 (odd) | record */
static struct preblock header;

/* The record taken apart by the format's own words. */
static uint32_t take_apart(struct bytes *batches, struct quorum *quorum, struct bytes record)
{
    struct reader reader = reader_make(record.data, record.len);

    preblock_decode(&header, &reader);
    quorum_decode(quorum, &reader);
    uint32_t count = reader_u32(&reader);
    if (reader.failed || count == 0 || count > MOCK_BATCHES_MAX) return 0;
    for (uint32_t i = 0; i < count; i++)
        batches[i] = reader_view(&reader, reader_u32(&reader));
    return reader_done(&reader) ? count : 0;
}

static void mend(uint8_t *data, size_t size)
{
    struct bytes batches[MOCK_BATCHES_MAX];
    struct digest digests[MOCK_BATCHES_MAX];
    struct quorum quorum;
    uint32_t count = take_apart(batches, &quorum, (struct bytes){data, size});

    for (uint32_t i = 0; i < count; i++) {
        if (batches[i].len == 0) return;
        page_tree(&digests[i], batches[i].data, batches[i].len, NULL, NULL);
    }
    if (count == 0) return;
    preblock_manifest(&header.payload, digests, count);
    struct writer writer = writer_make(data, PREBLOCK_HEADER_BYTES);
    preblock_encode(&writer, &header);
    CHECK(!writer.failed);
}

static void check(const uint8_t *data, size_t size)
{
    struct bytes batches[MOCK_BATCHES_MAX];
    struct da_preblock *preblock;
    struct quorum quorum;
    size_t len = 0;

    if (mock_record_open(&preblock, &header, (struct bytes){data, size}) != OK) return;
    uint32_t count = take_apart(batches, &quorum, (struct bytes){data, size});
    CHECK(count >= 1);
    uint8_t *again = malloc(size);
    struct writer writer = writer_make(again, size);
    mock_record_write(&writer, &header, &preblock->quorum, batches, count);
    CHECK(!writer.failed);
    CHECK(writer.len == size);
    CHECK(memcmp(again, data, size) == 0);
    for (uint32_t i = 0; i < count; i++) {
        struct digest root;
        page_tree(&root, batches[i].data, batches[i].len, NULL, NULL);
        CHECK(da_tree_read(again, &len, size, preblock, &root) == OK);
        CHECK(len == batches[i].len);
        CHECK(memcmp(again, batches[i].data, len) == 0);
    }
    free(again);
    da_preblock_free(preblock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    uint8_t *record = malloc(size);
    CHECK(record != NULL);
    memcpy(record, data + 1, size - 1);
    if (data[0] % 2 == 0) mend(record, size - 1);
    check(record, size - 1);
    free(record);
    return 0;
}
