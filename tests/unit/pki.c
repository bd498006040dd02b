#include "tests/unit/pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    CHECK(extension != NULL);
    CHECK(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *names)
{
    static long serial = 1;
    X509 *certificate = X509_new();
    CHECK(certificate != NULL);
    CHECK(X509_set_version(certificate, 2) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1,
                                     -1, 0) == 1);
    X509_set_issuer_name(certificate, name);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, names);
    CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

void pki_make(const char *certificate_file, const char *key_file, const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CHECK(key != NULL);
    X509 *certificate = make_certificate(key, names);
    FILE *stream = fopen(certificate_file, "we");
    CHECK(stream != NULL);
    CHECK(PEM_write_X509(stream, certificate) == 1);
    CHECK(fclose(stream) == 0);
    stream = fopen(key_file, "we");
    CHECK(stream != NULL);
    CHECK(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL) == 1);
    CHECK(fclose(stream) == 0);
    CHECK(chmod(key_file, 0600) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

int pki_folder_open(struct pki_folder *folder)
{
    *folder = (struct pki_folder){.path = "/tmp/dsn-pki-XXXXXX"};
    if (mkdtemp(folder->path) == NULL) return -1;
    for (int i = 0; i < PKI_FILES; i++) {
        snprintf(folder->certificate[i], sizeof folder->certificate[i], "%s/%d.pem", folder->path,
                 i);
        snprintf(folder->key[i], sizeof folder->key[i], "%s/%d.key", folder->path, i);
        pki_make(folder->certificate[i], folder->key[i], i < 2 ? "IP:127.0.0.1" : "IP:127.0.0.2");
    }
    return 0;
}

int pki_folder_close(struct pki_folder *folder)
{
    for (int i = 0; i < PKI_FILES; i++) {
        unlink(folder->certificate[i]);
        unlink(folder->key[i]);
    }
    return rmdir(folder->path);
}
