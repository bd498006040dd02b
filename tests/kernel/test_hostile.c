/* What the kernel must ignore, one kind after the other, with durable state unchanged but for what
 * is valid beside it: after each kind the model is compared, and at the end the chain is applied as
 * if nothing had been. Everything here is what any L1 account may post. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/kernel/rig.h"
#include "tests/kernel/scenario.h"

static struct rig rig;
static struct chain chain;

#define ACCEPTED_BEFORE 3u
#define LEVEL_MESSAGES  700u

/* Pre-blocks 1 and 2 are applied, 3 is accepted and waits for its pages. */
static int begin(void **state)
{
    (void)state;
    scenario_chain(&chain, 77, 7);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    rig_segment(&rig, 1, ACCEPTED_BEFORE);
    rig_pages(&rig, 1);
    rig_pages(&rig, 2);
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.applied, 2);
    return 0;
}

/* Nothing was accepted meanwhile, nobody was asked for a page, nothing trapped; and it goes on. */
static int finish(void **state)
{
    (void)state;
    assert_int_equal(rig.model.accepted, ACCEPTED_BEFORE);
    rig_segment(&rig, 4, 6);
    for (uint64_t index = 3; index <= 6; index++) {
        rig_pages(&rig, index);
    }
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.applied, 6);
    assert_int_equal(pvm_traps(rig.pvm), 0);
    assert_int_equal(rig.reveals, 0);
    rig_close(&rig);
    chain_close(&chain);
    return 0;
}

/* Runs a level when enough is in it. */
static void level_when_full(void)
{
    if (rig.count >= LEVEL_MESSAGES) assert_true(rig_level(&rig));
}

static void a_flipped_byte_anywhere_in_a_segment(void **state)
{
    struct blob original, blob;
    uint64_t random = 1;

    (void)state;
    message_segment_quorum(&original, &chain, 4, 6);
    for (size_t at = 0; at < original.len; at++) {
        memset(&blob, 0, sizeof blob);
        blob_add(&blob, original.data, original.len);
        blob.data[at] ^= (uint8_t)(1 + random_below(&random, 255));
        rig_junk(&rig, &blob);
        level_when_full();
    }
    blob_free(&original);
    assert_true(rig_level(&rig));
}

static void every_truncation_of_a_valid_message(void **state)
{
    struct blob original, blob;

    (void)state;
    message_segment_quorum(&original, &chain, 4, 5);
    for (size_t len = 0; len < original.len; len++) {
        memset(&blob, 0, sizeof blob);
        blob_add(&blob, original.data, len);
        rig_junk(&rig, &blob);
        level_when_full();
    }
    /* And one byte more than there should be. */
    blob_u8(&original, 0);
    rig_junk(&rig, &original);
    assert_true(rig_level(&rig));

    const struct chain_preblock *preblock = &chain.preblocks[2];
    message_page(&original, &chain, 3, 0, &preblock->pages[preblock->pages_count - 1].bytes);
    for (size_t len = 0; len < original.len; len++) {
        memset(&blob, 0, sizeof blob);
        blob_add(&blob, original.data, len);
        rig_junk(&rig, &blob);
        level_when_full();
    }
    blob_u8(&original, 0);
    rig_junk(&rig, &original);
    assert_true(rig_level(&rig));
}

static void signers(const uint8_t *list, uint32_t count)
{
    struct blob blob;

    message_segment(&blob, &chain, 4, 5, list, count);
    rig_junk(&rig, &blob);
}

static void certificates_that_are_no_quorum(void **state)
{
    const uint8_t all[] = {0, 1, 2, 3, 4, 5, 6};

    (void)state;
    signers(all, 0);
    signers(all, 1);
    signers(all, 4);                                       /* 2f */
    signers(all + 3, 4);                                   /* the other 2f */
    signers((const uint8_t[]){0, 1, 2, 3, 3}, 5);          /* one twice */
    signers((const uint8_t[]){0, 0, 1, 2, 3}, 5);          /* the first twice */
    signers((const uint8_t[]){1, 0, 2, 3, 4}, 5);          /* not ascending */
    signers((const uint8_t[]){0, 1, 2, 3, 7}, 5);          /* unknown */
    signers((const uint8_t[]){0, 1, 2, 3, 107}, 5);        /* unknown, by far */
    signers((const uint8_t[]){0, 1, 2, 3, 255}, 5);        /* unknown, the last byte */
    signers((const uint8_t[]){0, 1, 2, 3, 4, 5, 6, 7}, 8); /* all, and one more */
    assert_true(rig_level(&rig));
}

/* Signatures of the right members over other things: another digest, another scope, another
 * message. */
static void signatures_over_something_else(void **state)
{
    const uint8_t all[] = {0, 1, 2, 3, 4};
    struct blob blob;

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        message_frame(&blob, &chain, 1);
        blob_u8(&blob, 1);
        blob_add(&blob, chain.preblocks[3].header, 153);
        uint8_t digest[32];
        memcpy(digest, chain.preblocks[kind == 0 ? 4 : 3].digest, 32);
        if (kind == 1) digest[31] ^= 1;
        blob_quorum(&blob, &chain, digest, all, 5);
        /* Kind 2: right signatures in the wrong order. */
        if (kind == 2) {
            uint8_t first[64];
            uint8_t *signatures = blob.data + blob.len - 5 * 64;
            memcpy(first, signatures, 64);
            memmove(signatures, signatures + 64, 64);
            memcpy(signatures + 64, first, 64);
        }
        rig_junk(&rig, &blob);
    }
    assert_true(rig_level(&rig));
}

/* A header that a quorum signed, but that this kernel must not take. */
static void signed_header(const uint8_t header[153], struct model_message meaning)
{
    struct blob blob;

    message_header(&blob, &chain, header);
    rig_add(&rig, &blob, meaning);
}

static const struct model_message nothing = {MODEL_NOTHING, 0, 0, NULL};

static void certified_headers_of_another_epoch_or_version(void **state)
{
    uint8_t header[153];

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        memcpy(header, chain.preblocks[3].header, sizeof header);
        if (kind == 0) header[1] ^= 1;   /* epoch */
        if (kind == 1) header[8] ^= 128; /* epoch, highest byte */
        if (kind == 2) header[0] = 2;    /* version */
        if (kind == 3) header[152] = 1;  /* delayed */
        signed_header(header, nothing);
    }
    assert_true(rig_level(&rig));
}

static void gaps_and_impossible_indexes(void **state)
{
    uint8_t header[153];
    struct blob blob;

    (void)state;
    rig_segment(&rig, 5, 6); /* 4 is missing: the model knows */
    message_segment_quorum(&blob, &chain, 6, 6);
    rig_junk(&rig, &blob);
    memcpy(header, chain.preblocks[3].header, sizeof header);
    memset(header + 9, 0, 8); /* index 0 */
    signed_header(header, nothing);
    memset(header + 9, 0xff, 8); /* index 2^64-1 */
    signed_header(header, nothing);

    /* Indexes that wrap around inside one segment, or do not follow each other. */
    for (int kind = 0; kind < 2; kind++) {
        const uint8_t all[] = {0, 1, 2, 3, 4};
        message_frame(&blob, &chain, 1);
        blob_u8(&blob, 2);
        memset(header + 9, kind == 0 ? 0xff : 0, 8);
        blob_add(&blob, header, sizeof header);
        blob_add(&blob, chain.preblocks[kind == 0 ? 0 : 3].header, 153);
        blob_quorum(&blob, &chain, chain.preblocks[kind == 0 ? 0 : 3].digest, all, 5);
        rig_junk(&rig, &blob);
    }
    assert_true(rig_level(&rig));
}

/* A quorum signs a header whose index does not follow the one it names. */
static void an_index_that_jumps_inside_a_segment(void **state)
{
    const uint8_t all[] = {0, 1, 2, 3, 4};

    (void)state;
    for (int to = 0; to < 9; to++) {
        uint8_t second[153], digest[32];
        struct blob blob;
        if (to == 5) continue; /* the one that follows 4 */
        memcpy(second, chain.preblocks[4].header, sizeof second);
        second[9] = (uint8_t)to;
        crypto_generichash(digest, sizeof digest, second, sizeof second, NULL, 0);
        message_frame(&blob, &chain, 1);
        blob_u8(&blob, 2);
        blob_add(&blob, chain.preblocks[3].header, 153);
        blob_add(&blob, second, sizeof second);
        blob_quorum(&blob, &chain, digest, all, 5);
        rig_junk(&rig, &blob);
        assert_true(rig_level(&rig));
    }
}

/* The last header is right, but one before it is not the one that it names. */
static void a_chain_that_is_broken_inside_a_segment(void **state)
{
    const uint8_t all[] = {0, 1, 2, 3, 4};

    (void)state;
    for (int byte = 17; byte < 153; byte += 8) {
        struct blob blob;
        message_segment(&blob, &chain, 4, 6, all, 5);
        blob.data[23 + 153 + byte % 145] ^= 1; /* header 5, not its version or delayed */
        rig_junk(&rig, &blob);
    }
    assert_true(rig_level(&rig));
}

static void index_zero_before_anything_is_accepted(void **state)
{
    uint8_t header[153];

    (void)state;
    rig_close(&rig);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    memcpy(header, chain.preblocks[0].header, sizeof header);
    memset(header + 9, 0, 8);
    signed_header(header, nothing);
    assert_true(rig_level(&rig));
    rig_segment(&rig, 1, ACCEPTED_BEFORE); /* what `finish` expects */
    rig_pages(&rig, 1);
    rig_pages(&rig, 2);
    assert_true(rig_level(&rig));
}

static void old_segments(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= 3; first++) {
        for (uint64_t last = first; last <= 3; last++) {
            rig_segment(&rig, first, last);
        }
    }
    assert_true(rig_level(&rig));
}

/* Two certified digests for one index: the first stays, the other one is kept as evidence, once. */
static void forks_leave_only_evidence(void **state)
{
    uint8_t at_applied[153], at_pending[153], at_accepted[153], next[153];

    (void)state;
    memcpy(at_applied, chain.preblocks[0].header, 153);
    memcpy(at_pending, chain.preblocks[1].header, 153);
    memcpy(at_accepted, chain.preblocks[2].header, 153);
    memcpy(next, chain.preblocks[3].header, 153);
    at_applied[60] ^= 1;
    at_pending[60] ^= 1;
    at_accepted[60] ^= 1;
    next[20] ^= 1; /* names another predecessor */

    signed_header(at_applied, nothing); /* no longer known: cannot be told from an old one */
    assert_true(rig_level(&rig));
    signed_header(next, (struct model_message){MODEL_FORK, 0, 0, next});
    assert_true(rig_level(&rig));
    signed_header(at_accepted, (struct model_message){MODEL_FORK, 0, 0, at_accepted});
    signed_header(at_pending, nothing);
    assert_true(rig_level(&rig));
    assert_ptr_equal(rig.model.fork, next);
    /* `finish` runs levels with this model: the evidence must outlive this function. */
    static uint8_t kept[153];
    memcpy(kept, next, sizeof kept);
    rig.model.fork = kept;
}

static void a_fork_of_a_pending_preblock_is_seen(void **state)
{
    static uint8_t header[153];

    (void)state;
    rig_segment(&rig, 4, 5);
    assert_true(rig_level(&rig));
    memcpy(header, chain.preblocks[3].header,
           sizeof header); /* 4 is pending, 5 is the last accepted */
    header[60] ^= 1;
    signed_header(header, (struct model_message){MODEL_FORK, 0, 0, header});
    assert_true(rig_level(&rig));
    assert_ptr_equal(rig.model.fork, header);
    rig.model.accepted = ACCEPTED_BEFORE; /* what `finish` expects to begin with */
}

/* The same without the signatures: nothing may be recorded. */
static void forged_forks_leave_nothing(void **state)
{
    uint8_t header[153];
    struct blob blob;

    (void)state;
    for (uint32_t index = 1; index <= 4; index++) {
        memcpy(header, chain.preblocks[index - 1].header, sizeof header);
        header[60] ^= 1;
        message_header(&blob, &chain, header);
        blob.data[blob.len - 1] ^= 1;
        rig_junk(&rig, &blob);
    }
    assert_true(rig_level(&rig));
}

static void pages_nobody_wants(void **state)
{
    struct blob blob;

    (void)state;
    for (uint64_t index = 0; index <= 8; index++) {
        for (uint64_t of = 1; of <= 8; of++) {
            if (of == index && index == ACCEPTED_BEFORE) continue; /* those are wanted */
            const struct chain_preblock *preblock = &chain.preblocks[of - 1];
            for (int page = 0; page < preblock->pages_count && page < 10; page++) {
                message_page(&blob, &chain, index, 0, &preblock->pages[page].bytes);
                rig_junk(&rig, &blob);
            }
        }
        assert_true(rig_level(&rig));
    }
    /* Wanted, but without the pages that name them. */
    for (int page = 0; page < chain.preblocks[2].batches[0].root_page; page++) {
        message_page(&blob, &chain, 3, 0, &chain.preblocks[2].pages[page].bytes);
        rig_junk(&rig, &blob);
    }
    assert_true(rig_level(&rig));
}

/* Pages by the thousand for a pre-block that waits, big ones and tiny ones, and the right ones
 * among them. */
static void a_page_flood(void **state)
{
    uint64_t random = 5;

    (void)state;
    for (int level = 0; level < 3; level++) {
        for (int i = 0; i < 2500; i++) {
            struct blob page = {0}, message;
            uint32_t len = i % 20 == 0 ? 4000 : random_below(&random, 40);
            blob_u8(&page, random_below(&random, 3));
            blob_big(&page, len, 4);
            for (uint32_t b = 0; b < len; b++) {
                blob_u8(&page, random_below(&random, 256));
            }
            message_page(&message, &chain, 1 + random_below(&random, 9), i & 255, &page);
            rig_junk(&rig, &message);
            blob_free(&page);
        }
        assert_true(rig_level(&rig));
    }
}

static void foreign_frames_and_unknown_tags(void **state)
{
    struct blob original, blob;

    (void)state;
    message_segment_quorum(&original, &chain, 4, 5);
    for (size_t at = 0; at <= 20; at++) { /* frame byte and address */
        for (int bit = 0; bit < 8; bit++) {
            memset(&blob, 0, sizeof blob);
            blob_add(&blob, original.data, original.len);
            blob.data[at] ^= (uint8_t)(1u << bit);
            rig_junk(&rig, &blob);
        }
    }
    for (unsigned tag = 0; tag < 256; tag++) {
        if (tag == 1) continue; /* as a page it must be ignored, too */
        memset(&blob, 0, sizeof blob);
        blob_add(&blob, original.data, original.len);
        blob.data[21] = (uint8_t)tag;
        rig_junk(&rig, &blob);
        message_frame(&blob, &chain, tag); /* empty bodies */
        rig_junk(&rig, &blob);
    }
    blob_free(&original);
    assert_true(rig_level(&rig));
}

static void random_bytes_of_every_length(void **state)
{
    uint64_t random = 3;

    (void)state;
    for (uint32_t len = 0; len <= 4095; len += len < 300 ? 1 : 97) {
        struct blob blob = {0};
        for (uint32_t b = 0; b < len; b++) {
            blob_u8(&blob, random_below(&random, 256));
        }
        rig_junk(&rig, &blob);
        /* And behind a valid frame with a valid tag. */
        if (len < 4000) {
            message_frame(&blob, &chain, 1 + len % 2);
            for (uint32_t b = 0; b < len; b++) {
                blob_u8(&blob, random_below(&random, 256));
            }
            rig_junk(&rig, &blob);
        }
        level_when_full();
    }
    assert_true(rig_level(&rig));
}

static void lengths_that_lie(void **state)
{
    struct blob blob;

    (void)state;
    for (unsigned count = 0; count < 256; count++) {
        if (count == 2) continue;
        message_segment_quorum(&blob, &chain, 4, 5);
        blob.data[22] = (uint8_t)count; /* headers */
        rig_junk(&rig, &blob);
        if (count == 5) continue;
        message_segment_quorum(&blob, &chain, 4, 5);
        blob.data[23 + 2 * 153] = (uint8_t)count; /* signers */
        rig_junk(&rig, &blob);
        message_segment_quorum(&blob, &chain, 4, 5);
        blob.data[24 + 2 * 153 + 5] = (uint8_t)count; /* signatures */
        rig_junk(&rig, &blob);
        level_when_full();
    }
    assert_true(rig_level(&rig));
}

#define HOSTILE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(a_flipped_byte_anywhere_in_a_segment),
        HOSTILE(every_truncation_of_a_valid_message),
        HOSTILE(certificates_that_are_no_quorum),
        HOSTILE(signatures_over_something_else),
        HOSTILE(certified_headers_of_another_epoch_or_version),
        HOSTILE(gaps_and_impossible_indexes),
        HOSTILE(an_index_that_jumps_inside_a_segment),
        HOSTILE(a_chain_that_is_broken_inside_a_segment),
        HOSTILE(index_zero_before_anything_is_accepted),
        HOSTILE(old_segments),
        HOSTILE(forks_leave_only_evidence),
        HOSTILE(a_fork_of_a_pending_preblock_is_seen),
        HOSTILE(forged_forks_leave_nothing),
        HOSTILE(pages_nobody_wants),
        HOSTILE(a_page_flood),
        HOSTILE(foreign_frames_and_unknown_tags),
        HOSTILE(random_bytes_of_every_length),
        HOSTILE(lengths_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
