#include "common/envelope.h"

#include "common/bcs.h"
#include "common/crypto.h"

/* Everything before the payload, with its length. */
static void encode_head(struct writer *writer, const struct envelope *envelope)
{
    writer_u8(writer, ENVELOPE_VERSION);
    writer_copy(writer, envelope->network.bytes, sizeof envelope->network.bytes);
    writer_copy(writer, envelope->key.bytes, sizeof envelope->key.bytes);
    writer_u64(writer, envelope->nonce);
    writer_u64(writer, envelope->expiry_ms);
    bcs_write_length(writer, (uint32_t)envelope->payload.len);
}

void envelope_encode(struct writer *writer, const struct envelope *envelope)
{
    CHECK(envelope->payload.len >= 1);
    CHECK(envelope->payload.len <= TRANSACTION_BYTES_MAX);
    encode_head(writer, envelope);
    writer_copy(writer, envelope->payload.data, envelope->payload.len);
    writer_copy(writer, envelope->signature.bytes, sizeof envelope->signature.bytes);
}

void envelope_decode(struct envelope *ret_envelope, struct reader *reader)
{
    if (reader_u8(reader) != ENVELOPE_VERSION) reader_fail(reader);
    reader_copy(reader, ret_envelope->network.bytes, sizeof ret_envelope->network.bytes);
    reader_copy(reader, ret_envelope->key.bytes, sizeof ret_envelope->key.bytes);
    ret_envelope->nonce = reader_u64(reader);
    ret_envelope->expiry_ms = reader_u64(reader);
    uint32_t len = bcs_read_length(reader, TRANSACTION_BYTES_MAX);
    if (len == 0) reader_fail(reader);
    ret_envelope->payload = reader_view(reader, len);
    reader_copy(reader, ret_envelope->signature.bytes, sizeof ret_envelope->signature.bytes);
}

void envelope_digest(struct digest *ret_digest, const struct envelope *envelope)
{
    uint8_t head[ENVELOPE_OVERHEAD_BYTES_MAX];
    struct writer writer = writer_make(head, sizeof head);

    encode_head(&writer, envelope);
    CHECK(!writer.failed);
    const struct bytes parts[] = {writer_view(&writer), envelope->payload};
    crypto_hash(ret_digest, parts, 2);
}

bool envelope_verify(const struct envelope *envelope)
{
    struct digest digest;

    envelope_digest(&digest, envelope);
    return crypto_verify(SCOPE_ENVELOPE, &digest, &envelope->key, &envelope->signature);
}
