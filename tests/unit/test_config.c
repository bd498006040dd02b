/* Goal: the four layers win in their order, every kind of value is read strictly, and each mistake
 * gives one line that names where it was made. Method: a table with one field of each kind against
 * texts, files in a fresh directory and the environment. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/config.h"
#include "common/log.h"

struct values {
    bool flag;
    uint32_t small;
    uint64_t large;
    uint64_t size;
    uint64_t delay;
    char *text;
    char *needed;
    struct address address;
    uint32_t mode;
    struct config_list urls;
};

static const char *const modes[] = {"inbox", "reveal", NULL};
#define FIELD(field, kind_, ...)                                                             \
    {                                                                                        \
        .name = #field, .kind = kind_, .offset = offsetof(struct values, field), __VA_ARGS__ \
    }
static const struct config_field fields[] = {
    FIELD(flag, CONFIG_BOOL, .initial = "false", .help = "a flag"),
    FIELD(small,
          CONFIG_U32,
          .initial = "7",
          .min = 1,
          .max = 10,
          .help = "a number",
          .short_name = 's'),
    FIELD(large, CONFIG_U64, .initial = "0", .help = "a large number"),
    FIELD(size, CONFIG_SIZE, .initial = "64KiB", .max = 1 << 20, .help = "a size"),
    FIELD(delay,
          CONFIG_DURATION,
          .initial = "100ms",
          .min = 1000,
          .max = 10000000,
          .help = "a delay"),
    FIELD(text, CONFIG_STRING, .initial = "", .help = "a text"),
    FIELD(needed, CONFIG_STRING, .help = "a text that must be given"),
    FIELD(address, CONFIG_ADDRESS, .initial = "", .help = "an address"),
    FIELD(mode, CONFIG_CHOICE, .initial = "reveal", .choices = modes, .help = "a mode"),
    FIELD(urls, CONFIG_LIST, .initial = "a,b", .help = "places"),
};
static const struct config_program program = {
    .name = "dsn-test",
    .arguments = "[file]",
    .arguments_max = 1,
    .about = "Tests the configuration.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

static char directory[] = "/tmp/dsn-config-XXXXXX";
static char path[64];
static struct values values;
static struct config_arguments arguments;
static struct error_line error;

static enum status load(const char *const *argv)
{
    int argc = 0;
    char *copies[32] = {NULL};
    while (argv[argc] != NULL) {
        copies[argc] = strdup(argv[argc]);
        argc++;
    }
    memset(&error, 0, sizeof error);
    enum status status = config_load(&values, &arguments, &program, argc, copies, &error);
    for (int i = 0; i < argc; i++) {
        free(copies[i]);
    }
    return status;
}
#define LOAD(...) load((const char *const[]){"dsn-test", __VA_ARGS__, NULL})

static void write_file(const char *text)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void defaults_hold_when_nothing_is_said(void **state)
{
    (void)state;
    assert_int_equal(LOAD("--needed", "x"), OK);
    assert_false(values.flag);
    assert_int_equal(values.small, 7);
    assert_int_equal(values.large, 0);
    assert_int_equal(values.size, 65536);
    assert_int_equal(values.delay, 100000);
    assert_string_equal(values.text, "");
    assert_string_equal(values.needed, "x");
    assert_int_equal(values.address.host[0], 0);
    assert_int_equal(values.mode, 1);
    assert_int_equal(values.urls.count, 2);
    assert_string_equal(values.urls.items[1], "b");
    assert_int_equal(arguments.count, 0);
    config_free(&values, &program);
}

static void flags_are_read_in_every_form(void **state)
{
    (void)state;
    assert_int_equal(LOAD("--needed=x", "--flag", "-s", "9", "--large=18446744073709551615",
                          "--size", "1MiB", "--delay", "5s", "--text", "--odd", "--address",
                          "127.0.0.1:80", "--mode", "inbox", "--urls", "c,d", "--urls=e", "--",
                          "-file"),
                     OK);
    assert_true(values.flag);
    assert_int_equal(values.small, 9);
    assert_true(values.large == UINT64_MAX);
    assert_int_equal(values.size, 1 << 20);
    assert_int_equal(values.delay, 5000000);
    assert_string_equal(values.text, "--odd");
    assert_int_equal(values.address.port, 80);
    assert_int_equal(values.mode, 0);
    assert_int_equal(values.urls.count, 3);
    assert_string_equal(values.urls.items[2], "e");
    assert_int_equal(arguments.count, 1);
    config_free(&values, &program);

    assert_int_equal(LOAD("--needed=x", "--flag", "--no-flag"), OK);
    assert_false(values.flag);
    config_free(&values, &program);
}

static void later_layers_win(void **state)
{
    (void)state;
    write_file(
        "{\"small\": 2, \"large\": 2, \"size\": 2, \"flag\": true, \"delay\": \"2ms\","
        " \"needed\": \"file\", \"text\": \"file\", \"urls\": [\"f\"], \"mode\": \"inbox\"}");
    setenv("DSN_SMALL", "3", 1);
    setenv("DSN_TEXT", "environment", 1);
    setenv("DSN_URLS", "g,h", 1);
    setenv("DSN_CONFIG", path, 1);
    enum status status = LOAD("--small", "4", "--no-flag");
    unsetenv("DSN_CONFIG");
    assert_int_equal(status, OK);
    assert_int_equal(values.small, 4);
    assert_int_equal(values.large, 2);
    assert_int_equal(values.size, 2);
    assert_false(values.flag);
    assert_int_equal(values.delay, 2000);
    assert_string_equal(values.needed, "file");
    assert_string_equal(values.text, "environment");
    assert_int_equal(values.mode, 0);
    assert_int_equal(values.urls.count, 2);
    assert_string_equal(values.urls.items[0], "g");
    config_free(&values, &program);

    setenv("DSN_SMALL", "30", 1);
    assert_int_equal(LOAD("--config", path), ERR_CONFIG);
    assert_string_equal(error.text, "DSN_SMALL: expected a number from 1 to 10");
    unsetenv("DSN_SMALL");
    unsetenv("DSN_TEXT");
    unsetenv("DSN_URLS");
    unlink(path);
}

static void a_wrong_flag_is_named(void **state)
{
    (void)state;
    const struct {
        const char *flag;
        const char *value;
        const char *line;
    } cases[] = {
        {"--small", "11", "--small: expected a number from 1 to 10"},
        {"--small", "0", "--small: expected a number from 1 to 10"},
        {"--small", "4294967297", "--small: expected a number from 1 to 10"},
        {"--small", "+1", "--small: expected a number from 1 to 10"},
        {"-s", "1x", "-s: expected a number from 1 to 10"},
        {"--large", "18446744073709551616", "--large: expected a number"},
        {"--large", "", "--large: expected a number"},
        {"--size", "2MiB", "--size: expected a size from 0 to 1MiB (such as 64KiB)"},
        {"--size", "1kb", "--size: expected a size from 0 to 1MiB (such as 64KiB)"},
        {"--size", "17179869185GiB", "--size: expected a size from 0 to 1MiB (such as 64KiB)"},
        {"--delay", "100", "--delay: expected a duration from 1ms to 10s (such as 100ms)"},
        {"--delay", "0", "--delay: expected a duration from 1ms to 10s (such as 100ms)"},
        {"--delay", "11s", "--delay: expected a duration from 1ms to 10s (such as 100ms)"},
        {"--flag=1", "x", "--flag: expected true or false"},
        {"--address", "localhost", "--address: expected host:port"},
        {"--mode", "Inbox", "--mode: expected one of inbox, reveal"},
        {"--urls", "a,,b", "--urls: expected a list of at most 64 texts"},
        {"--urls", "a,", "--urls: expected a list of at most 64 texts"},
        {"--unknown", "1", "--unknown: unknown flag (see --help)"},
        {"--no-small", "1", "--no-small: unknown flag (see --help)"},
        {"-x", "1", "-x: unknown flag (see --help)"},
        {"one", "two", "unexpected argument \"two\""},
        {"one", "--small", "--small: needs a value"},
        {"one", "--needed=", "--needed: required"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(LOAD("--needed", "x", cases[i].flag, cases[i].value), ERR_CONFIG);
        assert_string_equal(error.text, cases[i].line);
    }
    assert_int_equal(LOAD("one"), ERR_CONFIG);
    assert_string_equal(error.text, "--needed: required");
}

static void a_wrong_file_is_named(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *line; /* after the path */
    } cases[] = {
        {"{\"smal\": 1}", ": smal: unknown field"},
        {"{\"config\": \"x\"}", ": config: unknown field"},
        {"{\"small\": \"1\"}", ": small: expected a number from 1 to 10"},
        {"{\"small\": 1.0}", ": small: expected a number from 1 to 10"},
        {"{\"small\": -1}", ": small: expected a number from 1 to 10"},
        {"{\"flag\": \"true\"}", ": flag: expected true or false"},
        {"{\"delay\": 5}", ": delay: expected a duration from 1ms to 10s (such as 100ms)"},
        {"{\"text\": null}", ": text: expected a text"},
        {"{\"urls\": \"a\"}", ": urls: expected a list of at most 64 texts"},
        {"{\"urls\": [1]}", ": urls: expected a list of at most 64 texts"},
        {"[]", ": expected a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text);
        assert_int_equal(LOAD("--needed", "x", "--config", path), ERR_CONFIG);
        assert_memory_equal(error.text, path, strlen(path));
        assert_string_equal(error.text + strlen(path), cases[i].line);
    }
    write_file("{\"small\": 1, \"small\": 2}");
    assert_int_equal(LOAD("--needed", "x", "--config", path), ERR_CONFIG);
    write_file("{\n\n oops}");
    assert_int_equal(LOAD("--needed", "x", "--config", path), ERR_CONFIG);
    assert_memory_equal(error.text + strlen(path), ":3:", 3);
    unlink(path);
    assert_int_equal(LOAD("--needed", "x", "--config", path), ERR_CONFIG);
    assert_string_equal(error.text + strlen(path), ": cannot be read");
}

static void start_answers_help_and_sets_the_log_level(void **state)
{
    (void)state;
    char name[] = "dsn-test", needed[] = "--needed=x", level[] = "--log-level=debug";
    char *good[] = {name, needed, level};
    assert_int_equal(config_start(&values, NULL, &program, 3, good), CONFIG_RUN);
    assert_true(log_is_on(LOG_LEVEL_DEBUG));
    assert_false(log_is_on(LOG_LEVEL_TRACE));
    config_free(&values, &program);
    log_set_level(LOG_LEVEL_INFO);

    int saved = dup(STDERR_FILENO);
    int ends[2];
    char line[256] = "";
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    char wrong[] = "--small=x";
    char *bad[] = {name, wrong};
    int code = config_start(&values, NULL, &program, 2, bad);
    dup2(saved, STDERR_FILENO);
    ssize_t len = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    close(ends[1]);
    close(saved);
    assert_int_equal(code, EXIT_USAGE);
    assert_true(len > 0);
    assert_string_equal(line, "dsn-test: --small: expected a number from 1 to 10\n");
}

static void help_shows_every_field_and_default(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    config_print_help(stream, &program);
    config_print_markdown(stream, &program);
    fclose(stream);

    assert_non_null(strstr(text, "usage: dsn-test [flags] [file]\n"));
    assert_non_null(
        strstr(text, "-s, --small VALUE\n        a number; a number from 1 to 10 (default 7)\n"));
    assert_non_null(strstr(text, "--needed VALUE\n        a text that must be given (required)\n"));
    assert_non_null(strstr(text, "--log-level VALUE"));
    assert_non_null(strstr(text, "| `delay` | `--delay` | 100ms | a duration from 1ms to 10s"));
    for (size_t i = 0; i < program.fields_count; i++) {
        assert_non_null(strstr(text, program.fields[i].help));
    }
    free(text);
}

static void durations_and_sizes_are_written_exactly(void **state)
{
    (void)state;
    const struct {
        uint64_t value;
        const char *duration;
        const char *size;
    } cases[] = {
        {0, "0us", "0"},
        {1, "1us", "1"},
        {1500, "1500us", "1500"},
        {2000, "2ms", "2000"},
        {65536, "65536us", "64KiB"},
        {3600000000, "1h", "3515625KiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        config_format_duration(text, cases[i].value);
        assert_string_equal(text, cases[i].duration);
        config_format_size(text, cases[i].value);
        assert_string_equal(text, cases[i].size);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) return -1;
    snprintf(path, sizeof path, "%s/test.json", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_when_nothing_is_said),
        cmocka_unit_test(flags_are_read_in_every_form),
        cmocka_unit_test(later_layers_win),
        cmocka_unit_test(a_wrong_flag_is_named),
        cmocka_unit_test(a_wrong_file_is_named),
        cmocka_unit_test(start_answers_help_and_sets_the_log_level),
        cmocka_unit_test(help_shows_every_field_and_default),
        cmocka_unit_test(durations_and_sizes_are_written_exactly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
