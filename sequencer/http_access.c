#include "sequencer/http_access.h"

#include "common/log.h"

/* Everything that is posted is a submission. What JSON-RPC is posted for shows in its body only; its
 * reads need the right to submit, too, so that there is no other way in. */
static enum token_right right_of(const struct http_request *request)
{
    const char *path = http_request_path(request);

    if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0) return TOKEN_OPEN;
    return strcmp(http_request_method(request), "POST") == 0 ? TOKEN_SUBMIT : TOKEN_READ;
}

enum status http_access_open(struct http_access *ret_access,
                             const struct access_files *files,
                             const struct rates *rates,
                             struct error_line *error)
{
    struct access_set set;
    enum status status = access_set_load(&set, files, error);

    if (status != OK) return status;
    *ret_access = (struct http_access){
        .files = *files, .set = set, .guard = http_guard_make(right_of, rates)};
    http_guard_set_tokens(&ret_access->guard, token_table_clone(set.tokens));
    return OK;
}

void http_access_close(struct http_access *access)
{
    access_set_clear(&access->set);
    http_guard_clear(&access->guard);
}

void http_access_apply(struct http_server_options *options, struct http_access *access)
{
    if (access->set.tls != NULL) options->tls = access->set.tls->context;
    options->guard = http_guard_judge_request;
    options->guard_context = &access->guard;
}

void http_access_reload(struct http_access *access, struct http_server *server)
{
    struct access_set fresh;
    struct error_line error = {""};

    if (access_set_load(&fresh, &access->files, &error) != OK) {
        log_error("access: SIGHUP: %s; what was in force stays in force", error.text);
        return;
    }
    access_set_clear(&access->set);
    access->set = fresh;
    http_guard_set_tokens(&access->guard, token_table_clone(fresh.tokens));
    if (fresh.tls != NULL) http_server_set_tls(server, fresh.tls->context);
    log_info("access: SIGHUP: read again: %zu tokens%s",
             fresh.tokens == NULL ? 0 : token_table_count(fresh.tokens),
             fresh.tls == NULL ? "" : ", certificate");
}
