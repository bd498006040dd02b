/* One line that tells a user what is wrong with a file, a flag or a request: "committee.json:
 * authorities[2].stake: expected 1..4294967295". Whoever finds the fault writes it, `main` prints
 * it; library code prints nothing. */
#ifndef COMMON_ERROR_LINE_H
#define COMMON_ERROR_LINE_H

#include "common/base.h"

struct error_line {
    char text[512];
};

/* Writes the line (cut if it is too long, control characters replaced) and returns `status`, so
 * that a caller can `return error_line_set(error, ERR_CONFIG, ...)`. */
enum status error_line_set(struct error_line *error, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
