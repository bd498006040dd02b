#include "tests/unit/verify_world.h"

#include <stdlib.h>
#include <string.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "common/page.h"
#include "proto/subdag.h"

#define BATCHES          11u
#define BATCH_LEN_MAX    4100u
#define ENCODED_MAX      (64u * 1024u)
#define WORLD_EPOCH      3u
#define WORLD_CREATED_AT 1700000000000u

static struct {
    bool made;
    struct committee committee;
    struct secret_key keys[WORLD_NODES];
    uint8_t memory[BATCHES][BATCH_LEN_MAX];
    struct bytes batches[BATCHES];
    struct digest digests[BATCHES];
    struct certificate vertices[WORLD_ROUNDS + 1][WORLD_NODES];
    struct world_item items[WORLD_ITEMS + 1];
} world;

/* What each vertex names: up to three batches. */
static const struct naming {
    round_t round;
    authority_t author;
    uint32_t batches[WORLD_PAYLOAD];
    uint32_t count;
} namings[] = {
    {1, 0, {0}, 1}, {1, 2, {1, 2}, 2}, {1, 3, {3}, 1},    {2, 1, {4}, 1}, {2, 2, {0, 5}, 2},
    {3, 0, {6}, 1}, {3, 3, {7}, 1},    {4, 2, {4, 8}, 2}, {4, 1, {9}, 1}, {5, 1, {10}, 1},
};

/* The vertices of each pre-block in order, and how many batches at the front of what each names
 * were executed before. */
static const struct piece {
    round_t leader_round;
    authority_t leader_author;
    uint32_t count;
    struct {
        round_t round;
        authority_t author;
        uint32_t skipped;
    } vertices[WORLD_CERTIFICATES];
} pieces[WORLD_ITEMS + 1] = {
    {0, 0, 0, {{0, 0, 0}}},
    {2, 0, 5, {{1, 0, 0}, {1, 1, 0}, {1, 2, 0}, {1, 3, 0}, {2, 0, 0}}},
    {3, 1, 3, {{2, 1, 0}, {2, 2, 1}, {3, 1, 0}}},
    {4, 2, 3, {{3, 0, 0}, {3, 2, 0}, {3, 3, 0}}},
    {4, 2, 1, {{4, 2, 1}}},
    {5, 3, 4, {{4, 0, 0}, {4, 1, 0}, {4, 3, 0}, {5, 3, 0}}},
    {6, 0, 4, {{5, 0, 0}, {5, 1, 0}, {5, 2, 0}, {6, 0, 0}}},
};

static void make_committee(void)
{
    world.committee.epoch = WORLD_EPOCH;
    world.committee.count = WORLD_NODES;
    memset(world.committee.network, 7, sizeof world.committee.network);
    for (uint8_t i = 0; i < WORLD_NODES; i++) {
        uint8_t seed[32] = {i, 1};
        struct secret_key unused;
        crypto_key_pair(&world.committee.members[i].key, &world.keys[i], seed);
        seed[1] = 2;
        crypto_key_pair(&world.committee.members[i].network_key, &unused, seed);
        world.committee.members[i].stake = 1;
    }
    CHECK(committee_finish(&world.committee) == OK);
}

static void make_batches(void)
{
    static const uint8_t page_filler[4002];
    for (uint32_t i = 0; i < BATCHES; i++) {
        struct writer writer = writer_make(world.memory[i], sizeof world.memory[i]);
        uint8_t text[5] = {'b', (uint8_t)i, 'x', 'y', 'z'};
        batch_append(&writer, text, sizeof text);
        batch_append(&writer, text + 1, i % 3 + 1);
        if (i == 3) batch_append(&writer, page_filler, sizeof page_filler);
        CHECK(!writer.failed);
        world.batches[i] = writer_view(&writer);
        page_tree(&world.digests[i], world.batches[i].data, world.batches[i].len, NULL, NULL);
    }
}

static void sign(struct quorum *quorum,
                 enum crypto_scope scope,
                 const struct digest *digest,
                 authority_t without)
{
    quorum->count = 0;
    for (uint8_t i = 0; i < WORLD_NODES; i++) {
        if (i == without) continue;
        quorum->signers[quorum->count] = i;
        crypto_sign(&quorum->signatures[quorum->count], scope, digest, &world.keys[i]);
        quorum->count++;
    }
}

void verify_world_sign_header(struct certificate *certificate, authority_t without)
{
    struct digest digest;
    header_digest(&digest, &certificate->header);
    sign(&certificate->quorum, SCOPE_HEADER, &digest, without);
}

void verify_world_sign_preblock(struct world_item *item, authority_t without)
{
    struct digest digest;
    preblock_digest(&digest, &item->preblock);
    item->certified = true;
    sign(&item->quorum, SCOPE_PREBLOCK, &digest, without);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* Parents: all vertices of the round before, but never 2.3. */
static void add_parents(struct header *header)
{
    for (authority_t author = 0; author < WORLD_NODES; author++) {
        struct digest *parent = &header->parents[header->parents_count];
        if (header->round == 3 && author == 3) continue;
        if (header->round == 1)
            committee_genesis(parent, &world.committee, author);
        else
            header_digest(parent, &world.vertices[header->round - 1][author].header);
        header->parents_count++;
    }
    qsort(header->parents, header->parents_count, sizeof(struct digest), compare_digests);
}

static const struct naming *find_naming(round_t round, authority_t author)
{
    for (size_t i = 0; i < sizeof namings / sizeof namings[0]; i++)
        if (namings[i].round == round && namings[i].author == author) return &namings[i];
    return NULL;
}

static void make_vertex(round_t round, authority_t author)
{
    struct certificate *certificate = &world.vertices[round][author];
    struct header *header = &certificate->header;
    const struct naming *naming = find_naming(round, author);

    header->author = author;
    header->round = round;
    header->epoch = WORLD_EPOCH;
    header->created_at = WORLD_CREATED_AT + 100 * round + author;
    for (uint32_t i = 0; naming != NULL && i < naming->count; i++) {
        struct batch_info *info = &header->payload[header->payload_count++];
        info->digest = world.digests[naming->batches[i]];
        info->created_at = header->created_at - 5;
    }
    add_parents(header);
    /* Different quorums: three signers, another one missing each time, and now and then all. */
    verify_world_sign_header(certificate, (authority_t)((round + author) % (WORLD_NODES + 1)));
}

static uint32_t vertex_digest_batches(struct digest *ret, const struct world_item *item)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < item->count; i++) {
        for (uint32_t j = 0; j < item->batches[i]; j++) {
            const struct bytes *batch = &item->payloads[i][j];
            page_tree(&ret[count++], batch->data, batch->len, NULL, NULL);
        }
    }
    return count;
}

void verify_world_count(struct world_item *item)
{
    struct digest digests[WORLD_CERTIFICATES * WORLD_PAYLOAD];
    struct preblock *preblock = &item->preblock;

    preblock->batches = vertex_digest_batches(digests, item);
    preblock->transactions = 0;
    preblock->bytes = 0;
    for (uint32_t i = 0; i < item->count; i++) {
        for (uint32_t j = 0; j < item->batches[i]; j++) {
            uint32_t transactions;
            const struct bytes *batch = &item->payloads[i][j];
            CHECK(batch_validate(&transactions, batch->data, batch->len) == OK);
            preblock->transactions += transactions;
            preblock->bytes += batch->len;
        }
    }
    preblock_manifest(&preblock->payload, digests, preblock->batches);
}

static void make_item(uint32_t number)
{
    const struct piece *piece = &pieces[number];
    struct world_item *item = &world.items[number];

    item->id = number;
    item->leader = world.vertices[piece->leader_round][piece->leader_author];
    item->count = piece->count;
    for (uint32_t i = 0; i < piece->count; i++) {
        round_t round = piece->vertices[i].round;
        authority_t author = piece->vertices[i].author;
        const struct naming *naming = find_naming(round, author);
        item->certificates[i] = world.vertices[round][author];
        for (uint32_t j = piece->vertices[i].skipped; naming != NULL && j < naming->count; j++)
            item->payloads[i][item->batches[i]++] = world.batches[naming->batches[j]];
    }
    item->preblock = (struct preblock){.epoch = WORLD_EPOCH,
                                       .index = number,
                                       .previous = world.committee.digest,
                                       .round = piece->leader_round,
                                       .timestamp = WORLD_CREATED_AT + 1000 * number};
    header_digest(&item->preblock.leader, &item->leader.header);
    if (number > 1) preblock_digest(&item->preblock.previous, &world.items[number - 1].preblock);
    verify_world_count(item);
    verify_world_sign_preblock(item, (authority_t)(number % (WORLD_NODES + 1)));
}

static void make_world(void)
{
    if (world.made) return;
    world.made = true;
    make_committee();
    make_batches();
    for (round_t round = 1; round <= WORLD_ROUNDS; round++)
        for (authority_t author = 0; author < WORLD_NODES; author++)
            make_vertex(round, author);
    for (uint32_t number = 1; number <= WORLD_ITEMS; number++)
        make_item(number);
}

const struct committee *verify_world_committee(void)
{
    make_world();
    return &world.committee;
}

const struct world_item *verify_world_item(uint32_t number)
{
    make_world();
    CHECK(number >= 1 && number <= WORLD_ITEMS);
    return &world.items[number];
}

const struct certificate *verify_world_vertex(round_t round, authority_t author)
{
    make_world();
    CHECK(round >= 1 && round <= WORLD_ROUNDS);
    CHECK(author < WORLD_NODES);
    return &world.vertices[round][author];
}

struct bytes verify_world_encode(const struct world_item *item)
{
    static uint8_t memory[ENCODED_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    subdag_write_start(&writer, item->id, &item->leader);
    for (uint32_t i = 0; i < item->count; i++)
        subdag_write_certificate(&writer, &item->certificates[i]);
    for (uint32_t i = 0; i < item->count; i++) {
        uint32_t sizes[WORLD_PAYLOAD];
        for (uint32_t j = 0; j < item->batches[i]; j++)
            sizes[j] = (uint32_t)item->payloads[i][j].len;
        subdag_write_payload(&writer, sizes, item->batches[i]);
        for (uint32_t j = 0; j < item->batches[i]; j++)
            subdag_write_batch(&writer, item->payloads[i][j]);
    }
    subdag_write_end(&writer, &item->preblock, item->certified ? &item->quorum : NULL);
    CHECK(!writer.failed);
    return writer_view(&writer);
}
