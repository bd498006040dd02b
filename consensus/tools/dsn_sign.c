/* dsn sign: one transaction in a signed envelope, as hex, for whoever hands it on: a sequencer's POST
 * /broadcast, a client of another language. Nothing is sent. */
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/config.h"
#include "common/envelope.h"
#include "consensus/tools/dsn.h"
#include "consensus/tools/signer.h"

struct sign_settings {
    char *sign_key;
    char *committee;
    char *text;
};

static const struct config_field fields[] = {
    {"sign_key", CONFIG_STRING, offsetof(struct sign_settings, sign_key), NULL, 0, 0, NULL,
     "key file (dsn keygen)", 0},
    {"committee", CONFIG_STRING, offsetof(struct sign_settings, committee), NULL, 0, 0, NULL,
     "committee.json of the network that it is for", 0},
    {"text", CONFIG_STRING, offsetof(struct sign_settings, text), NULL, 0, 0, NULL,
     "the transaction's bytes", 't'},
};

static const struct config_program program = {
    .name = "dsn sign",
    .about =
        "Puts a transaction into an envelope, good for 30 s and one use, and prints it as hex.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

static enum status print_envelope(const struct sign_settings *settings, struct error_line *error)
{
    static uint8_t envelope[ENVELOPE_BYTES_MAX];
    static char hex[2 * sizeof envelope + 1];
    struct bytes payload = {(const uint8_t *)settings->text, strlen(settings->text)};
    struct signer signer;

    if (payload.len == 0 || payload.len > SIGNER_PAYLOAD_BYTES_MAX)
        return error_line_set(error, ERR_CONFIG, "--text: %zu bytes, expected 1 to %u", payload.len,
                              SIGNER_PAYLOAD_BYTES_MAX);
    enum status status = signer_open(&signer, settings->sign_key, settings->committee, error);
    if (status != OK) return status;
    hex_encode(hex, envelope, signer_wrap(&signer, envelope, payload));
    printf("%s\n", hex);
    return OK;
}

int dsn_sign(int argc, char **argv)
{
    struct sign_settings settings;
    struct error_line error = {""};
    int code = config_start(&settings, NULL, &program, argc, argv);

    if (code != CONFIG_RUN) return code;
    enum status status = print_envelope(&settings, &error);
    if (status != OK) fprintf(stderr, "dsn sign: %s\n", error.text);
    config_free(&settings, &program);
    return status == OK ? EXIT_SUCCESS : EXIT_USAGE;
}
