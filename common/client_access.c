#include "common/client_access.h"

#include <sodium/utils.h>

bool client_access_any_tls(const struct config_list *urls)
{
    for (size_t i = 0; i < urls->count; i++)
        if (strncmp(urls->items[i], "https://", 8) == 0) return true;
    return false;
}

enum status client_access_load(struct client_access *ret_access,
                               bool tls,
                               const char *tls_ca,
                               const char *token_flag,
                               const char *token_file,
                               struct error_line *error)
{
    struct client_access access = {NULL, ""};
    struct error_line line = {""};

    if (token_file[0] != '\0' && token_file_read(access.token, token_file, &line) != OK)
        return error_line_set(error, ERR_CONFIG, "%s: %s", token_flag, line.text);
    if ((tls || tls_ca[0] != '\0') && tls_roots_load(&access.roots, tls_ca, &line) != OK) {
        client_access_clear(&access);
        return error_line_set(error, ERR_CONFIG, "--tls-ca: %s", line.text);
    }
    *ret_access = access;
    sodium_memzero(access.token, sizeof access.token);
    return OK;
}

void client_access_clear(struct client_access *access)
{
    if (access == NULL) return;
    tls_roots_free(access->roots);
    access->roots = NULL;
    sodium_memzero(access->token, sizeof access->token);
}
