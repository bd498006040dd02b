#include "tests/sim/junk.h"

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "tests/sim/world.h"

#define JUNK_BYTES_MAX 4096u

static uint8_t body[1 + HEADER_BYTES_MAX + 64 + JUNK_BYTES_MAX];

static size_t random_bytes(struct random *random, uint8_t *ret, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ret[i] = (uint8_t)random_u64(random);
    return len;
}

/* A kind that exists, and noise behind it. */
static size_t noise(struct random *random)
{
    size_t len = 1 + random_below(random, random_chance(random, 100000) ? JUNK_BYTES_MAX : 200);

    random_bytes(random, body, len);
    if (random_chance(random, 800000)) body[0] = (uint8_t)random_between(random, 1, 19);
    return len;
}

/* An old message of somebody, as it was or with a few bytes changed. */
static size_t replay(struct world *world, bool damaged)
{
    struct adversary *adversary = &world->adversary;
    uint64_t count = u64_min(adversary->replays_count, ADVERSARY_REPLAYS);

    if (count == 0) return noise(&adversary->random);
    const struct packet *packet = adversary->replays[random_below(&adversary->random, count)];
    size_t len = packet->len < sizeof body ? packet->len : sizeof body;
    memcpy(body, packet->data, len);
    for (uint64_t i = random_between(&adversary->random, 1, 3); damaged && len > 0 && i > 0; i--)
        body[random_below(&adversary->random, len)] ^=
            (uint8_t)random_between(&adversary->random, 1, 255);
    if (damaged && random_chance(&adversary->random, 200000))
        len = random_below(&adversary->random, len + 1);
    return len;
}

static size_t finish_header(struct world *world, authority_t member, const struct header *header)
{
    struct writer writer = writer_make(body, sizeof body);
    struct signature signature;
    struct digest digest;

    writer_u8(&writer, WIRE_HEADER);
    header_encode(&writer, header);
    header_digest(&digest, header);
    crypto_sign(&signature, SCOPE_HEADER, &digest, &world->keys[member]);
    writer_copy(&writer, signature.bytes, sizeof signature.bytes);
    return writer.len;
}

/* A well signed header that nobody should vote for, each time for another reason. */
static size_t absurd_header(struct world *world, authority_t member)
{
    static struct header header;
    struct random *random = &world->adversary.random;
    uint64_t reason = random_below(random, 6);
    round_t top = world->registry.top_round;

    header = (struct header){.author = member, .round = top + 1, .epoch = world->committee.epoch};
    header.created_at = WORLD_WALL_MS + world->now_us / 1000;
    if (reason == 0) header.round = top + random_between(random, 2, 5000000);
    if (reason == 1) header.round = u64_minus(top, random_below(random, 60));
    if (reason == 2) header.created_at += random_between(random, 2000, 100000000);
    if (reason == 3) header.epoch++;
    uint32_t parents = (uint32_t)random_below(random, world->committee.count + 1);
    const struct known_header *real = registry_round(&world->registry, u64_minus(header.round, 1));
    for (uint32_t i = 0; i < parents; i++) {
        struct digest *parent = &header.parents[header.parents_count++];
        if (reason == 4 || real == NULL) {
            random_bytes(random, parent->bytes, sizeof parent->bytes);
            parent->bytes[0] = (uint8_t)(i + 1);
        } else {
            *parent = real->digest; /* certified or not, unsorted: decode must refuse disorder */
            real = real->next_in_round;
        }
    }
    if (reason == 5) {
        header.payload_count = 1;
        random_bytes(random, header.payload[0].digest.bytes, 32);
        header.payload[0].worker = (uint32_t)random_below(random, 3);
    }
    return finish_header(world, member, &header);
}

/* Ascending, as a header wants them. */
static void add_parent(struct header *header, const struct digest *digest)
{
    uint32_t at = header->parents_count++;

    for (; at > 0 && memcmp(header->parents[at - 1].bytes, digest->bytes, 32) > 0; at--)
        header->parents[at] = header->parents[at - 1];
    header->parents[at] = *digest;
}

/* A header of the next round that is right in everything but one thing. */
static size_t almost_right_header(struct world *world, authority_t member)
{
    static struct header header;
    struct random *random = &world->adversary.random;
    struct known_header *parents[SIM_NODES_MAX];
    round_t top = world->registry.top_round;
    uint64_t fault = random_below(random, 5);
    uint64_t latest = 0;

    while (top > 0 && registry_certified_stake(world, top) < world->quorum)
        top--;
    if (top == 0) return noise(random);
    uint32_t count = registry_certified(world, parents, top);
    if (fault == 0) count = (uint32_t)random_below(random, world->quorum / 5 + 1);
    header = (struct header){.author = member, .round = top + 1, .epoch = world->committee.epoch};
    for (uint32_t i = 0; i < count; i++) {
        add_parent(&header, &parents[i]->digest);
        latest = u64_max(latest, parents[i]->created_at);
    }
    header.created_at = u64_max(latest, WORLD_WALL_MS + world->now_us / 1000);
    if (fault == 1) header.created_at = latest - 1;
    if (fault == 2) header.created_at += 10000;
    if (fault == 3) {
        for (const struct known_header *other = registry_round(&world->registry, top);
             other != NULL && header.parents_count < world->committee.count;
             other = other->next_in_round)
            if (!registry_is_certified(world, other)) add_parent(&header, &other->digest);
    }
    if (fault == 4) {
        header.payload_count = 1;
        random_bytes(random, header.payload[0].digest.bytes, 32);
    }
    return finish_header(world, member, &header);
}

static size_t wrong_attestation(struct world *world, authority_t member)
{
    struct random *random = &world->adversary.random;
    struct writer writer = writer_make(body, sizeof body);
    struct signature signature;
    struct digest digest;

    random_bytes(random, digest.bytes, sizeof digest.bytes);
    crypto_sign(&signature, SCOPE_PREBLOCK, &digest, &world->keys[member]);
    writer_u8(&writer, WIRE_ATTESTATION);
    writer_u64(&writer, world->checkers.preblocks_count + random_below(random, 1500));
    writer_copy(&writer, digest.bytes, sizeof digest.bytes);
    writer_u16(&writer, member);
    writer_copy(&writer, signature.bytes, sizeof signature.bytes);
    return writer.len;
}

/* A good signature of the member on a real header, with other words around it. */
static size_t relabelled_vote(struct world *world, authority_t member)
{
    struct random *random = &world->adversary.random;
    round_t round = u64_minus(world->registry.top_round, random_below(random, 3));
    const struct known_header *header = registry_round(&world->registry, round);
    struct writer writer = writer_make(body, sizeof body);

    if (header == NULL) return noise(random);
    struct vote vote = {.header = header->digest, .round = header->round, .author = header->author};
    vote.voter = member;
    crypto_sign(&vote.signature, SCOPE_HEADER, &vote.header, &world->keys[member]);
    uint64_t what = random_below(random, 4);
    if (what == 0) vote.round += random_between(random, 1, 1000);
    if (what == 1) vote.author = (authority_t)random_below(random, world->committee.count + 2);
    if (what == 2) vote.voter = (authority_t)random_below(random, world->committee.count + 2);
    if (what == 3) vote.signature.bytes[random_below(random, 64)] ^= 1;
    writer_u8(&writer, WIRE_VOTE);
    vote_encode(&writer, &vote);
    return writer.len;
}

/* Questions that cost the asked more than the asker, and claims that nothing backs. */
static size_t question(struct world *world)
{
    struct random *random = &world->adversary.random;
    struct writer writer = writer_make(body, sizeof body);
    uint64_t top = world->registry.top_round;
    uint8_t noise_digest[32];

    random_bytes(random, noise_digest, sizeof noise_digest);
    switch (random_below(random, 5)) {
    case 0:
        writer_u8(&writer, WIRE_WANT_RANGE);
        writer_u64(&writer, random_chance(random, 500000) ? 0 : random_below(random, 2 * top + 1));
        break;
    case 1:
        writer_u8(&writer, WIRE_POSITION);
        writer_u64(&writer, top + random_below(random, 100000));
        writer_u64(&writer, top + random_below(random, 100000));
        writer_u64(&writer, random_u64(random) >> random_below(random, 64));
        writer_u8(&writer, (uint8_t)random_below(random, 3));
        break;
    case 2:
        writer_u8(&writer, WIRE_WANT_HEADER);
        writer_u64(&writer, random_below(random, top + 3));
        writer_u16(&writer, (uint16_t)random_below(random, world->committee.count + 1));
        writer_copy(&writer, noise_digest, sizeof noise_digest);
        break;
    case 3:
        writer_u8(&writer, WIRE_WANT_PREBLOCK_CERTIFICATE);
        writer_u64(&writer, random_below(random, world->checkers.preblocks_count + 3));
        break;
    default:
        writer_u8(&writer, WIRE_REJOIN_QUERY);
        writer_u64(&writer, random_u64(random));
        break;
    }
    return writer.len;
}

/* A certificate frame for a real header with too few, repeated or wrong signatures. */
static size_t forged_certificate(struct world *world, authority_t member)
{
    static struct certificate certificate;
    struct random *random = &world->adversary.random;
    const struct known_header *known = registry_round(
        &world->registry, u64_minus(world->registry.top_round + 1, random_below(random, 4)));
    struct writer writer = writer_make(body, sizeof body);

    /* Best one that will never get a quorum. */
    for (const struct known_header *other = known; other != NULL; other = other->next_in_round)
        if (!registry_is_certified(world, other)) known = other;
    if (known == NULL) return noise(random);
    struct reader reader = reader_make(known->packet->data + 1, known->packet->len - 1u - 64u);
    header_decode(&certificate.header, &reader);
    certificate.quorum.count = (uint32_t)random_between(random, 1, world->committee.count);
    bool repeated = random_chance(random, 500000); /* one signer, as often as a quorum needs */
    for (uint32_t i = 0; i < certificate.quorum.count; i++) {
        certificate.quorum.signers[i] = repeated ? (uint8_t)member : (uint8_t)i;
        crypto_sign(&certificate.quorum.signatures[i], SCOPE_HEADER, &known->digest,
                    &world->keys[member]);
    }
    writer_u8(&writer, WIRE_CERTIFICATES);
    writer_u8(&writer, 1);
    writer_u8(&writer, 1);
    certificate_encode(&writer, &certificate);
    return writer.failed ? 0 : writer.len;
}

void junk_answer(struct world *world, authority_t member, authority_t asker)
{
    struct packet *packet = packet_new(body, forged_certificate(world, member));

    network_send(world, member, asker, packet, false);
    packet_unref(packet);
}

void junk_send(struct world *world, authority_t member)
{
    struct random *random = &world->adversary.random;
    authority_t target = (authority_t)random_below(random, world->options.nodes);
    size_t len = 0;
    bool known = false; /* may get votes: checkers and accomplices are to know it */

    if (target == member) return;
    switch (random_below(random, 12)) {
    case 11:
        junk_checkpoint_signature(world, member, target);
        return;
    case 0:
        len = noise(random);
        break;
    case 1:
        len = replay(world, true);
        break;
    case 2:
    case 3:
        len = replay(world, false);
        break;
    case 4:
        len = absurd_header(world, member);
        known = true;
        break;
    case 5:
        len = wrong_attestation(world, member);
        break;
    case 6:
        len = relabelled_vote(world, member);
        break;
    case 7:
        len = forged_certificate(world, member);
        break;
    case 8:
    case 9:
        len = almost_right_header(world, member);
        known = true;
        break;
    default:
        len = question(world);
        break;
    }
    struct packet *packet = packet_new(body, len);
    struct known_header *header = known ? registry_note(world, packet) : NULL;
    if (header != NULL) adversary_see(world, packet, header);
    for (authority_t peer = 0; header != NULL && peer < world->options.nodes; peer++)
        if (peer != member && peer != target && random_chance(random, 700000))
            network_send(world, member, peer, packet, false);
    network_send(world, member, target, packet, false);
    packet_unref(packet);
}
