#include "sequencer/mock_record.h"

#include "common/batch.h"
#include "common/codec.h"

void mock_record_write(struct writer *writer,
                       const struct preblock *header,
                       const struct quorum *quorum,
                       const struct bytes *batches,
                       uint32_t count)
{
    preblock_encode(writer, header);
    quorum_encode(writer, quorum);
    writer_u32(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        writer_u32(writer, (uint32_t)batches[i].len);
        writer_copy(writer, batches[i].data, batches[i].len);
    }
}

enum status mock_record_open(struct da_preblock **ret_preblock,
                             struct preblock *ret_header,
                             struct bytes record)
{
    struct reader reader = reader_make(record.data, record.len);
    struct bytes batches[MOCK_BATCHES_MAX];
    struct quorum quorum;

    preblock_decode(ret_header, &reader);
    quorum_decode(&quorum, &reader);
    uint32_t count = reader_u32(&reader);
    if (reader.failed || count == 0 || count > MOCK_BATCHES_MAX) return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t transactions;
        uint32_t len = reader_u32(&reader);
        batches[i] = reader_view(&reader, len);
        if (batch_validate(&transactions, batches[i].data, batches[i].len) != OK)
            return ERR_CORRUPT;
    }
    if (!reader_done(&reader)) return ERR_CORRUPT;
    return da_preblock_make(ret_preblock, ret_header, &quorum, batches, count);
}
