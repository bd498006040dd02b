#include "common/committee.h"

#include "common/bcs.h"
#include "common/crypto.h"

static bool keys_are_distinct(const struct committee *committee)
{
    for (uint32_t i = 1; i < committee->count; i++) {
        const struct member *a = &committee->members[i];
        for (uint32_t j = 0; j < i; j++) {
            const struct member *b = &committee->members[j];
            if (memcmp(a->key.bytes, b->key.bytes, sizeof a->key.bytes) == 0) return false;
            if (memcmp(a->network_key.bytes, b->network_key.bytes, sizeof a->key.bytes) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* Members in the smallest set whose stake reaches `stake`: the largest stakes first. */
static uint32_t smallest_set(const struct committee *committee, stake_t stake)
{
    struct authority_set taken = {{0, 0}};
    stake_t sum = 0;
    uint32_t count = 0;

    while (sum < stake && count < committee->count) {
        uint32_t largest = committee->count;
        for (uint32_t i = 0; i < committee->count; i++) {
            if (authority_set_has(&taken, (authority_t)i)) continue;
            if (largest == committee->count ||
                committee->members[i].stake > committee->members[largest].stake) {
                largest = i;
            }
        }
        CHECK(largest < committee->count);
        authority_set_add(&taken, (authority_t)largest);
        sum += committee->members[largest].stake;
        count++;
    }
    return count;
}

static void committee_hash(struct digest *ret_digest, const struct committee *committee)
{
    uint8_t bytes[COMMITTEE_RECORD_BYTES_MAX];
    struct writer writer = writer_make(bytes, sizeof bytes);

    committee_encode(&writer, committee);
    CHECK(!writer.failed);
    crypto_hash_one(ret_digest, bytes, writer.len);
}

enum status committee_finish(struct committee *committee)
{
    if (committee->count < 1 || committee->count > AUTHORITIES_MAX) return ERR_CONFIG;

    stake_t total = 0;
    for (uint32_t i = 0; i < committee->count; i++) {
        if (committee->members[i].stake == 0) return ERR_CONFIG;
        total += committee->members[i].stake;
    }
    if (total > UINT32_MAX) return ERR_CONFIG;
    if (!keys_are_distinct(committee)) return ERR_CONFIG;

    stake_t faulty = (total - 1) / 3;
    if (smallest_set(committee, total - faulty) > QUORUM_SIGNERS_MAX) return ERR_CONFIG;

    committee->total = total;
    committee->quorum = total - faulty;
    committee->validity = faulty + 1;
    committee_hash(&committee->digest, committee);
    return OK;
}

void committee_encode(struct writer *writer, const struct committee *committee)
{
    CHECK(committee->count <= AUTHORITIES_MAX);

    writer_copy(writer, committee->network, sizeof committee->network);
    writer_u64(writer, committee->epoch);
    bcs_write_length(writer, committee->count);
    for (uint32_t i = 0; i < committee->count; i++) {
        const struct member *member = &committee->members[i];
        writer_copy(writer, member->key.bytes, sizeof member->key.bytes);
        writer_copy(writer, member->network_key.bytes, sizeof member->network_key.bytes);
        writer_u32(writer, member->stake);
    }
}

enum status committee_decode(struct committee *ret_committee, struct reader *reader)
{
    reader_copy(reader, ret_committee->network, sizeof ret_committee->network);
    ret_committee->epoch = reader_u64(reader);
    ret_committee->count = bcs_read_length(reader, AUTHORITIES_MAX);
    for (uint32_t i = 0; i < ret_committee->count; i++) {
        struct member *member = &ret_committee->members[i];
        reader_copy(reader, member->key.bytes, sizeof member->key.bytes);
        reader_copy(reader, member->network_key.bytes, sizeof member->network_key.bytes);
        member->stake = reader_u32(reader);
    }
    return reader->failed ? ERR_MALFORMED : committee_finish(ret_committee);
}

stake_t committee_stake(const struct committee *committee, const struct authority_set *set)
{
    stake_t sum = 0;
    for (uint32_t i = 0; i < committee->count; i++) {
        if (authority_set_has(set, (authority_t)i)) sum += committee->members[i].stake;
    }
    return sum;
}

void committee_genesis(struct digest *ret_digest,
                       const struct committee *committee,
                       authority_t authority)
{
    CHECK(authority < committee->count);

    const uint8_t index[2] = {(uint8_t)authority, (uint8_t)(authority >> 8)};
    const struct bytes parts[2] = {
        {committee->digest.bytes, sizeof committee->digest.bytes},
        {index, sizeof index},
    };
    crypto_hash(ret_digest, parts, 2);
}

enum status committee_verify_quorum(const struct committee *committee,
                                    int scope,
                                    const struct digest *digest,
                                    const struct quorum *quorum)
{
    if (quorum->count > AUTHORITIES_MAX) return ERR_MALFORMED;

    stake_t sum = 0;
    for (uint32_t i = 0; i < quorum->count; i++) {
        uint8_t signer = quorum->signers[i];
        if (i > 0 && quorum->signers[i - 1] >= signer) return ERR_MALFORMED;
        if (signer >= committee->count) return ERR_UNKNOWN_AUTHORITY;
        sum += committee->members[signer].stake;
    }
    if (sum < committee->quorum) return ERR_QUORUM;

    for (uint32_t i = 0; i < quorum->count; i++) {
        const struct public_key *key = &committee->members[quorum->signers[i]].key;
        if (!crypto_verify((enum crypto_scope)scope, digest, key, &quorum->signatures[i])) {
            return ERR_SIGNATURE;
        }
    }
    return OK;
}
