/* Small configuration files of lines and words: read whole, with a bound, and taken apart.
 *
 *     # a comment, also behind words
 *     word word word
 *
 * Words are separated by blanks or tabs. Anything but printable ASCII, blanks, tabs and line ends
 * (LF or CR LF) is refused. */
#ifndef COMMON_TEXT_FILE_H
#define COMMON_TEXT_FILE_H

#include "common/error_line.h"

#define TEXT_WORDS_MAX 8u

/* A file's bytes with a final 0 behind them. */
struct text_file {
    char *text;
    size_t len;
};

/* Reads a regular file of at most `bytes_max`. `secret`: refused when others than its owner may
 * read it. ERR_IO: it cannot be read; ERR_CONFIG: its kind, mode or size. */
enum status text_file_read(struct text_file *ret_file,
                           const char *path,
                           size_t bytes_max,
                           bool secret,
                           struct error_line *error);

/* Wipes and frees. */
void text_file_free(struct text_file *file);

/* ---- lines ----------------------------------------------------------------------------------- */

struct text_lines {
    struct bytes rest;
    uint32_t number; /* of the line returned last, from 1 */
};

struct text_line {
    struct bytes words[TEXT_WORDS_MAX]; /* views */
    size_t count;                       /* at least 1 */
};

/* The next line that holds a word. ERR_NOT_FOUND at the end; ERR_MALFORMED: a forbidden character,
 * or more than TEXT_WORDS_MAX words. */
enum status text_lines_next(struct text_line *ret_line, struct text_lines *lines);

/* "name.txt:3: " and the text, as a line of error; ERR_MALFORMED. */
enum status text_lines_error(struct error_line *error,
                             const char *path,
                             const struct text_lines *lines,
                             const char *text);

/* A name of 1 to `bytes_max` letters, digits, dots, dashes and underscores. */
bool text_is_name(struct bytes word, size_t bytes_max);

#endif
