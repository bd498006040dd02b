/* The files that say who may use a server's ports, read together: all of them are good, or none is
 * used. Servers read them at the start and at SIGHUP. */
#ifndef COMMON_ACCESS_FILES_H
#define COMMON_ACCESS_FILES_H

#include "common/address.h"
#include "common/allow_list.h"
#include "common/tls_files.h"
#include "common/token_table.h"

/* NULL or "": none. */
struct access_files {
    const char *tls_certificate;
    const char *tls_key;
    const char *token_file;
    const char *allow_file;
};

/* What was in them; NULL: no such file. */
struct access_set {
    struct tls_identity *tls;
    struct token_table *tokens;
    struct allow_list *allow;
};

/* ERR_CONFIG with a line that names flag and file. */
enum status access_set_load(struct access_set *ret_set,
                            const struct access_files *files,
                            struct error_line *error);
void access_set_clear(struct access_set *set);

bool access_set_is_empty(const struct access_set *set);

/* Logs a warning when tokens come in the clear to an address that is not this machine's alone. */
void access_set_warn(const struct access_set *set, const char *address);

#endif
