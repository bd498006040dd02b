#include "consensus/node/api_tls.h"

#include <pthread.h>
#include <sodium/utils.h>
#include <stdlib.h>

/* Credentials of one port. */
struct fetch {
    struct api_tls *tls;
    uint64_t seen; /* version that gRPC has */
};

struct api_tls {
    pthread_mutex_t lock;
    uint64_t version; /* counts the identities; from 1 */
    char *certificate;
    char *key;
    struct fetch fetches[API_TLS_PORTS];
    unsigned fetches_count;
};

static char *copy(const char *text)
{
    char *result = strdup(text);

    CHECK(result != NULL);
    return result;
}

static void drop(struct api_tls *tls)
{
    if (tls->key != NULL) sodium_memzero(tls->key, strlen(tls->key));
    free(tls->key);
    free(tls->certificate);
}

struct api_tls *api_tls_open(const struct tls_identity *identity)
{
    struct api_tls *tls = calloc(1, sizeof *tls);

    CHECK(tls != NULL);
    CHECK(pthread_mutex_init(&tls->lock, NULL) == 0);
    api_tls_set(tls, identity);
    return tls;
}

void api_tls_set(struct api_tls *tls, const struct tls_identity *identity)
{
    CHECK(pthread_mutex_lock(&tls->lock) == 0);
    drop(tls);
    tls->certificate = copy(identity->certificate);
    tls->key = copy(identity->key);
    tls->version++;
    CHECK(pthread_mutex_unlock(&tls->lock) == 0);
}

/* Called before each handshake; gRPC keeps a copy of what it gets. No client is asked for a
 * certificate, so the roots mean nothing, but Debian's gRPC insists on some. */
static grpc_ssl_certificate_config_reload_status fetch_identity(
    void *context,
    grpc_ssl_server_certificate_config **ret)
{
    struct fetch *fetch = context;
    struct api_tls *tls = fetch->tls;

    CHECK(pthread_mutex_lock(&tls->lock) == 0);
    if (fetch->seen == tls->version) {
        CHECK(pthread_mutex_unlock(&tls->lock) == 0);
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    fetch->seen = tls->version;
    grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->key, .cert_chain = tls->certificate};
    *ret = grpc_ssl_server_certificate_config_create(tls->certificate, &pair, 1);
    CHECK(pthread_mutex_unlock(&tls->lock) == 0);
    CHECK(*ret != NULL);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

grpc_server_credentials *api_tls_credentials(struct api_tls *tls)
{
    CHECK(tls->fetches_count < API_TLS_PORTS);
    struct fetch *fetch = &tls->fetches[tls->fetches_count++];
    fetch->tls = tls;
    grpc_ssl_server_credentials_options *options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, fetch_identity, fetch);

    CHECK(options != NULL);
    return grpc_ssl_server_credentials_create_with_options(options);
}

void api_tls_close(struct api_tls *tls)
{
    if (tls == NULL) return;
    drop(tls);
    CHECK(pthread_mutex_destroy(&tls->lock) == 0);
    free(tls);
}
