#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const labels[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
#define LEVELS (sizeof names / sizeof names[0])

static atomic_int level_now = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

bool log_level_parse(enum log_level *ret_level, const char *name)
{
    for (size_t i = 0; i < LEVELS; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Appends `text` escaped, as far as it fits before `end`. */
static char *append_escaped(char *next, const char *end, const char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= 0x20 && c <= 0x7e;
        if (end - next < (plain ? 1 : 4)) {
            memcpy(next - 3, "...", 3);
            break;
        }
        if (plain) {
            *next++ = *text;
            continue;
        }
        *next++ = '\\';
        *next++ = 'x';
        *next++ = digits[c >> 4];
        *next++ = digits[c & 15];
    }
    return next;
}

size_t log_format(char *ret, uint64_t unix_ms, enum log_level level, const char *text)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);

    char *next = ret;
    next += strftime(next, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    next += snprintf(next, 24, ".%03uZ %s ", (unsigned)(unix_ms % 1000), labels[level]);
    next = append_escaped(next, ret + LOG_LINE_BYTES_MAX - 1, text);
    *next++ = '\n';
    return (size_t)(next - ret);
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[LOG_LINE_BYTES_MAX];
    char line[LOG_LINE_BYTES_MAX];
    struct timespec now;

    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    size_t len = log_format(line, unix_ms, level, text);
    /* There is nowhere to report that the log cannot be written. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}

bool log_changed(struct log_change *change, uint64_t value)
{
    if (change->any && change->last == value) return false;
    change->any = true;
    change->last = value;
    return true;
}
