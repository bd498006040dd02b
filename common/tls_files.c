#include "common/tls_files.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sodium/utils.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/text_file.h"

/* Where Debian, Alpine and most others keep all trusted certificates in one file; gRPC takes text
 * only. OpenSSL knows the directory itself. */
static const char system_roots[] = "/etc/ssl/certs/ca-certificates.crt";

/* The last reason that OpenSSL gave, for an error line. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);

    ERR_clear_error();
    return text == NULL ? "no PEM block of that kind" : text;
}

/* ---- the server ------------------------------------------------------------------------------ */

/* A key that needs a passphrase is refused: there is nobody to ask. */
static int no_passphrase(char *text, int capacity, int writing, void *context)
{
    (void)text;
    (void)capacity;
    (void)writing;
    (void)context;
    return -1;
}

static enum status use_certificates(SSL_CTX *context,
                                    const struct text_file *file,
                                    const char *path,
                                    struct error_line *error)
{
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->len);
    CHECK(bio != NULL);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    bool good = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;

    X509_free(certificate);
    if (good) {
        while ((certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
            CHECK(SSL_CTX_add0_chain_cert(context, certificate) == 1);
        good = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        if (good) ERR_clear_error();
    }
    BIO_free(bio);
    if (good) return OK;
    return error_line_set(error, ERR_MALFORMED, "%s: not a PEM certificate chain: %s", path,
                          reason());
}

static enum status use_key(SSL_CTX *context,
                           const struct text_file *file,
                           const char *path,
                           struct error_line *error)
{
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->len);
    CHECK(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    enum status status = OK;

    BIO_free(bio);
    if (key == NULL) {
        return error_line_set(error, ERR_MALFORMED,
                              "%s: not a PEM private key without a passphrase: %s", path, reason());
    }
    if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        status = error_line_set(error, ERR_CONFIG, "%s: not the key of the certificate", path);
    }
    EVP_PKEY_free(key);
    return status;
}

static SSL_CTX *make_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    CHECK(context != NULL);
    CHECK(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
    return context;
}

enum status tls_identity_load(struct tls_identity **ret_identity,
                              const char *certificate_file,
                              const char *key_file,
                              struct error_line *error)
{
    struct text_file certificate = {NULL, 0};
    struct text_file key = {NULL, 0};
    SSL_CTX *context = make_context(TLS_server_method());
    enum status status =
        text_file_read(&certificate, certificate_file, TLS_FILE_BYTES_MAX, false, error);

    if (status == OK) status = text_file_read(&key, key_file, TLS_FILE_BYTES_MAX, true, error);
    if (status == OK) status = use_certificates(context, &certificate, certificate_file, error);
    if (status == OK) status = use_key(context, &key, key_file, error);
    if (status != OK) {
        text_file_free(&certificate);
        text_file_free(&key);
        SSL_CTX_free(context);
        return status;
    }
    struct tls_identity *identity = malloc(sizeof *identity);
    CHECK(identity != NULL);
    *identity = (struct tls_identity){certificate.text, key.text, context};
    *ret_identity = identity;
    return OK;
}

void tls_identity_free(struct tls_identity *identity)
{
    if (identity == NULL) return;
    sodium_memzero(identity->key, strlen(identity->key));
    free(identity->key);
    free(identity->certificate);
    SSL_CTX_free(identity->context);
    free(identity);
}

/* ---- the client ------------------------------------------------------------------------------ */

static enum status read_roots(struct tls_roots *roots, const char *file, struct error_line *error)
{
    struct text_file text;
    enum status status = text_file_read(&text, file, TLS_FILE_BYTES_MAX, false, error);

    if (status != OK) return status;
    roots->text = text.text;
    if (SSL_CTX_load_verify_locations(roots->context, file, NULL) == 1) return OK;
    return error_line_set(error, ERR_MALFORMED, "%s: holds no PEM certificate: %s", file, reason());
}

enum status tls_roots_load(struct tls_roots **ret_roots, const char *file, struct error_line *error)
{
    struct tls_roots *roots = calloc(1, sizeof *roots);
    enum status status = OK;

    CHECK(roots != NULL);
    roots->context = make_context(TLS_client_method());
    SSL_CTX_set_verify(roots->context, SSL_VERIFY_PEER, NULL);
    if (file != NULL && file[0] != '\0') {
        status = read_roots(roots, file, error);
    } else {
        CHECK(SSL_CTX_set_default_verify_paths(roots->context) == 1);
        struct error_line unread;
        struct text_file text;
        if (text_file_read(&text, system_roots, TLS_FILE_BYTES_MAX, false, &unread) == OK)
            roots->text = text.text;
    }
    if (status != OK) {
        tls_roots_free(roots);
        return status;
    }
    *ret_roots = roots;
    return OK;
}

void tls_roots_free(struct tls_roots *roots)
{
    if (roots == NULL) return;
    free(roots->text);
    SSL_CTX_free(roots->context);
    free(roots);
}

SSL *tls_roots_connect(const struct tls_roots *roots, const char *host)
{
    SSL *connection = SSL_new(roots->context);
    uint8_t address[16];

    CHECK(connection != NULL);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host) == 1);
    } else {
        CHECK(SSL_set1_host(connection, host) == 1);
        /* What SSL_set_tlsext_host_name does, without its cast that drops const. */
        CHECK(SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       (void *)(uintptr_t)host) == 1);
    }
    return connection;
}

const char *tls_failure(const SSL *connection)
{
    long result = SSL_get_verify_result(connection);

    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
