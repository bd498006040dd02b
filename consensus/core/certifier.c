#include "consensus/core/certifier.h"

#include "common/crypto.h"

void certifier_place(struct certifier *certifier,
                     struct region *region,
                     const struct committee *committee)
{
    size_t count = committee->count;
    size_t slots = CERTIFIER_ROUNDS * count;
    struct header *headers;
    struct certifier_vote *votes;

    CHECK(count >= 1);
    certifier->committee = committee;
    certifier->verified = 0;
    certifier->slots = region_take(region, sizeof *certifier->slots * slots);
    votes = region_take(region, sizeof *votes * slots * count);
    headers = region_take(region, sizeof *headers * slots * CERTIFIER_HEADERS);
    if (region->base == NULL) return;
    for (size_t i = 0; i < slots; i++) {
        certifier->slots[i].votes = votes + i * count;
        for (size_t j = 0; j < CERTIFIER_HEADERS; j++) {
            certifier->slots[i].headers[j].header = headers + i * CERTIFIER_HEADERS + j;
        }
    }
}

static struct certifier_slot *slot_place(const struct certifier *certifier,
                                         round_t round,
                                         authority_t author)
{
    CHECK(author < certifier->committee->count);
    return &certifier
                ->slots[(size_t)(round % CERTIFIER_ROUNDS) * certifier->committee->count + author];
}

struct certifier_slot *certifier_slot(const struct certifier *certifier,
                                      round_t round,
                                      authority_t author)
{
    struct certifier_slot *slot = slot_place(certifier, round, author);

    return round > 0 && slot->round == round ? slot : NULL;
}

/* The slot for writing: a lower round in its place gives way. NULL when a higher one is there. */
static struct certifier_slot *slot_claim(struct certifier *certifier,
                                         round_t round,
                                         authority_t author)
{
    struct certifier_slot *slot = slot_place(certifier, round, author);

    CHECK(round > 0);
    if (slot->round > round) return NULL;
    if (slot->round < round) {
        slot->round = round;
        slot->author = author;
        slot->headers_count = 0;
        slot->certified = false;
        slot->evidence = false;
        slot->named = false;
        for (uint32_t i = 0; i < certifier->committee->count; i++)
            slot->votes[i].present = false;
    }
    return slot;
}

const struct certifier_header *certifier_find(const struct certifier_slot *slot,
                                              const struct digest *digest)
{
    for (uint32_t i = 0; i < slot->headers_count; i++) {
        if (digest_equal(&slot->headers[i].digest, digest)) return &slot->headers[i];
    }
    return NULL;
}

/* True when voter `i` names `digest`. An author names every header it signed. */
static bool slot_names(const struct certifier_slot *slot, uint32_t i, const struct digest *digest)
{
    if (i == slot->author && certifier_find(slot, digest) != NULL) return true;
    return slot->votes[i].present && digest_equal(&slot->votes[i].header, digest);
}

stake_t certifier_named_stake(const struct certifier *certifier,
                              const struct certifier_slot *slot,
                              const struct digest *digest)
{
    stake_t stake = 0;

    for (uint32_t i = 0; i < certifier->committee->count; i++) {
        if (slot_names(slot, i, digest)) stake += certifier->committee->members[i].stake;
    }
    CHECK(stake <= certifier->committee->total);
    return stake;
}

enum status certifier_add_header(struct certifier *certifier,
                                 const struct header *header,
                                 const struct digest *digest,
                                 const struct signature *signature)
{
    struct certifier_slot *slot = slot_claim(certifier, header->round, header->author);
    struct certifier_header *place;

    if (slot == NULL) return ERR_STALE;
    if (certifier_find(slot, digest) != NULL) return ERR_DUPLICATE;
    if (slot->headers_count > 0 &&
        certifier_named_stake(certifier, slot, digest) < certifier->committee->validity) {
        return ERR_CONFLICT;
    }
    if (slot->headers_count == CERTIFIER_HEADERS) return ERR_CONFLICT;
    place = &slot->headers[slot->headers_count++];
    place->digest = *digest;
    place->signature = *signature;
    *place->header = *header;
    CHECK(slot->headers_count <= CERTIFIER_HEADERS);
    return OK;
}

enum status certifier_add_vote(struct certifier *certifier, const struct vote *vote, bool verified)
{
    struct certifier_slot *slot = slot_claim(certifier, vote->round, vote->author);
    struct certifier_vote *place;

    CHECK(vote->voter < certifier->committee->count);
    if (slot == NULL) return ERR_STALE;
    place = &slot->votes[vote->voter];
    if (place->present) {
        bool same = digest_equal(&place->header, &vote->header);

        if (same && verified && !place->verified) {
            place->signature = vote->signature;
            place->verified = true;
        }
        return same ? ERR_DUPLICATE : ERR_CONFLICT;
    }
    place->header = vote->header;
    place->signature = vote->signature;
    place->present = true;
    place->verified = verified;
    return OK;
}

bool certifier_unknown(const struct certifier *certifier,
                       struct digest *ret_digest,
                       const struct certifier_slot *slot)
{
    if (slot->certified) return false;
    for (uint32_t i = 0; i < certifier->committee->count; i++) {
        const struct certifier_vote *vote = &slot->votes[i];

        if (!vote->present || certifier_find(slot, &vote->header) != NULL) continue;
        if (certifier_named_stake(certifier, slot, &vote->header) >=
            certifier->committee->validity) {
            *ret_digest = vote->header;
            return true;
        }
    }
    return false;
}

/* The verified signature of voter `i` on a known header, or NULL. */
static const struct signature *slot_signature(const struct certifier_slot *slot,
                                              uint32_t i,
                                              const struct certifier_header *known)
{
    const struct certifier_vote *vote = &slot->votes[i];

    if (i == slot->author) return &known->signature;
    if (!vote->present || !vote->verified) return NULL;
    return digest_equal(&vote->header, &known->digest) ? &vote->signature : NULL;
}

/* Verifies votes for a known header in index order until their verified stake is Q. */
static stake_t slot_verify(struct certifier *certifier,
                           struct authority_set *ret_bad,
                           struct certifier_slot *slot,
                           const struct certifier_header *known)
{
    const struct committee *committee = certifier->committee;
    const struct digest *digest = &known->digest;
    stake_t verified = 0;

    for (uint32_t i = 0; i < committee->count; i++) {
        if (slot_signature(slot, i, known) != NULL) verified += committee->members[i].stake;
    }
    for (uint32_t i = 0; i < committee->count && verified < committee->quorum; i++) {
        struct certifier_vote *vote = &slot->votes[i];

        if (slot_signature(slot, i, known) != NULL || !slot_names(slot, i, digest)) continue;
        certifier->verified++;
        if (crypto_verify(SCOPE_HEADER, digest, &committee->members[i].key, &vote->signature)) {
            vote->verified = true;
            verified += committee->members[i].stake;
        } else {
            vote->present = false;
            authority_set_add(ret_bad, (authority_t)i);
        }
    }
    return verified;
}

bool certifier_certify(struct certifier *certifier,
                       struct certificate *ret_certificate,
                       struct authority_set *ret_bad,
                       struct certifier_slot *slot,
                       const struct digest *digest)
{
    const struct committee *committee = certifier->committee;
    const struct certifier_header *known = certifier_find(slot, digest);
    struct quorum *quorum = &ret_certificate->quorum;
    stake_t stake = 0;

    CHECK(slot->round > 0);
    *ret_bad = (struct authority_set){{0, 0}};
    if (known == NULL || slot->certified) return false;
    if (certifier_named_stake(certifier, slot, digest) < committee->quorum) return false;
    if (slot_verify(certifier, ret_bad, slot, known) < committee->quorum) return false;
    ret_certificate->header = *known->header;
    quorum->count = 0;
    for (uint32_t i = 0; i < committee->count && stake < committee->quorum; i++) {
        const struct signature *signature = slot_signature(slot, i, known);

        if (signature == NULL) continue;
        quorum->signers[quorum->count] = (uint8_t)i;
        quorum->signatures[quorum->count] = *signature;
        quorum->count++;
        stake += committee->members[i].stake;
    }
    CHECK(stake >= committee->quorum);
    slot->certified = true;
    return true;
}

void certifier_check(const struct certifier *certifier)
{
    size_t slots = CERTIFIER_ROUNDS * (size_t)certifier->committee->count;

    for (size_t i = 0; i < slots; i++) {
        const struct certifier_slot *slot = &certifier->slots[i];

        if (slot->round == 0) continue;
        CHECK(slot->headers_count <= CERTIFIER_HEADERS);
        CHECK(slot->author == i % certifier->committee->count);
        CHECK(slot->round % CERTIFIER_ROUNDS == i / certifier->committee->count);
        for (uint32_t j = 0; j < slot->headers_count; j++) {
            CHECK(slot->headers[j].header->round == slot->round);
            CHECK(slot->headers[j].header->author == slot->author);
        }
    }
}
