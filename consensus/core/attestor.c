#include "consensus/core/attestor.h"

#include "common/crypto.h"

void attestor_place(struct attestor *attestor,
                    struct region *region,
                    const struct committee *committee,
                    authority_t self)
{
    CHECK(self < committee->count);
    attestor->committee = committee;
    attestor->self = self;
    attestor->made = 0;
    attestor->certified = 0;
    attestor->cells =
        region_take(region, sizeof *attestor->cells * ATTESTOR_RING * (size_t)committee->count);
    attestor->digests = region_take(region, sizeof *attestor->digests * ATTESTOR_RING);
    attestor->headers = region_take(region, sizeof *attestor->headers * ATTESTOR_RING);
    attestor->claims = region_take(region, sizeof *attestor->claims * committee->count);
    attestor->newest.index = 0;
    attestor->ahead.index = 0;
}

static struct attestation_cell *cell_of(const struct attestor *attestor,
                                        uint64_t index,
                                        authority_t authority)
{
    CHECK(authority < attestor->committee->count);
    return &attestor
                ->cells[(size_t)(index % ATTESTOR_RING) * attestor->committee->count + authority];
}

/* Our own digest of `index`, or NULL when it is not made or left the ring. */
static const struct digest *digest_of(const struct attestor *attestor, uint64_t index)
{
    if (index > attestor->made || index + ATTESTOR_RING <= attestor->made) return NULL;
    return &attestor->digests[index % ATTESTOR_RING];
}

void attestor_note_made(struct attestor *attestor, const struct preblock *header)
{
    uint64_t place = header->index % ATTESTOR_RING;

    CHECK(header->index > attestor->made);
    attestor->made = header->index;
    attestor->headers[place] = *header;
    preblock_digest(&attestor->digests[place], header);
    CHECK(digest_of(attestor, header->index) != NULL);
}

const struct attestation_cell *attestor_own(const struct attestor *attestor, uint64_t index)
{
    const struct attestation_cell *cell = cell_of(attestor, index, attestor->self);

    return index > 0 && cell->index == index ? cell : NULL;
}

enum status attestor_add(struct attestor *attestor,
                         const struct wire_attestation *attestation,
                         bool verified)
{
    struct attestation_cell *cell = cell_of(attestor, attestation->index, attestation->authority);

    if (attestation->index <= attestor->certified) return ERR_STALE;
    if (attestation->index > u64_max(attestor->made, attestor->certified) + ATTESTATION_WINDOW) {
        return ERR_AHEAD;
    }
    if (cell->index > attestation->index) return ERR_STALE;
    if (cell->index == attestation->index) {
        bool same = digest_equal(&cell->digest, &attestation->digest);

        CHECK(same || attestation->authority != attestor->self);
        return same ? ERR_DUPLICATE : ERR_CONFLICT;
    }
    cell->index = attestation->index;
    cell->digest = attestation->digest;
    cell->signature = attestation->signature;
    cell->verified = verified;
    return OK;
}

/* True when the authority attested our digest of `index`. */
static bool cell_agrees(const struct attestation_cell *cell,
                        uint64_t index,
                        const struct digest *digest)
{
    return cell->index == index && digest_equal(&cell->digest, digest);
}

/* Stake behind our digest of `index`: of verified ones only, or of all. */
static stake_t stake_behind(const struct attestor *attestor, uint64_t index, bool verified_only)
{
    const struct digest *digest = digest_of(attestor, index);
    stake_t stake = 0;

    CHECK(digest != NULL);
    for (authority_t a = 0; a < attestor->committee->count; a++) {
        const struct attestation_cell *cell = cell_of(attestor, index, a);

        if (!cell_agrees(cell, index, digest)) continue;
        if (cell->verified || !verified_only) stake += attestor->committee->members[a].stake;
    }
    return stake;
}

static void proof_build(const struct attestor *attestor,
                        struct preblock_proof *ret_proof,
                        uint64_t index)
{
    const struct digest *digest = digest_of(attestor, index);
    struct quorum *quorum = &ret_proof->quorum;
    stake_t stake = 0;

    CHECK(digest != NULL);
    ret_proof->index = index;
    ret_proof->header = attestor->headers[index % ATTESTOR_RING];
    ret_proof->digest = *digest;
    CHECK(ret_proof->header.index == index);
    quorum->count = 0;
    for (authority_t a = 0; a < attestor->committee->count; a++) {
        const struct attestation_cell *cell = cell_of(attestor, index, a);

        if (stake >= attestor->committee->quorum) break;
        if (!cell_agrees(cell, index, digest) || !cell->verified) continue;
        quorum->signers[quorum->count] = (uint8_t)a;
        quorum->signatures[quorum->count] = cell->signature;
        quorum->count++;
        stake += attestor->committee->members[a].stake;
    }
    CHECK(stake >= attestor->committee->quorum);
}

bool attestor_certify(struct attestor *attestor, struct authority_set *ret_bad, uint64_t index)
{
    const struct committee *committee = attestor->committee;
    const struct digest *digest = digest_of(attestor, index);
    stake_t stake;

    *ret_bad = (struct authority_set){{0, 0}};
    if (digest == NULL || index <= attestor->certified) return false;
    if (stake_behind(attestor, index, false) < committee->quorum) return false;
    stake = stake_behind(attestor, index, true);
    for (authority_t a = 0; a < committee->count && stake < committee->quorum; a++) {
        struct attestation_cell *cell = cell_of(attestor, index, a);

        if (!cell_agrees(cell, index, digest) || cell->verified) continue;
        if (crypto_verify(SCOPE_PREBLOCK, digest, &committee->members[a].key, &cell->signature)) {
            cell->verified = true;
            stake += committee->members[a].stake;
        } else {
            cell->index = 0;
            authority_set_add(ret_bad, a);
        }
    }
    if (stake < committee->quorum) return false;
    proof_build(attestor, &attestor->newest, index);
    attestor->certified = index;
    CHECK(attestor->certified <= attestor->made);
    return true;
}

enum status attestor_take_proof(struct attestor *attestor, const struct preblock_proof *proof)
{
    const struct digest *digest = digest_of(attestor, proof->index);

    CHECK(proof->index > 0);
    if (proof->index <= attestor->certified) return ERR_STALE;
    if (proof->index > attestor->made) {
        if (proof->index <= attestor->ahead.index) return ERR_STALE;
        attestor->ahead = *proof;
        return ERR_AHEAD;
    }
    if (digest == NULL) return ERR_STALE;
    if (!digest_equal(digest, &proof->digest)) return ERR_CONFLICT;
    attestor->newest = *proof;
    attestor->certified = proof->index;
    CHECK(attestor->certified <= attestor->made);
    return OK;
}

enum status attestor_settle_ahead(struct attestor *attestor)
{
    struct preblock_proof proof = attestor->ahead;

    if (proof.index == 0 || proof.index > attestor->made) return ERR_NOT_FOUND;
    attestor->ahead.index = 0;
    return attestor_take_proof(attestor, &proof);
}

void attestor_note_claim(struct attestor *attestor, authority_t authority, uint64_t index)
{
    CHECK(authority < attestor->committee->count);
    attestor->claims[authority] = u64_max(attestor->claims[authority], index);
}

uint64_t attestor_network(const struct attestor *attestor)
{
    const struct committee *committee = attestor->committee;
    uint64_t network = u64_max(attestor->made, attestor->ahead.index);

    for (authority_t a = 0; a < committee->count; a++) {
        const uint64_t claimed = attestor->claims[a];
        struct authority_set set = {{0, 0}};

        if (claimed <= network) continue;
        for (authority_t b = 0; b < committee->count; b++) {
            if (attestor->claims[b] >= claimed) authority_set_add(&set, b);
        }
        if (committee_stake(committee, &set) >= committee->validity) network = claimed;
    }
    return network;
}

void attestor_check(const struct attestor *attestor)
{
    CHECK(attestor->certified <= attestor->made);
    CHECK(attestor->ahead.index == 0 || attestor->ahead.index > attestor->made);
    CHECK(attestor->newest.index <= attestor->certified);
    CHECK(attestor->claims[attestor->self] == 0);
}
