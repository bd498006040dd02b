/* Goal: committee.json survives a round trip, and every mistake in it is answered with a line that
 * names the file and the field. Method: a good file is made, then changed in one place at a time
 * through its JSON. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/committee_file.h"
#include "common/crypto.h"

static struct committee_file file;
static struct committee_file back;

static void make_file(uint32_t count)
{
    memset(&file, 0, sizeof file);
    memset(file.committee.network, 0x5a, sizeof file.committee.network);
    file.committee.epoch = 3;
    file.committee.count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &file.committee.members[i];
        struct authority_entry *entry = &file.entries[i];
        struct secret_key secret;
        uint8_t seed[32] = {(uint8_t)i, 1};
        char text[64];

        crypto_key_pair(&member->key, &secret, seed);
        seed[1] = 2;
        crypto_key_pair(&member->network_key, &secret, seed);
        member->stake = 1;
        snprintf(entry->name, sizeof entry->name, "node-%u", i + 1);
        struct address *addresses[] = {&entry->primary, &entry->exporter, &entry->transactions,
                                       &entry->worker, &entry->http};
        for (uint32_t k = 0; k < 5; k++) {
            snprintf(text, sizeof text, "127.0.0.1:%u", 64000 + 10 * (i + 1) + k);
            assert_int_equal(address_parse(addresses[k], text), OK);
        }
    }
    assert_int_equal(committee_finish(&file.committee), OK);
}

static void a_file_survives_the_round_trip(void **state)
{
    (void)state;
    struct error_line error = {""};
    make_file(7);
    char *text = committee_file_text(&file);

    assert_int_equal(committee_file_parse(&back, "c", text, strlen(text), &error), OK);
    assert_memory_equal(&back.committee, &file.committee, sizeof file.committee);
    for (uint32_t i = 0; i < 7; i++) {
        assert_string_equal(back.entries[i].name, file.entries[i].name);
        assert_int_equal(back.entries[i].http.port, 64000 + 10 * (i + 1) + 4);
        assert_int_equal(back.entries[i].exporter.port, 64000 + 10 * (i + 1) + 1);
    }
    char *again = committee_file_text(&back);
    assert_string_equal(text, again);
    free(again);
    free(text);

    authority_t index;
    assert_int_equal(committee_file_find(&index, &file, &file.committee.members[4].key), OK);
    assert_int_equal(index, 4);
    assert_int_equal(committee_file_find(&index, &file, &file.committee.members[4].network_key),
                     ERR_NOT_FOUND);
}

static void a_saved_file_loads(void **state)
{
    (void)state;
    char directory[] = "/tmp/dsn-committee-XXXXXX";
    char path[64];
    struct error_line error = {""};

    make_file(4);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/committee.json", directory);
    assert_int_equal(committee_file_load(&back, path, &error), ERR_IO);
    assert_int_equal(committee_file_save(&file, path, &error), OK);
    assert_int_equal(committee_file_save(&file, path, &error), OK);
    assert_int_equal(committee_file_load(&back, path, &error), OK);
    assert_memory_equal(&back.committee, &file.committee, sizeof file.committee);
    unlink(path);
    assert_int_equal(rmdir(directory), 0); /* no temporary file is left */
}

/* Parses the file with authority `index` (or the top level, -1) changed in one field; NULL removes
 * it. */
static enum status parse_with(int index, const char *field, json_t *value, struct error_line *error)
{
    make_file(4);
    char *text = committee_file_text(&file);
    json_t *root = json_loads(text, 0, NULL);
    free(text);
    json_t *object = root;
    if (index >= 0) object = json_array_get(json_object_get(root, "authorities"), (size_t)index);
    if (value == NULL) {
        json_object_del(object, field);
    } else {
        json_object_set_new(object, field, value);
    }
    text = json_dumps(root, 0);
    json_decref(root);
    enum status status = committee_file_parse(&back, "committee.json", text, strlen(text), error);
    free(text);
    return status;
}

static void each_mistake_is_named(void **state)
{
    (void)state;
    char other_key[65];
    char small_order[65];
    const uint8_t identity[32] = {1};
    make_file(4);
    hex_encode(other_key, file.committee.members[1].key.bytes, 32);
    hex_encode(small_order, identity, 32);

    const struct {
        int index;
        const char *field;
        json_t *value;
        const char *line;
    } cases[] = {
        {-1, "network", json_string("12"), "committee.json: network: expected 64 hex digits"},
        {-1, "epoch", json_integer(-1), "committee.json: epoch: expected 0..9223372036854775807"},
        {-1, "epoch", NULL, "committee.json: epoch: missing"},
        {-1, "extra", json_true(), "committee.json: extra: unknown field"},
        {-1, "authorities", json_array(),
         "committee.json: authorities: expected a list of 1..100 authorities"},
        {2, "stake", json_integer(0),
         "committee.json: authorities[2].stake: expected 1..4294967295"},
        {2, "stake", json_integer(4294967296),
         "committee.json: authorities[2].stake: expected 1..4294967295"},
        {2, "stake", json_real(1.0),
         "committee.json: authorities[2].stake: expected 1..4294967295"},
        {2, "stake", json_string("1"),
         "committee.json: authorities[2].stake: expected 1..4294967295"},
        {1, "name", json_string(""),
         "committee.json: authorities[1].name: expected 1..63 letters, digits, '-', '_' or '.'"},
        {1, "name", json_string("a b"),
         "committee.json: authorities[1].name: expected 1..63 letters, digits, '-', '_' or '.'"},
        {1, "name", json_string("node-1"),
         "committee.json: authorities[1].name: same as of authorities[0]"},
        {3, "key", json_string(other_key),
         "committee.json: authorities[3].key: same as of authorities[1]"},
        {3, "key", json_string(small_order),
         "committee.json: authorities[3].key: not an Ed25519 public key"},
        {3, "network_key", json_integer(1),
         "committee.json: authorities[3].network_key: expected 64 hex digits"},
        {0, "http_address", json_string("localhost"),
         "committee.json: authorities[0].http_address: expected \"host:port\""},
        {0, "worker_address", NULL, "committee.json: authorities[0].worker_address: missing"},
        {0, "worker", json_null(), "committee.json: authorities[0].worker: unknown field"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error_line error = {""};
        enum status status = parse_with(cases[i].index, cases[i].field, cases[i].value, &error);
        assert_int_equal(status, ERR_CONFIG);
        assert_string_equal(error.text, cases[i].line);
    }
}

static void text_that_is_not_json_is_malformed(void **state)
{
    (void)state;
    const char *const texts[] = {"", "{", "{\"epoch\":1,\"epoch\":2}", "{} x", "nul"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error_line error = {""};
        assert_int_equal(committee_file_parse(&back, "c.json", texts[i], strlen(texts[i]), &error),
                         ERR_MALFORMED);
        assert_memory_equal(error.text, "c.json:", 7);
    }
}

static void a_stake_above_f_is_warned_of(void **state)
{
    (void)state;
    struct error_line warning;
    make_file(4);
    assert_false(committee_file_warning(&warning, &file));
    file.committee.members[2].stake = 2;
    assert_int_equal(committee_finish(&file.committee), OK);
    assert_true(committee_file_warning(&warning, &file));
    assert_non_null(strstr(warning.text, "authorities[2] (node-3): stake 2 exceeds F = 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_survives_the_round_trip),
        cmocka_unit_test(a_saved_file_loads),
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(text_that_is_not_json_is_malformed),
        cmocka_unit_test(a_stake_above_f_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
