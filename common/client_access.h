/* How a program presents itself to servers, from its flags --tls-ca and --token-file: what it trusts
 * for endpoints with https, and the token that it shows. */
#ifndef COMMON_CLIENT_ACCESS_H
#define COMMON_CLIENT_ACCESS_H

#include "common/config.h"
#include "common/tls_files.h"
#include "common/token_table.h"

struct client_access {
    struct tls_roots *roots; /* NULL: no endpoint uses TLS */
    char token[TOKEN_BYTES_MAX + 1];
};

/* The two fields of a program's table; its settings have `char *tls_ca` and `char *token_file`. */
#define CLIENT_ACCESS_FIELDS(type)                                               \
    {"tls_ca",                                                                   \
     CONFIG_STRING,                                                              \
     offsetof(type, tls_ca),                                                     \
     "",                                                                         \
     0,                                                                          \
     0,                                                                          \
     NULL,                                                                       \
     "PEM file of what to trust for https endpoints; empty: the system's",       \
     0},                                                                         \
    {                                                                            \
        "token_file", CONFIG_STRING, offsetof(type, token_file), "", 0, 0, NULL, \
            "file, mode 0600, with the bearer token to show; empty: none", 0     \
    }

/* Reads the files; empty names stand for the system's roots and for no token. Roots are read only
 * when `tls` says that somebody will need them. ERR_CONFIG with a line that names the flag, the token file's
 * by `token_flag`. */
enum status client_access_load(struct client_access *ret_access,
                               bool tls,
                               const char *tls_ca,
                               const char *token_flag,
                               const char *token_file,
                               struct error_line *error);

/* NULL or zeroed is fine. */
void client_access_clear(struct client_access *access);

/* True when one of the URLs begins with https://. */
bool client_access_any_tls(const struct config_list *urls);

#endif
