/* A Byzantine member is asked for a checkpoint or for the ordering records below one, by a member that can go
 * on from nothing else. It answers with a checkpoint of its own making, signed by whom it can sign for; with the
 * real one; and with records that are not those the checkpoint names, cut, altered, or not there. */
#include "common/crypto.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/ordering_record.h"
#include "consensus/core/records.h"
#include "tests/sim/junk.h"
#include "tests/sim/world.h"

static void send_body(struct world *world, authority_t member, authority_t asker, struct bytes body)
{
    struct packet *packet = packet_new(body.data, body.len);

    network_send(world, member, asker, packet, false);
    packet_unref(packet);
}

/* A well-formed record of this number that nobody ordered; the same for the same number. */
static struct bytes fake_record(uint64_t sequence)
{
    static uint8_t memory[4096];
    struct ordering_encoder encoder;
    struct ordering_record head = {.sequence = sequence,
                                   .previous_round = sequence,
                                   .anchor = {.round = sequence + 1, .author = 1},
                                   .created_at = sequence,
                                   .vertices_count = 1};

    ordering_encoder_begin(&encoder, memory, sizeof memory, &head, NULL);
    ordering_encoder_vertex(&encoder, &head.anchor, NULL, 0);
    return ordering_encoder_finish(&encoder);
}

/* Signed by the member alone: under its own name, as often as a quorum needs, or under everybody's. */
static void forge(struct world *world, authority_t member, struct checkpoint_proof *proof)
{
    struct random *random = &world->adversary.random;
    uint64_t sequence =
        CHECKPOINT_INTERVAL * (2 + world->checkers.made_count / CHECKPOINT_INTERVAL);
    struct bytes record = fake_record(sequence);
    bool alone = random_chance(random, 300000);
    bool repeated = random_chance(random, 500000);

    proof->checkpoint = (struct checkpoint){
        .epoch = world->committee.epoch, .sequence = sequence, .round = sequence + 1};
    crypto_hash_one(&proof->checkpoint.record, record.data, record.len);
    checkpoint_digest(&proof->digest, &proof->checkpoint);
    proof->quorum.count = alone ? 1 : world->committee.count;
    for (uint32_t i = 0; i < proof->quorum.count; i++) {
        proof->quorum.signers[i] = repeated || alone ? (uint8_t)member : (uint8_t)i;
        crypto_sign(&proof->quorum.signatures[i], SCOPE_CHECKPOINT, &proof->digest,
                    &world->keys[member]);
    }
}

/* The newest final one that an honest member has; false: there is none. */
static bool find_real(struct world *world, struct checkpoint_proof *ret_proof)
{
    uint64_t sequence = 0;
    struct checkpoint_proof proof;

    for (authority_t i = 0; i < world->options.nodes; i++) {
        const struct table *rows = &world->nodes[i].disk.tables[TABLE_CHECKPOINTS];

        for (size_t k = 0; k < rows->count; k++) {
            CHECK(checkpoint_row_read(&proof, table_value(rows, k)) == OK);
            if (proof.quorum.count == 0 || proof.checkpoint.sequence <= sequence) continue;
            sequence = proof.checkpoint.sequence;
            *ret_proof = proof;
        }
    }
    return sequence > 0;
}

void junk_checkpoint(struct world *world, authority_t member, authority_t asker)
{
    static struct checkpoint_proof proof;
    static uint8_t body[1 + CHECKPOINT_ROW_BYTES_MAX];
    struct writer writer = writer_make(body, sizeof body);

    if (random_chance(&world->adversary.random, 500000) || !find_real(world, &proof))
        forge(world, member, &proof);
    writer_u8(&writer, WIRE_CHECKPOINT);
    checkpoint_row_write(&writer, &proof);
    send_body(world, member, asker, writer_view(&writer));
}

/* The record as some honest member holds it; empty when none does. */
static struct bytes real_record(struct world *world, uint64_t sequence)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const struct bytes name = {key, key_of_number(key, sequence)};

    for (authority_t i = 0; i < world->options.nodes; i++) {
        struct bytes value = table_get(&world->nodes[i].disk.tables[TABLE_ORDERING], name);
        if (value.len > 0) return value;
    }
    return (struct bytes){NULL, 0};
}

void junk_record(struct world *world, authority_t member, const struct sim_event *event)
{
    static uint8_t body[WIRE_RECORD_BYTES_MAX];
    struct random *random = &world->adversary.random;
    struct reader reader = reader_make(event->packet->data + 1, event->packet->len - 1u);
    uint64_t sequence = reader_u64(&reader);
    uint32_t offset = reader_u32(&reader);
    uint64_t what = random_below(random, 5);
    struct bytes value = {NULL, 0};
    struct bytes made;

    if (!reader_done(&reader) || sequence == 0) return;
    if (what <= 1) value = fake_record(sequence);
    if (what >= 3) value = real_record(world, sequence);
    (void)wire_record_body(&made, body, sequence, offset, value, random_chance(random, 500000));
    if (what == 4 && made.len > 18) body[18 + random_below(random, made.len - 18)] ^= 1;
    send_body(world, member, event->peer, made);
}

/* A signature on a checkpoint that nobody made, or a bad one on a real one. */
void junk_checkpoint_signature(struct world *world, authority_t member, authority_t target)
{
    static struct checkpoint_proof proof;
    uint8_t body[128];
    struct writer writer = writer_make(body, sizeof body);
    struct wire_attestation signature = {.authority = member};
    bool real = find_real(world, &proof);

    if (!real || random_chance(&world->adversary.random, 500000)) forge(world, member, &proof);
    signature.index = proof.checkpoint.sequence + (real ? CHECKPOINT_INTERVAL : 0);
    signature.digest = proof.digest;
    crypto_sign(&signature.signature, SCOPE_CHECKPOINT, &proof.digest, &world->keys[member]);
    wire_write_checkpoint_signature(&writer, &signature);
    send_body(world, member, target, writer_view(&writer));
}
