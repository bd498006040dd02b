#include "consensus/node/store_identity_row.h"

void store_identity_encode(struct writer *writer, const struct store_identity *identity)
{
    writer_u32(writer, identity->schema);
    writer_copy(writer, identity->committee.bytes, sizeof identity->committee.bytes);
    writer_u16(writer, identity->self);
    writer_copy(writer, identity->key.bytes, sizeof identity->key.bytes);
    writer_u8(writer, identity->rejoined);
    writer_u8(writer, identity->unsynced);
    writer_copy(writer, identity->boot_id, STORE_BOOT_ID_BYTES - 1);
}

static bool read_flag(struct reader *reader)
{
    uint8_t value = reader_u8(reader);

    if (value > 1) reader_fail(reader);
    return value == 1;
}

enum status store_identity_decode(struct store_identity *ret_identity, struct bytes row)
{
    struct reader reader = reader_make(row.data, row.len);
    struct store_identity identity = {.schema = reader_u32(&reader)};

    if (!reader.failed && identity.schema != 0 && identity.schema != STORE_SCHEMA) {
        ret_identity->schema = identity.schema;
        return ERR_VERSION;
    }
    reader_copy(&reader, identity.committee.bytes, sizeof identity.committee.bytes);
    identity.self = reader_u16(&reader);
    reader_copy(&reader, identity.key.bytes, sizeof identity.key.bytes);
    identity.rejoined = read_flag(&reader);
    identity.unsynced = read_flag(&reader);
    reader_copy(&reader, identity.boot_id, STORE_BOOT_ID_BYTES - 1);
    if (!reader_done(&reader) || identity.schema == 0) return ERR_CORRUPT;
    *ret_identity = identity;
    return OK;
}
