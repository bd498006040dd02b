/* Who may use the node's ports, from the files that say so, at the start and again at SIGHUP. */
#include <stdio.h>

#include "common/log.h"
#include "consensus/node/node_internal.h"

static enum token_right right_of(const struct http_request *request)
{
    const char *path = http_request_path(request);

    if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0) return TOKEN_OPEN;
    return TOKEN_READ;
}

/* What the API needs of the set, next to the limits that are there already. */
static void fill(struct api_access *access, const struct access_set *set)
{
    access->tokens = set->tokens;
    access->allow = set->allow;
    access->tls = set->tls;
}

enum status node_access_open(struct node *node, char *ret_error)
{
    const struct rates none = {0, 0};
    const struct api_options *api = &node->options.api;
    struct error_line error = {""};

    node->guard = http_guard_make(right_of, &none);
    enum status status = access_set_load(&node->access, &node->options.access_files, &error);
    if (status != OK) {
        snprintf(ret_error, NODE_ERROR_BYTES, "%.500s", error.text);
        return status;
    }
    fill(&node->options.api.access, &node->access);
    http_guard_set_tokens(&node->guard, token_table_clone(node->access.tokens));
    access_set_warn(&node->access, api->export_address);
    access_set_warn(&node->access, api->transactions_address);
    if (node->options.http_address != NULL)
        access_set_warn(&node->access, node->options.http_address);
    return OK;
}

void node_access_reload(struct node *node)
{
    struct access_set fresh;
    struct error_line error = {""};

    if (access_set_load(&fresh, &node->options.access_files, &error) != OK) {
        log_error("access: SIGHUP: %s; what was in force stays in force", error.text);
        return;
    }
    access_set_clear(&node->access);
    node->access = fresh;
    fill(&node->options.api.access, &fresh);
    api_set_access(node->api, &node->options.api.access);
    http_guard_set_tokens(&node->guard, token_table_clone(fresh.tokens));
    if (fresh.tls != NULL && node->http != NULL)
        http_server_set_tls(node->http, fresh.tls->context);
    log_info("access: SIGHUP: read again: %zu tokens, %zu keys%s",
             fresh.tokens == NULL ? 0 : token_table_count(fresh.tokens),
             fresh.allow == NULL ? 0 : fresh.allow->count,
             fresh.tls == NULL ? "" : ", certificate");
}

void node_access_close(struct node *node)
{
    access_set_clear(&node->access);
    http_guard_clear(&node->guard);
}
