/* The log of every program: one line per event on stderr, `2026-01-02T03:04:05.678Z INFO text`. A
 * line is one write(2), so lines of several threads never mix; it is cut at LOG_LINE_BYTES_MAX.
 * Everything outside printable ASCII is escaped, so text from peers and clients can neither forge a
 * line nor drive a terminal.
 *
 * Text begins with the part that speaks: log_info("mesh: peer %u connected", peer). Library code
 * logs or returns an error, never both. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base.h"

#define LOG_LINE_BYTES_MAX 1024u

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_TRACE
};

/* The level is the one global of the programs; it starts at info. Any thread. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* Reads "error", "warn", "info", "debug" or "trace"; false for anything else. */
bool log_level_parse(enum log_level *ret_level, const char *name);

/* Writes a line, whatever the level: use the names below. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Arguments are evaluated only when the level is on. */
#define log_at(level, ...)                                   \
    do {                                                     \
        if (log_is_on(level)) log_write(level, __VA_ARGS__); \
    } while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_LEVEL_TRACE, __VA_ARGS__)

/* Formats one line with a given time into `ret`, newline included, and returns its length. For
 * tests and for other sinks. `ret` takes LOG_LINE_BYTES_MAX bytes. */
size_t log_format(char *ret, uint64_t unix_ms, enum log_level level, const char *text);

/* For conditions that last: true when `value` is not what it was at the last call, so that a state
 * is logged when it changes and not each time it is looked at: if (log_changed(&node->ready_logged,
 * ready)) log_info("node: ready: %d", ready); Starts zeroed; the first call is a change. */
struct log_change {
    bool any;
    uint64_t last;
};
bool log_changed(struct log_change *change, uint64_t value);

#endif
