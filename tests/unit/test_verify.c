/* Goal: whoever holds the committee file and nothing else finds every lie of an exported stream,
 * and is told where it is. Method: a valid stream (verify_world.h) is accepted from every item on;
 * then each of its bytes is changed, one at a time, and each structural lie is told, first by an
 * exporter that cannot sign, then by a quorum that does. After every refusal the right item must
 * still be accepted: nothing is remembered of a wrong one. */
#include "tests/unit/unit.h"
#include "tests/unit/verify_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "proto/pb.h"
#include "proto/verify.h"

static char text[VERIFY_TEXT_BYTES];

static enum status next(struct verify *verify, struct bytes bytes, bool require)
{
    struct verify_item item;
    text[0] = 0;
    return verify_next(verify, &item, text, bytes, require);
}

static void accept(struct verify *verify, uint32_t number)
{
    enum status status = next(verify, verify_world_encode(verify_world_item(number)), true);
    if (status != OK) fail_msg("item %u is refused: %s", number, text);
}

/* A verifier that has seen all items before `number`. */
static struct verify *verify_before(uint32_t number)
{
    struct verify *verify = verify_open(verify_world_committee());
    for (uint32_t i = 1; i < number; i++)
        accept(verify, i);
    return verify;
}

/* ---- the valid stream ------------------------------------------------------------------------ */

static void the_stream_is_accepted_from_every_item_on(void **state)
{
    (void)state;
    for (uint32_t first = 1; first <= WORLD_ITEMS; first++) {
        struct verify *verify = verify_open(verify_world_committee());
        for (uint32_t i = first; i <= WORLD_ITEMS; i++)
            accept(verify, i);
        verify_close(verify);
    }
}

static void what_was_found_is_told(void **state)
{
    (void)state;
    struct world_item copy = *verify_world_item(1);
    struct verify *verify = verify_before(1);
    struct verify_item item;
    struct digest digest;

    copy.certified = false;
    assert_int_equal(verify_next(verify, &item, text, verify_world_encode(&copy), false), OK);
    assert_false(item.certified);
    verify_close(verify);
    verify = verify_before(1);
    assert_int_equal(
        verify_next(verify, &item, text, verify_world_encode(verify_world_item(1)), false), OK);
    assert_true(item.certified);
    preblock_digest(&digest, &verify_world_item(1)->preblock);
    assert_memory_equal(&item.digest, &digest, sizeof digest);
    assert_int_equal(item.preblock.index, 1);
    assert_int_equal(item.preblock.batches, 4);
    verify_close(verify);
}

/* ---- one byte -------------------------------------------------------------------------------- */

/* The part that the byte at `offset` belongs to, as a refusal must name it; "" for the keys and
 * lengths between the parts. */
static void part_at(char *ret_part, size_t size, struct bytes bytes, size_t offset)
{
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;
    unsigned certificates = 0;
    unsigned payloads = 0;

    ret_part[0] = 0;
    while (pb_next(&field, &reader)) {
        const uint8_t *at = bytes.data + offset;
        unsigned number = 0;
        if (field.number == 3) number = certificates++;
        if (field.number == 4) number = payloads++;
        if (field.kind != PB_BYTES || at < field.bytes.data) continue;
        if (at >= field.bytes.data + field.bytes.len) continue;
        if (field.number == 2) snprintf(ret_part, size, "leader");
        if (field.number == 3) snprintf(ret_part, size, "certificate %u", number);
        if (field.number == 4) snprintf(ret_part, size, "payload %u", number);
        if (field.number == 5) snprintf(ret_part, size, "pre-block");
        if (field.number == 6) snprintf(ret_part, size, "pre-block certificate");
    }
}

static bool ends_a_word(char c)
{
    return c == 0 || c == ':' || c == ' ' || c == '\'';
}

static void every_changed_byte_is_refused_by_name(void **state)
{
    (void)state;
    static uint8_t changed[64 * 1024];
    size_t bytes_changed = 0;

    for (uint32_t number = 1; number <= WORLD_ITEMS; number++) {
        struct verify *verify = verify_before(number);
        struct bytes valid = verify_world_encode(verify_world_item(number));
        memcpy(changed, valid.data, valid.len);
        for (size_t offset = 0; offset < valid.len; offset++) {
            char part[32];
            const char *named;
            enum status status;
            part_at(part, sizeof part, valid, offset);
            changed[offset] ^= (uint8_t)(1u << (offset + number) % 8);
            status = next(verify, (struct bytes){changed, valid.len}, true);
            changed[offset] = valid.data[offset];
            if (status == OK)
                fail_msg("item %u: byte %zu (%s) is covered by nothing", number, offset, part);
            named = strstr(text, part);
            if (text[0] == 0 || named == NULL ||
                (part[0] != 0 && !ends_a_word(named[strlen(part)])))
                fail_msg("item %u: byte %zu of %s: told \"%s\"", number, offset, part, text);
            bytes_changed++;
        }
        accept(verify, number);
        verify_close(verify);
    }
    print_message("%zu bytes changed, one at a time\n", bytes_changed);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= WORLD_ITEMS; number++) {
        struct verify *verify = verify_before(number);
        struct bytes valid = verify_world_encode(verify_world_item(number));
        for (size_t len = 0; len < valid.len; len++) {
            if (next(verify, (struct bytes){valid.data, len}, true) == OK)
                fail_msg("item %u: its first %zu bytes are accepted", number, len);
            assert_int_not_equal(text[0], 0);
        }
        accept(verify, number);
        verify_close(verify);
    }
}

/* ---- items ----------------------------------------------------------------------------------- */

static void refuse_item(struct verify *verify, uint32_t number, const char *expected)
{
    if (next(verify, verify_world_encode(verify_world_item(number)), true) == OK)
        fail_msg("item %u is accepted out of turn", number);
    if (strstr(text, expected) == NULL) fail_msg("item %u: told \"%s\"", number, text);
}

static void items_dropped_repeated_or_reordered_are_refused(void **state)
{
    (void)state;
    for (uint32_t number = 1; number < WORLD_ITEMS; number++) {
        struct verify *verify = verify_before(number + 1);
        for (uint32_t other = 1; other <= WORLD_ITEMS; other++)
            if (other != number + 1) refuse_item(verify, other, "pre-block: index");
        accept(verify, number + 1);
        verify_close(verify);
    }
}

/* ---- lies ------------------------------------------------------------------------------------ */

static void drop_batch(struct world_item *item)
{
    item->batches[2]--;
}

static void repeat_batch(struct world_item *item)
{
    item->payloads[2][2] = item->payloads[2][1];
    item->batches[2] = 3;
}

static void swap_batches(struct world_item *item)
{
    struct bytes first = item->payloads[2][0];
    item->payloads[2][0] = item->payloads[2][1];
    item->payloads[2][1] = first;
}

static void move_batch_to_another_payload(struct world_item *item)
{
    item->payloads[1][item->batches[1]++] = item->payloads[0][0];
    item->batches[0] = 0;
}

static void swap_certificates(struct world_item *item)
{
    struct certificate first = item->certificates[1];
    item->certificates[1] = item->certificates[4];
    item->certificates[4] = first;
}

static void drop_certificate(struct world_item *item)
{
    for (uint32_t i = 0; i + 1 < item->count; i++) {
        item->certificates[i] = item->certificates[i + 1];
        item->batches[i] = item->batches[i + 1];
        memcpy(item->payloads[i], item->payloads[i + 1], sizeof item->payloads[i]);
    }
    item->count--;
}

static void repeat_certificate(struct world_item *item)
{
    item->certificates[5] = item->certificates[4];
    item->batches[5] = 0;
    item->count = 6;
}

/* Makes a vertex without payload the one at `place`. */
static void insert(struct world_item *item, uint32_t place, const struct certificate *certificate)
{
    for (uint32_t i = item->count; i > place; i--) {
        item->certificates[i] = item->certificates[i - 1];
        item->batches[i] = item->batches[i - 1];
        memcpy(item->payloads[i], item->payloads[i - 1], sizeof item->payloads[i]);
    }
    item->certificates[place] = *certificate;
    item->batches[place] = 0;
    item->count++;
}

static void insert_exported_vertex(struct world_item *item)
{
    insert(item, 0, verify_world_vertex(1, 3));
}

static void insert_unreached_vertex(struct world_item *item)
{
    insert(item, 2, verify_world_vertex(2, 3));
}

static void append_after_leader(struct world_item *item)
{
    item->certificates[item->count] = *verify_world_vertex(2, 1);
    item->batches[item->count++] = 0;
}

static void exchange_leader(struct world_item *item)
{
    item->leader = *verify_world_vertex(2, 1);
}

static void drop_all_certificates(struct world_item *item)
{
    item->count = 0;
}

static void change_id(struct world_item *item)
{
    item->id++;
}

static void exchange_preblock_certificate(struct world_item *item)
{
    item->quorum = verify_world_item(2)->quorum;
}

static void drop_preblock_certificate(struct world_item *item)
{
    item->certified = false;
}

static void preblock_signed_as_header(struct world_item *item)
{
    struct certificate certificate = item->certificates[0];
    item->quorum = certificate.quorum;
}

static void two_f_signers(struct world_item *item)
{
    item->quorum.count = 2;
}

static void signer_twice(struct world_item *item)
{
    item->quorum.signers[1] = item->quorum.signers[0];
    item->quorum.signatures[1] = item->quorum.signatures[0];
}

static void signers_descending(struct world_item *item)
{
    struct quorum copy = item->quorum;
    item->quorum.signers[0] = copy.signers[1];
    item->quorum.signatures[0] = copy.signatures[1];
    item->quorum.signers[1] = copy.signers[0];
    item->quorum.signatures[1] = copy.signatures[0];
}

static void unknown_signer(struct world_item *item)
{
    item->quorum.signers[item->quorum.count - 1] = WORLD_NODES;
}

static void vertex_two_f_signers(struct world_item *item)
{
    item->certificates[3].quorum.count = 2;
}

static void vertex_signer_twice(struct world_item *item)
{
    struct quorum *quorum = &item->certificates[3].quorum;
    quorum->signers[1] = quorum->signers[0];
    quorum->signatures[1] = quorum->signatures[0];
}

static void vertex_unknown_signer(struct world_item *item)
{
    struct quorum *quorum = &item->certificates[3].quorum;
    quorum->signers[quorum->count - 1] = WORLD_NODES;
}

static void vertex_unknown_author(struct world_item *item)
{
    item->certificates[3].header.author = WORLD_NODES;
    verify_world_sign_header(&item->certificates[3], 0);
}

static void vertex_other_epoch(struct world_item *item)
{
    item->certificates[3].header.epoch++;
    verify_world_sign_header(&item->certificates[3], 0);
}

static void signed_again(struct world_item *item)
{
    verify_world_sign_preblock(item, 0);
}

static void preblock_epoch(struct world_item *item)
{
    item->preblock.epoch++;
    signed_again(item);
}

static void preblock_previous(struct world_item *item)
{
    item->preblock.previous.bytes[31] ^= 1;
    signed_again(item);
}

static void preblock_timestamp(struct world_item *item)
{
    item->preblock.timestamp = verify_world_item((uint32_t)item->id - 1)->preblock.timestamp;
    signed_again(item);
}

static void preblock_round(struct world_item *item)
{
    item->preblock.round++;
    signed_again(item);
}

static void preblock_round_back(struct world_item *item)
{
    item->preblock.round = 1;
    signed_again(item);
}

static void preblock_leader(struct world_item *item)
{
    item->preblock.leader.bytes[0] ^= 1;
    signed_again(item);
}

static void preblock_payload(struct world_item *item)
{
    item->preblock.payload.bytes[0] ^= 1;
    signed_again(item);
}

static void preblock_batches(struct world_item *item)
{
    item->preblock.batches++;
    signed_again(item);
}

static void preblock_transactions(struct world_item *item)
{
    item->preblock.transactions--;
    signed_again(item);
}

static void preblock_bytes(struct world_item *item)
{
    item->preblock.bytes++;
    signed_again(item);
}

static void preblock_index_zero(struct world_item *item)
{
    item->id = item->preblock.index = 0;
    signed_again(item);
}

/* The second piece of a cut sub-DAG never comes: the next leader's sub-DAG takes its place. */
static void skip_last_piece(struct world_item *item)
{
    *item = *verify_world_item(5);
    item->id = item->preblock.index = 4;
    preblock_digest(&item->preblock.previous, &verify_world_item(3)->preblock);
    signed_again(item);
}

static const struct lie {
    const char *expected; /* in the text */
    uint32_t item;
    void (*tell)(struct world_item *item);
} lies[] = {
    {"pre-block: 4 batches, but 3 came", 1, drop_batch},
    {"payload 2: batch 3 is not named", 1, repeat_batch},
    {"payload 2: batch 2 is not named", 1, swap_batches},
    {"payload 1: batch 0 is not named", 1, move_batch_to_another_payload},
    {"certificate 2: out of (round, author) order", 1, swap_certificates},
    {"pre-block: 4 batches, but 3 came", 1, drop_certificate},
    {"certificate 5: out of (round, author) order", 1, repeat_certificate},
    {"certificate 0: this vertex was exported before", 2, insert_exported_vertex},
    {"vertex (author 3, round 2): the leader does not reach it", 2, insert_unreached_vertex},
    {"leader: is not the last certificate", 1, append_after_leader},
    {"leader: is not the pre-block's leader", 1, exchange_leader},
    {"no certificates", 1, drop_all_certificates},
    {"id: 2, but the pre-block's index is 1", 1, change_id},
    {"pre-block certificate: bad signature", 1, exchange_preblock_certificate},
    {"pre-block certificate: bad signature", 1, preblock_signed_as_header},
    {"pre-block certificate: missing", 1, drop_preblock_certificate},
    {"pre-block certificate: not enough stake", 1, two_f_signers},
    {"pre-block certificate: malformed", 1, signer_twice},
    {"pre-block certificate: malformed", 1, signers_descending},
    {"pre-block certificate: unknown authority", 1, unknown_signer},
    {"certificate 3 (author 3, round 1): certificate: not enough stake", 1, vertex_two_f_signers},
    {"certificate 3 (author 3, round 1): certificate: malformed", 1, vertex_signer_twice},
    {"certificate 3 (author 3, round 1): certificate: unknown authority", 1, vertex_unknown_signer},
    {"certificate 3: header is not well-formed (unknown authority)", 1, vertex_unknown_author},
    {"certificate 3: header is not well-formed (wrong epoch)", 1, vertex_other_epoch},
    {"pre-block: epoch 4", 1, preblock_epoch},
    {"pre-block 1: previous is not the committee digest", 1, preblock_previous},
    {"pre-block: previous is not the digest of the one before", 2, preblock_previous},
    {"pre-block: timestamp does not ascend", 2, preblock_timestamp},
    {"pre-block: round is not its leader's", 2, preblock_round},
    {"pre-block: round goes back", 2, preblock_round_back},
    {"leader: is not the pre-block's leader", 2, preblock_leader},
    {"pre-block: payload is not the root of its batches", 2, preblock_payload},
    {"pre-block: 3 batches, but 2 came", 2, preblock_batches},
    {"pre-block: 3 transactions, but 4 came", 2, preblock_transactions},
    {"bytes, but", 2, preblock_bytes},
    {"pre-block: index 0", 1, preblock_index_zero},
    {"pre-block: the sub-DAG before it never ended", 4, skip_last_piece},
};

static void every_lie_is_refused_by_name(void **state)
{
    (void)state;
    static struct world_item item;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const struct lie *lie = &lies[i];
        struct verify *verify = verify_before(lie->item);
        item = *verify_world_item(lie->item);
        lie->tell(&item);
        if (next(verify, verify_world_encode(&item), true) == OK)
            fail_msg("accepted, but expected: %s", lie->expected);
        if (strstr(text, lie->expected) == NULL)
            fail_msg("told \"%s\", but expected: %s", text, lie->expected);
        accept(verify, lie->item);
        verify_close(verify);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_accepted_from_every_item_on),
        cmocka_unit_test(what_was_found_is_told),
        cmocka_unit_test(every_changed_byte_is_refused_by_name),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(items_dropped_repeated_or_reordered_are_refused),
        cmocka_unit_test(every_lie_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
