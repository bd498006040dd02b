#include "common/access_files.h"

#include "common/log.h"

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

enum status access_set_load(struct access_set *ret_set,
                            const struct access_files *files,
                            struct error_line *error)
{
    struct access_set set = {NULL, NULL, NULL};
    struct error_line line = {""};
    const char *flag = "--tls-certificate, --tls-key";
    enum status status = OK;

    if (is_set(files->tls_certificate) != is_set(files->tls_key))
        return error_line_set(error, ERR_CONFIG,
                              "--tls-certificate and --tls-key: one needs the other");
    if (is_set(files->tls_certificate))
        status = tls_identity_load(&set.tls, files->tls_certificate, files->tls_key, &line);
    if (status == OK && is_set(files->token_file)) {
        flag = "--token-file";
        status = token_table_load(&set.tokens, files->token_file, &line);
    }
    if (status == OK && is_set(files->allow_file)) {
        flag = "--allow-file";
        status = allow_list_load(&set.allow, files->allow_file, &line);
    }
    if (status == OK) {
        *ret_set = set;
        return OK;
    }
    access_set_clear(&set);
    return error_line_set(error, ERR_CONFIG, "%s: %s", flag, line.text);
}

void access_set_clear(struct access_set *set)
{
    tls_identity_free(set->tls);
    token_table_free(set->tokens);
    allow_list_free(set->allow);
    *set = (struct access_set){NULL, NULL, NULL};
}

bool access_set_is_empty(const struct access_set *set)
{
    return set->tls == NULL && set->tokens == NULL && set->allow == NULL;
}

void access_set_warn(const struct access_set *set, const char *address)
{
    struct address parsed;

    if (set->tokens == NULL || set->tls != NULL) return;
    if (address_parse(&parsed, address) != OK || address_is_loopback(&parsed)) return;
    log_warn("access: bearer tokens come in the clear on %s; set --tls-certificate", address);
}
