#include "consensus/node/mesh_tls.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define CIPHERS "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* One self-signed Ed25519 certificate is below 400 bytes; a peer that is not proven yet gets no
 * more. */
#define CERTIFICATE_BYTES_MAX 4096

struct mesh_tls {
    SSL_CTX *contexts[2]; /* accepting, dialling */
};

const char *mesh_tls_error(void)
{
    unsigned long error = ERR_get_error();
    const char *text = error == 0 ? NULL : ERR_reason_error_string(error);

    ERR_clear_error();
    return text == NULL ? "unknown TLS error" : text;
}

/* A certificate over `key`, signed by `key`. NULL when OpenSSL fails. */
static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = NULL;

    if (certificate == NULL) return NULL;
    name = X509_get_subject_name(certificate);
    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) != 1 ||
        ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") != 1 ||
        ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"dsn", -1, -1,
                                   0) != 1 ||
        X509_set_issuer_name(certificate, name) != 1 || X509_set_pubkey(certificate, key) != 1 ||
        X509_sign(certificate, key, NULL) <= 0) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* The raw Ed25519 key of a certificate; false when it holds another kind of key. */
static bool raw_key(struct public_key *ret_key, X509 *certificate)
{
    EVP_PKEY *key = certificate == NULL ? NULL : X509_get0_pubkey(certificate);
    size_t len = sizeof ret_key->bytes;

    if (key == NULL || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) return false;
    return EVP_PKEY_get_raw_public_key(key, ret_key->bytes, &len) == 1 &&
           len == sizeof ret_key->bytes;
}

/* Finds whose key it is, or says why it is refused. */
static const char *judge_key(struct mesh_pin *pin, const struct public_key *key)
{
    const struct committee *committee = pin->committee;

    if (pin->dialled) {
        const struct public_key *expected = &committee->members[pin->peer].network_key;
        bool same = memcmp(expected->bytes, key->bytes, sizeof key->bytes) == 0;
        return same ? NULL : "its key is not the network key of this member";
    }
    for (uint32_t i = 0; i < committee->count; i++) {
        const struct public_key *known = &committee->members[i].network_key;
        if (memcmp(known->bytes, key->bytes, sizeof key->bytes) != 0) continue;
        if (i == pin->self) return "it uses this node's own network key";
        if (i > pin->self) return "it dialled, but only the lower index dials";
        pin->peer = (authority_t)i;
        return NULL;
    }
    return "its key is not a network key of the committee";
}

/* OpenSSL calls this in place of its own chain verification. 1: accepted. */
static int verify_peer(X509_STORE_CTX *store, void *unused)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct mesh_pin *pin = SSL_get_app_data(ssl);
    struct public_key key;

    (void)unused;
    pin->key_accepted = false;
    pin->refusal = raw_key(&key, X509_STORE_CTX_get0_cert(store))
                       ? judge_key(pin, &key)
                       : "its certificate holds no Ed25519 key";
    if (pin->refusal != NULL) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    pin->key_accepted = true;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static SSL_CTX *make_context(const SSL_METHOD *method, X509 *certificate, EVP_PKEY *key)
{
    SSL_CTX *context = SSL_CTX_new(method);
    char groups[] = "X25519"; /* not literals: OpenSSL's macros take the const away */
    char algorithms[] = "ed25519";

    if (context == NULL) return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, CIPHERS) != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1 ||
        SSL_CTX_set1_sigalgs_list(context, algorithms) != 1 ||
        SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_set_num_tickets(context, 0) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, CERTIFICATE_BYTES_MAX);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_peer, NULL);
    return context;
}

enum status mesh_tls_open(struct mesh_tls **ret_tls,
                          const struct committee *committee,
                          authority_t self,
                          const uint8_t network_seed[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, network_seed, 32);
    X509 *certificate = key == NULL ? NULL : make_certificate(key);
    struct mesh_tls *tls = calloc(1, sizeof *tls);
    struct public_key public_key;
    enum status status = ERR_IO;

    CHECK(tls != NULL);
    CHECK(self < committee->count);
    if (certificate == NULL || !raw_key(&public_key, certificate)) goto out;
    if (memcmp(public_key.bytes, committee->members[self].network_key.bytes, 32) != 0) {
        status = ERR_CONFIG;
        goto out;
    }
    tls->contexts[0] = make_context(TLS_server_method(), certificate, key);
    tls->contexts[1] = make_context(TLS_client_method(), certificate, key);
    if (tls->contexts[0] == NULL || tls->contexts[1] == NULL) goto out;
    *ret_tls = tls;
    tls = NULL;
    status = OK;
out:
    mesh_tls_close(tls);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return status;
}

SSL *mesh_tls_new(struct mesh_tls *tls, struct mesh_pin *pin)
{
    SSL *ssl = SSL_new(tls->contexts[pin->dialled ? 1 : 0]);

    if (ssl == NULL) return NULL;
    if (SSL_set_app_data(ssl, pin) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (pin->dialled) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    return ssl;
}

void mesh_tls_close(struct mesh_tls *tls)
{
    if (tls == NULL) return;
    SSL_CTX_free(tls->contexts[0]);
    SSL_CTX_free(tls->contexts[1]);
    free(tls);
}
