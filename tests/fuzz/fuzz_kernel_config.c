#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "rollup-kernel/host/pack.h"

/* What a kernel is originated with: the body by itself, and behind the code of a module. A body has one form; a
 * module without one takes one, and gives it back. */
static struct config config;
static uint8_t body[CONFIG_BYTES_MAX];

static bool decode_body(const uint8_t *data, size_t size)
{
    static uint8_t scratch[CONFIG_BYTES_MAX];
    struct config_view view;

    if (size > sizeof scratch) return false;
    memcpy(scratch, data, size);
    enum status parsed = config_parse(&view, scratch, size);
    memcpy(scratch, data, size);
    enum status decoded = config_decode(&config, scratch, size);
    /* Decoding is parsing and more: what the kernel refuses is never packed. */
    CHECK(decoded != OK || parsed == OK);
    return decoded == OK;
}

static void check_body(const uint8_t *data, size_t size)
{
    struct writer writer = writer_make(body, sizeof body);
    static uint8_t scratch[CONFIG_BYTES_MAX];
    static struct committee committee;
    struct config_view view;

    if (!decode_body(data, size)) return;
    CHECK(config.application_len >= 1);
    CHECK(config.application_len <= CONFIG_APPLICATION_BYTES_MAX);
    config_encode(&writer, &config);
    CHECK(!writer.failed);
    CHECK(writer.len == size);
    CHECK(memcmp(body, data, size) == 0);
    /* The kernel reads the record without checking it: it comes to the same committee. */
    memcpy(scratch, data, size);
    CHECK(config_parse(&view, scratch, size) == OK);
    config_read_committee(&committee, view.record);
    CHECK(committee.count == config.committee.count);
    CHECK(committee.quorum == config.committee.quorum);
    CHECK(committee.epoch == config.committee.epoch);
}

/* A configuration of one member, to be packed. */
static const struct config *one_member(void)
{
    static struct config one;

    if (one.committee.count > 0) return &one;
    struct secret_key secret;
    uint8_t seed[32] = {1};
    one.committee.count = 1;
    one.committee.members[0].stake = 1;
    crypto_key_pair(&one.committee.members[0].key, &secret, seed);
    seed[0] = 2;
    crypto_key_pair(&one.committee.members[0].network_key, &secret, seed);
    CHECK(committee_finish(&one.committee) == OK);
    one.application[0] = CONFIG_APPLICATION_LOG;
    one.application_len = 1;
    return &one;
}

static void check_module(const uint8_t *data, size_t size)
{
    static struct config again;
    uint8_t *packed = NULL;
    size_t packed_len = 0;
    struct bytes wasm = {data, size};

    if (pack_read_config(&config, wasm) == OK) {
        struct writer writer = writer_make(body, sizeof body);
        config_encode(&writer, &config);
        CHECK(!writer.failed);
        CHECK(memmem(data, size, body, writer.len) != NULL);
        CHECK(pack_kernel(&packed, &packed_len, wasm, one_member()) == ERR_CONFLICT);
    }
    if (pack_kernel(&packed, &packed_len, wasm, one_member()) != OK) return;
    CHECK(packed_len > size);
    CHECK(memcmp(packed, data, size) == 0);
    CHECK(pack_read_config(&again, (struct bytes){packed, packed_len}) == OK);
    CHECK(digest_equal(&again.committee.digest, &one_member()->committee.digest));
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_body(data, size);
    check_module(data, size);
    return 0;
}
