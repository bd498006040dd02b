#include "common/preblock.h"

#include "common/crypto.h"
#include "common/page.h"

void preblock_encode(struct writer *writer, const struct preblock *preblock)
{
    writer_u8(writer, PREBLOCK_VERSION);
    writer_u64(writer, preblock->epoch);
    writer_u64(writer, preblock->index);
    writer_copy(writer, preblock->previous.bytes, sizeof preblock->previous.bytes);
    writer_copy(writer, preblock->leader.bytes, sizeof preblock->leader.bytes);
    writer_u64(writer, preblock->round);
    writer_u64(writer, preblock->timestamp);
    writer_copy(writer, preblock->payload.bytes, sizeof preblock->payload.bytes);
    writer_u32(writer, preblock->batches);
    writer_u32(writer, preblock->transactions);
    writer_u64(writer, preblock->bytes);
    writer_u64(writer, 0); /* delayed */
}

void preblock_decode(struct preblock *ret_preblock, struct reader *reader)
{
    if (reader_u8(reader) != PREBLOCK_VERSION) reader_fail(reader);
    ret_preblock->epoch = reader_u64(reader);
    ret_preblock->index = reader_u64(reader);
    reader_copy(reader, ret_preblock->previous.bytes, sizeof ret_preblock->previous.bytes);
    reader_copy(reader, ret_preblock->leader.bytes, sizeof ret_preblock->leader.bytes);
    ret_preblock->round = reader_u64(reader);
    ret_preblock->timestamp = reader_u64(reader);
    reader_copy(reader, ret_preblock->payload.bytes, sizeof ret_preblock->payload.bytes);
    ret_preblock->batches = reader_u32(reader);
    ret_preblock->transactions = reader_u32(reader);
    ret_preblock->bytes = reader_u64(reader);
    if (reader_u64(reader) != 0) reader_fail(reader);
}

void preblock_digest(struct digest *ret_digest, const struct preblock *preblock)
{
    uint8_t bytes[PREBLOCK_HEADER_BYTES];
    struct writer writer = writer_make(bytes, sizeof bytes);

    preblock_encode(&writer, preblock);
    CHECK(!writer.failed);
    CHECK(writer.len == sizeof bytes);
    crypto_hash_one(ret_digest, bytes, sizeof bytes);
}

void preblock_manifest(struct digest *ret_root, const struct digest *batches, uint32_t count)
{
    CHECK(count >= 1);
    page_tree(ret_root, batches->bytes, (size_t)count * sizeof *batches, NULL, NULL);
}
