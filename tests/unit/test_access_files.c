/* Goal: token and allow files are read strictly, with a line for what is wrong that never shows a
 * token; a token opens exactly what its line says; PEM files must belong together. Method: texts,
 * and real files in a fresh directory. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/allow_list.h"
#include "common/tls_files.h"
#include "common/token_table.h"
#include "tests/unit/pki.h"

#define READER  "reader-token-0123456789"
#define WRITER  "writer-token-0123456789"
#define MANAGER "manager/token+0123456789=="
#define KEY_A   "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_B   "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

static char directory[] = "/tmp/dsn-access-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static enum token_answer judge(const struct token_table *table,
                               enum token_right right,
                               const char *authorization)
{
    return token_table_judge(table, right, text_bytes(authorization));
}

static void a_token_opens_what_its_line_says(void **state)
{
    (void)state;
    struct token_table *table;
    struct error_line error;
    static const char text[] = "# comment\n\n"
                               "monitor\t" READER " read # behind words\r\n"
                               "wallet  " WRITER " submit read\n"
                               "root " MANAGER " admin";

    assert_int_equal(token_table_parse(&table, "t", text_bytes(text), &error), OK);
    assert_int_equal(token_table_count(table), 3);
    struct token_table *clone = token_table_clone(table);
    token_table_free(table);
    table = clone;
    assert_int_equal(judge(table, TOKEN_READ, "Bearer " READER), TOKEN_GOOD);
    assert_int_equal(judge(table, TOKEN_READ, "bearer " READER), TOKEN_GOOD);
    assert_int_equal(judge(table, TOKEN_SUBMIT, "Bearer " READER), TOKEN_FORBIDDEN);
    assert_int_equal(judge(table, TOKEN_ADMIN, "Bearer " READER), TOKEN_FORBIDDEN);
    assert_int_equal(judge(table, TOKEN_SUBMIT, "Bearer " WRITER), TOKEN_GOOD);
    assert_int_equal(judge(table, TOKEN_ADMIN, "Bearer " WRITER), TOKEN_FORBIDDEN);
    for (enum token_right right = TOKEN_ADMIN; right <= TOKEN_OPEN; right++)
        assert_int_equal(judge(table, right, "Bearer " MANAGER), TOKEN_GOOD);
    static const char *const strangers[] = {"",
                                            "Bearer",
                                            "Bearer ",
                                            "Bearer x",
                                            READER,
                                            "Basic " READER,
                                            "Bearer " READER "x",
                                            "Bearer  " READER,
                                            "Bearer monitor"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_int_equal(judge(table, TOKEN_READ, strangers[i]), TOKEN_UNKNOWN);
        assert_int_equal(judge(table, TOKEN_OPEN, strangers[i]), TOKEN_GOOD);
    }
    assert_int_equal(token_table_judge(table, TOKEN_READ, (struct bytes){NULL, 0}), TOKEN_UNKNOWN);
    token_table_free(table);
}

static void bad_token_files_are_refused_without_showing_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *line;
    } bad[] = {
        {"", "holds no token"},
        {"# nothing\n", "holds no token"},
        {"a b/c " READER " read\n", "t:1: "},
        {"a\n", "t:1: "},
        {"a secret-short\n", "t:1: "},
        {"a " READER "\n", "t:1: "},
        {"a " READER " write\n", "t:1: "},
        {"\na " READER " read\na " WRITER " read\n", "t:3: "},
        {"a " READER " read\nb " READER " read\n", "t:2: "},
        {"a " READER " read read read read read read read\n", "t:1: "},
        {"a " READER " read\x01\n", "t:1: "},
        {"\xc3\xa4 " READER " read\n", "t:1: "},
        {"a," READER " read\n", "t:1: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct token_table *table;
        struct error_line error = {""};
        assert_int_equal(token_table_parse(&table, "t", text_bytes(bad[i].text), &error),
                         ERR_MALFORMED);
        if (strstr(error.text, bad[i].line) == NULL) fail_msg("%zu: %s", i, error.text);
        assert_null(strstr(error.text, "token-0"));
        assert_null(strstr(error.text, "secret"));
    }
}

static void token_files_are_private(void **state)
{
    (void)state;
    struct token_table *table;
    struct error_line error;
    char token[TOKEN_BYTES_MAX + 1];
    const char *path = path_of("tokens");

    write_file(path, "a " READER " read\n", 0640);
    assert_int_equal(token_table_load(&table, path, &error), ERR_CONFIG);
    assert_non_null(strstr(error.text, "640"));
    write_file(path, "a " READER " read\n", 0600);
    assert_int_equal(token_table_load(&table, path, &error), OK);
    token_table_free(table);
    assert_int_equal(token_table_load(&table, directory, &error), ERR_CONFIG);
    assert_int_equal(token_table_load(&table, path_of("none"), &error), ERR_IO);

    assert_int_equal(token_file_read(token, path, &error), ERR_MALFORMED);
    write_file(path, READER "\n", 0600);
    assert_int_equal(token_file_read(token, path, &error), OK);
    assert_string_equal(token, READER);
    write_file(path, READER "\n", 0604);
    assert_int_equal(token_file_read(token, path, &error), ERR_CONFIG);
    write_file(path, READER "\n" WRITER "\n", 0600);
    assert_int_equal(token_file_read(token, path, &error), ERR_MALFORMED);
    unlink(path);
}

static void an_allow_list_is_sorted_and_has_its_own_limits(void **state)
{
    (void)state;
    struct allow_list *list;
    struct error_line error;
    static const char text[] = "first " KEY_A "\n"
                               "second " KEY_B " bytes=1000 transactions=0\n";

    assert_int_equal(allow_list_parse(&list, "a", text_bytes(text), &error), OK);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->entries[0].name, "second");
    assert_true(list->entries[0].has_bytes && list->entries[0].has_transactions);
    assert_int_equal(list->entries[0].rates.bytes, 1000);
    assert_int_equal(list->entries[0].rates.transactions, 0);
    assert_string_equal(list->entries[1].name, "first");
    assert_false(list->entries[1].has_bytes || list->entries[1].has_transactions);
    allow_list_free(list);
}

static void bad_allow_files_are_refused_with_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *line;
    } bad[] = {
        {"", "holds no key"},
        {"a\n", "a:1: "},
        {"a 1234\n", "a:1: "},
        {"a! " KEY_A "\n", "a:1: "},
        /* Of small order, and not a point. */
        {"a 0100000000000000000000000000000000000000000000000000000000000000\n", "a:1: "},
        {"a ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n", "a:1: "},
        {"\n\na " KEY_A " tps=5\n", "a:3: "},
        {"a " KEY_A " bytes=\n", "a:1: "},
        {"a " KEY_A " bytes=-1\n", "a:1: "},
        {"a " KEY_A " bytes=99999999999999999999999\n", "a:1: "},
        {"a " KEY_A " bytes=1 bytes=2\n", "a:1: "},
        {"a " KEY_A "\na " KEY_B "\n", "a:2: "},
        {"a " KEY_A "\nb " KEY_A "\n", "another name has the same key"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct allow_list *list;
        struct error_line error = {""};
        assert_int_equal(allow_list_parse(&list, "a", text_bytes(bad[i].text), &error),
                         ERR_MALFORMED);
        if (strstr(error.text, bad[i].line) == NULL) fail_msg("%zu: %s", i, error.text);
    }
}

static void certificate_and_key_must_belong_together(void **state)
{
    (void)state;
    struct tls_identity *identity;
    struct tls_roots *roots;
    struct error_line error = {""};
    const char *certificate = path_of("a.pem");
    const char *key = path_of("a.key");
    const char *other = path_of("b.key");
    const char *junk = path_of("b.pem");

    pki_make(certificate, key, "IP:127.0.0.1");
    pki_make(junk, other, "IP:127.0.0.1");
    assert_int_equal(tls_identity_load(&identity, certificate, key, &error), OK);
    tls_identity_free(identity);
    assert_int_equal(tls_identity_load(&identity, certificate, other, &error), ERR_CONFIG);
    assert_non_null(strstr(error.text, other));
    assert_int_equal(tls_identity_load(&identity, key, key, &error), ERR_MALFORMED);
    assert_int_equal(tls_identity_load(&identity, certificate, "/none", &error), ERR_IO);
    assert_int_equal(chmod(key, 0644), 0);
    assert_int_equal(tls_identity_load(&identity, certificate, key, &error), ERR_CONFIG);
    assert_non_null(strstr(error.text, "644"));
    assert_int_equal(tls_roots_load(&roots, certificate, &error), OK);
    tls_roots_free(roots);
    write_file(junk, "-----BEGIN CERTIFICATE-----\nnonsense\n", 0644);
    assert_int_equal(tls_roots_load(&roots, junk, &error), ERR_MALFORMED);
    assert_int_equal(tls_identity_load(&identity, junk, other, &error), ERR_MALFORMED);
    assert_non_null(strstr(error.text, junk));
    assert_int_equal(tls_roots_load(&roots, "", &error), OK);
    tls_roots_free(roots);
    unlink(certificate);
    unlink(key);
    unlink(other);
    unlink(junk);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_opens_what_its_line_says),
        cmocka_unit_test(bad_token_files_are_refused_without_showing_tokens),
        cmocka_unit_test(token_files_are_private),
        cmocka_unit_test(an_allow_list_is_sorted_and_has_its_own_limits),
        cmocka_unit_test(bad_allow_files_are_refused_with_the_line),
        cmocka_unit_test(certificate_and_key_must_belong_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
