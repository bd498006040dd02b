/* Goal: a key file is private, is never overwritten, and is refused when it is not exactly a key.
 * Method: real files in a fresh directory. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/key_file.h"

static char directory[] = "/tmp/dsn-key-file-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) return -1;
    snprintf(path, sizeof path, "%s/key", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_key_is_written_privately_and_read_back(void **state)
{
    (void)state;
    uint8_t seed[KEY_SEED_BYTES];
    uint8_t other[KEY_SEED_BYTES];
    uint8_t back[KEY_SEED_BYTES];
    struct error_line error;
    struct stat stat_now;

    key_seed_random(seed);
    key_seed_random(other);
    assert_memory_not_equal(seed, other, sizeof seed);
    assert_int_equal(key_file_create(path, seed, &error), OK);
    assert_int_equal(stat(path, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0600);
    assert_int_equal(stat_now.st_size, 65);

    assert_int_equal(key_file_create(path, other, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.text, "never overwritten"));
    assert_int_equal(key_file_read(back, path, &error), OK);
    assert_memory_equal(back, seed, sizeof seed);
    unlink(path);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    (void)state;
    const mode_t modes[] = {0640, 0604, 0660, 0644, 0610};
    const char *good = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    uint8_t seed[KEY_SEED_BYTES];
    struct error_line error;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_file(good, modes[i]);
        assert_int_equal(key_file_read(seed, path, &error), ERR_CONFIG);
        assert_non_null(strstr(error.text, "others"));
        assert_null(strstr(error.text, "0011"));
        unlink(path);
    }
    write_file(good, 0400);
    assert_int_equal(key_file_read(seed, path, &error), OK);
    unlink(path);
}

static void anything_but_a_key_is_refused(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n",
        " 0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    };
    uint8_t seed[KEY_SEED_BYTES] = {7};
    struct error_line error;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(texts[i], 0600);
        assert_int_equal(key_file_read(seed, path, &error), ERR_MALFORMED);
        assert_non_null(strstr(error.text, path));
        assert_int_equal(seed[0], 7);
    }
    unlink(path);
    assert_int_equal(key_file_read(seed, path, &error), ERR_IO);
    assert_int_equal(key_file_read(seed, directory, &error), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_written_privately_and_read_back),
        cmocka_unit_test(a_key_that_others_can_read_is_refused),
        cmocka_unit_test(anything_but_a_key_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
