#include "consensus/tools/signer.h"

#include <stdlib.h>
#include <time.h>

#include "common/committee_file.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/key_file.h"

/* Long enough for a queue and a wrong clock, shorter than nodes allow by default (a minute). */
#define LIFE_MS 30000u

static uint64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

enum status signer_open(struct signer *ret_signer,
                        const char *key_file,
                        const char *committee_file,
                        struct error_line *error)
{
    uint8_t seed[KEY_SEED_BYTES];
    struct error_line line = {""};

    if (committee_file[0] == '\0')
        return error_line_set(error, ERR_CONFIG,
                              "--sign-key: needs --committee, the network that it signs for");
    if (key_file_read(seed, key_file, &line) != OK)
        return error_line_set(error, ERR_CONFIG, "--sign-key: %s", line.text);
    struct committee_file *committee = malloc(sizeof *committee);
    CHECK(committee != NULL);
    enum status status = committee_file_load(committee, committee_file, &line);
    if (status == OK) {
        ret_signer->network = committee->committee.digest;
        ret_signer->nonce = wall_us();
        crypto_key_pair(&ret_signer->key, &ret_signer->secret, seed);
    }
    free(committee);
    if (status == OK) return OK;
    return error_line_set(error, ERR_CONFIG, "--committee: %s", line.text);
}

size_t signer_wrap(struct signer *signer, uint8_t *memory, struct bytes payload)
{
    struct writer writer = writer_make(memory, ENVELOPE_BYTES_MAX);
    struct envelope envelope = {
        .network = signer->network,
        .key = signer->key,
        .nonce = signer->nonce++,
        .expiry_ms = wall_us() / 1000u + LIFE_MS,
        .payload = payload,
    };
    struct digest digest;

    CHECK(payload.len <= SIGNER_PAYLOAD_BYTES_MAX);
    envelope_digest(&digest, &envelope);
    crypto_sign(&envelope.signature, SCOPE_ENVELOPE, &digest, &signer->secret);
    envelope_encode(&writer, &envelope);
    CHECK(!writer.failed);
    return writer.len;
}
