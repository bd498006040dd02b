#include "tests/fuzz/fuzz.h"

#include "common/tls_files.h"
#include "tests/fuzz/memory_file.h"

/* PEM files: a server's certificate and key out of one file, and what a client trusts. */
static void check_line(enum status status, const struct error_line *error)
{
    CHECK((status == OK) == (error->text[0] == '\0'));
    CHECK(strchr(error->text, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = memory_file(0, data, size);
    struct error_line error = {""};
    struct tls_identity *identity;
    struct tls_roots *roots;

    enum status status = tls_identity_load(&identity, path, path, &error);
    check_line(status, &error);
    if (status == OK) {
        CHECK(strlen(identity->key) <= size);
        tls_identity_free(identity);
    }
    error.text[0] = '\0';
    status = tls_roots_load(&roots, path, &error);
    check_line(status, &error);
    if (status == OK) {
        CHECK(strlen(roots->text) <= size);
        tls_roots_free(roots);
    }
    return 0;
}
