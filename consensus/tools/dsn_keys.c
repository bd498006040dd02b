#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/committee_file.h"
#include "common/config.h"
#include "common/crypto.h"
#include "common/key_file.h"
#include "consensus/tools/dsn.h"

static int fail(const char *command, const struct error_line *error, enum status status)
{
    fprintf(stderr, "%s: %s\n", command, error->text);
    return status == ERR_IO ? EXIT_FAILURE : EXIT_USAGE;
}

/* ---- keygen ---------------------------------------------------------------------------------- */

struct keygen {
    char *output;
};

static const struct config_field keygen_fields[] = {
    {"output", CONFIG_STRING, offsetof(struct keygen, output), NULL, 0, 0, NULL,
     "file to make; never overwritten", 'o'},
};

static const struct config_program keygen_program = {
    .name = "dsn keygen",
    .about = "Makes a key file (mode 0600) and prints its public key.",
    .fields = keygen_fields,
    .fields_count = 1,
};

/* A fresh key in a new file. */
static enum status make_key(struct public_key *ret_key, const char *path, struct error_line *error)
{
    uint8_t seed[KEY_SEED_BYTES];
    struct secret_key secret;
    enum status status;

    key_seed_random(seed);
    crypto_key_pair(ret_key, &secret, seed);
    status = key_file_create(path, seed, error);
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(&secret, sizeof secret);
    return status;
}

int dsn_keygen(int argc, char **argv)
{
    struct keygen settings;
    struct public_key key;
    struct error_line error;
    char hex[2 * sizeof key.bytes + 1];
    int code = config_start(&settings, NULL, &keygen_program, argc, argv);
    enum status status;

    if (code != CONFIG_RUN) return code;
    status = make_key(&key, settings.output, &error);
    config_free(&settings, &keygen_program);
    if (status != OK) return fail("dsn keygen", &error, status);
    hex_encode(hex, key.bytes, sizeof key.bytes);
    printf("%s\n", hex);
    return EXIT_SUCCESS;
}

/* ---- committee new --------------------------------------------------------------------------- */

struct committee_new {
    uint32_t nodes;
    char *dir;
    char *host;
    uint32_t port_base;
    struct config_list stakes;
};

static const struct config_field new_fields[] = {
    {"nodes", CONFIG_U32, offsetof(struct committee_new, nodes), "7", 1, AUTHORITIES_MAX, NULL,
     "members", 'n'},
    {"dir", CONFIG_STRING, offsetof(struct committee_new, dir), NULL, 0, 0, NULL,
     "directory for committee.json and node-N/key, node-N/network-key; nothing is overwritten", 0},
    {"host", CONFIG_STRING, offsetof(struct committee_new, host), "127.0.0.1", 0, 0, NULL,
     "host in every address; {n} stands for the node's number", 0},
    {"port_base", CONFIG_U32, offsetof(struct committee_new, port_base), "64000", 1, 64535, NULL,
     "node N uses the ports base + 10 N + 0 .. 4", 0},
    {"stakes", CONFIG_LIST, offsetof(struct committee_new, stakes), "", 0, 0, NULL,
     "stake of each member, 1 where none is given", 0},
};

static const struct config_program new_program = {
    .name = "dsn committee new",
    .about = "Makes a new network: random network id, keys for every node, committee.json.",
    .fields = new_fields,
    .fields_count = sizeof new_fields / sizeof new_fields[0],
};

static enum status make_directory(const char *path, struct error_line *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return OK;
    return error_line_set(error, ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
}

static enum status set_address(struct address *ret,
                               struct error_line *error,
                               const struct committee_new *settings,
                               uint32_t node,
                               uint32_t service)
{
    const char *host = settings->host;
    const char *hole = strstr(host, "{n}");
    uint32_t port = settings->port_base + 10 * node + service;
    int before = hole != NULL ? (int)(hole - host) : (int)strlen(host);
    int len = hole != NULL
                  ? snprintf(ret->host, sizeof ret->host, "%.*s%u%s", before, host, node, hole + 3)
                  : snprintf(ret->host, sizeof ret->host, "%s", host);

    if (len < 0 || (size_t)len >= sizeof ret->host)
        return error_line_set(error, ERR_CONFIG, "--host: too long");
    if (port > UINT16_MAX)
        return error_line_set(error, ERR_CONFIG, "--port-base: node %u would need port %u", node,
                              port);
    ret->port = (uint16_t)port;
    return OK;
}

static enum status make_member(struct committee_file *file,
                               struct error_line *error,
                               const struct committee_new *settings,
                               uint32_t node)
{
    struct authority_entry *entry = &file->entries[node - 1];
    struct member *member = &file->committee.members[node - 1];
    struct address *addresses[] = {&entry->primary, &entry->exporter, &entry->transactions,
                                   &entry->worker, &entry->http};
    char path[4096];
    enum status status;

    snprintf(entry->name, sizeof entry->name, "node-%u", node);
    for (uint32_t i = 0; i < 5; i++) {
        status = set_address(addresses[i], error, settings, node, i);
        if (status != OK) return status;
    }
    member->stake = 1;
    if (node <= settings->stakes.count) {
        char *end;
        unsigned long stake = strtoul(settings->stakes.items[node - 1], &end, 10);
        if (*end != 0 || stake < 1 || stake > UINT32_MAX)
            return error_line_set(error, ERR_CONFIG, "--stakes: %s: expected 1..4294967295",
                                  settings->stakes.items[node - 1]);
        member->stake = (uint32_t)stake;
    }
    snprintf(path, sizeof path, "%s/node-%u", settings->dir, node);
    status = make_directory(path, error);
    snprintf(path, sizeof path, "%s/node-%u/key", settings->dir, node);
    if (status == OK) status = make_key(&member->key, path, error);
    snprintf(path, sizeof path, "%s/node-%u/network-key", settings->dir, node);
    if (status == OK) status = make_key(&member->network_key, path, error);
    return status;
}

static enum status make_committee(struct committee_file *file,
                                  struct error_line *error,
                                  const struct committee_new *settings)
{
    char path[4096];
    enum status status = make_directory(settings->dir, error);

    snprintf(path, sizeof path, "%s/committee.json", settings->dir);
    if (status == OK && access(path, F_OK) == 0)
        return error_line_set(error, ERR_CONFLICT, "%s: exists already", path);
    key_seed_random(file->committee.network);
    file->committee.epoch = 0;
    file->committee.count = settings->nodes;
    for (uint32_t node = 1; status == OK && node <= settings->nodes; node++)
        status = make_member(file, error, settings, node);
    if (status == OK && committee_finish(&file->committee) != OK)
        return error_line_set(
            error, ERR_CONFIG,
            "--nodes, --stakes: the smallest quorum would have more than %u signers",
            QUORUM_SIGNERS_MAX);
    if (status == OK) status = committee_file_save(file, path, error);
    return status;
}

int dsn_committee_new(int argc, char **argv)
{
    static struct committee_file file; /* large */
    struct committee_new settings;
    struct error_line error;
    char hex[2 * sizeof(struct digest) + 1];
    int code = config_start(&settings, NULL, &new_program, argc, argv);
    enum status status;

    if (code != CONFIG_RUN) return code;
    status = make_committee(&file, &error, &settings);
    if (status == OK && committee_file_warning(&error, &file))
        fprintf(stderr, "dsn committee new: %s\n", error.text);
    if (status != OK) {
        config_free(&settings, &new_program);
        return fail("dsn committee new", &error, status);
    }
    hex_encode(hex, file.committee.digest.bytes, sizeof file.committee.digest.bytes);
    printf("%s/committee.json: %u members, quorum %llu of %llu, digest %s\n", settings.dir,
           file.committee.count, (unsigned long long)file.committee.quorum,
           (unsigned long long)file.committee.total, hex);
    config_free(&settings, &new_program);
    return EXIT_SUCCESS;
}
