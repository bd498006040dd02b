/* Bearer tokens: who may read, submit or administer. A file (mode 0600) names them, one per line:
 *
 *     # name    token                                       rights
 *     monitor   o3ZyJ6n1mXk0Qd8vRt2wYbGf                     read
 *     wallet    Zr5xN8cPq1LwTe7uHs4vKdJm                     read submit
 *
 * A token is 16 to 256 letters, digits and -._~+/=; `admin` includes the other rights. Only a hash
 * of each token is kept, and a token is compared with all of them by hash, in a time that does not
 * depend on either. Tokens are never part of an error or a log line: names are.
 *
 * A table does not change; a new one takes its place. */
#ifndef COMMON_TOKEN_TABLE_H
#define COMMON_TOKEN_TABLE_H

#include "common/error_line.h"

#define TOKENS_MAX           1024u
#define TOKEN_FILE_BYTES_MAX (512u * 1024u)
#define TOKEN_NAME_BYTES_MAX 32u
#define TOKEN_BYTES_MIN      16u
#define TOKEN_BYTES_MAX      256u

/* What something needs. ADMIN is 0, so that what names no right is closed rather than open. */
enum token_right {
    TOKEN_ADMIN,
    TOKEN_READ,
    TOKEN_SUBMIT,
    TOKEN_OPEN, /* nothing: anybody may */
};

enum token_answer {
    TOKEN_GOOD,
    TOKEN_UNKNOWN,   /* no token, or none of the table's */
    TOKEN_FORBIDDEN, /* known, without the right */
};

struct token_table;

/* Reads a table from text; `path` is for the error line. ERR_MALFORMED; a table without a token
 * would lock everybody out and is refused. */
enum status token_table_parse(struct token_table **ret_table,
                              const char *path,
                              struct bytes text,
                              struct error_line *error);
enum status token_table_load(struct token_table **ret_table,
                             const char *path,
                             struct error_line *error);

struct token_table *token_table_clone(const struct token_table *table); /* NULL of NULL */
void token_table_free(struct token_table *table);                       /* NULL is fine */

size_t token_table_count(const struct token_table *table);

/* Judges the value of an Authorization header, "Bearer TOKEN"; {NULL, 0} when there was none. */
enum token_answer token_table_judge(const struct token_table *table,
                                    enum token_right right,
                                    struct bytes authorization);

/* ---- the client's side ----------------------------------------------------------------------- */

/* A file (mode 0600) that holds one token and nothing else. `ret_token` takes TOKEN_BYTES_MAX + 1
 * bytes. */
enum status token_file_read(char *ret_token, const char *path, struct error_line *error);

#endif
