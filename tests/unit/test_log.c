/* Goal: a log line has one fixed form, whatever text a peer supplied. Method: formats lines at
 * given times, and reads back what log_write sends to stderr through a pipe. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

static char *line_of(uint64_t unix_ms, enum log_level level, const char *text)
{
    static char line[LOG_LINE_BYTES_MAX + 1];
    size_t len = log_format(line, unix_ms, level, text);
    assert_true(len <= LOG_LINE_BYTES_MAX);
    line[len] = '\0';
    return line;
}

static void a_line_is_time_level_text(void **state)
{
    (void)state;
    assert_string_equal(line_of(0, LOG_LEVEL_INFO, "a: b"), "1970-01-01T00:00:00.000Z INFO a: b\n");
    assert_string_equal(line_of(1767323045678, LOG_LEVEL_ERROR, "x"),
                        "2026-01-02T03:04:05.678Z ERROR x\n");
}

static void hostile_text_stays_on_its_line(void **state)
{
    (void)state;
    assert_string_equal(line_of(0, LOG_LEVEL_WARN, "a\nb\r\x1b[2J\x7f\xc2\x9b~"),
                        "1970-01-01T00:00:00.000Z WARN a\\x0ab\\x0d\\x1b[2J\\x7f\\xc2\\x9b~\n");
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char text[3 * LOG_LINE_BYTES_MAX];
    for (int escaped = 0; escaped < 2; escaped++) {
        for (size_t len = LOG_LINE_BYTES_MAX - 40; len < sizeof text - 1; len++) {
            memset(text, escaped ? '\n' : 'a', len);
            text[len] = '\0';
            char *line = line_of(0, LOG_LEVEL_INFO, text);
            size_t line_len = strlen(line);
            assert_int_equal(line[line_len - 1], '\n');
            assert_null(memchr(line, '\n', line_len - 1));
            if (len > LOG_LINE_BYTES_MAX) {
                assert_memory_equal(line + line_len - 4, "...", 3);
                assert_true(line_len > LOG_LINE_BYTES_MAX - 8);
            }
        }
    }
}

static void levels_have_names_and_filter(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse(&level, "error"));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_true(log_level_parse(&level, "trace"));
    assert_int_equal(level, LOG_LEVEL_TRACE);
    assert_false(log_level_parse(&level, "INFO"));
    assert_false(log_level_parse(&level, ""));

    assert_true(log_is_on(LOG_LEVEL_INFO));
    assert_false(log_is_on(LOG_LEVEL_DEBUG));
    log_set_level(LOG_LEVEL_WARN);
    assert_false(log_is_on(LOG_LEVEL_INFO));
    assert_true(log_is_on(LOG_LEVEL_WARN));
    log_set_level(LOG_LEVEL_INFO);
}

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

static void a_line_goes_to_stderr_and_a_silent_one_costs_nothing(void **state)
{
    (void)state;
    int ends[2];
    char line[LOG_LINE_BYTES_MAX + 1] = "";
    int saved = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_debug("hidden %d", evaluate());
    log_info("mesh: peer %u connected", 3u);
    dup2(saved, STDERR_FILENO);
    ssize_t len = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    close(ends[1]);
    close(saved);

    assert_int_equal(evaluated, 0);
    assert_true(len > 26);
    assert_string_equal(line + 24, " INFO mesh: peer 3 connected\n");
}

static void a_state_is_logged_when_it_changes(void **state)
{
    (void)state;
    struct log_change change = {0};
    assert_true(log_changed(&change, 0));
    assert_false(log_changed(&change, 0));
    assert_true(log_changed(&change, 5));
    assert_false(log_changed(&change, 5));
    assert_true(log_changed(&change, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_text),
        cmocka_unit_test(hostile_text_stays_on_its_line),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(levels_have_names_and_filter),
        cmocka_unit_test(a_line_goes_to_stderr_and_a_silent_one_costs_nothing),
        cmocka_unit_test(a_state_is_logged_when_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
