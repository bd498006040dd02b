#include "common/committee_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/crypto.h"

/* A hundred authorities take about 60 KB. */
#define FILE_BYTES_MAX (1024u * 1024u)

/* What is being read and where, for error lines. */
struct place {
    const char *file;
    char field[64]; /* "authorities[2].", or empty at the top */
    struct error_line *error;
};

static enum status fail(const struct place *place, const char *field, const char *why)
{
    return error_line_set(place->error, ERR_CONFIG, "%s: %s%s: %s", place->file, place->field,
                          field, why);
}

/* Refuses keys that are not in `fields`, a list that ends with NULL. */
static enum status check_fields(const struct place *place,
                                json_t *object,
                                const char *const *fields)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (fields[i] != NULL && strcmp(fields[i], key) != 0) {
            i++;
        }
        if (fields[i] == NULL) return fail(place, key, "unknown field");
    }
    for (size_t i = 0; fields[i] != NULL; i++) {
        if (json_object_get(object, fields[i]) == NULL) return fail(place, fields[i], "missing");
    }
    return OK;
}

static enum status read_hex(const struct place *place,
                            const json_t *object,
                            const char *field,
                            uint8_t ret[32])
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_string(value) ||
        !hex_decode(ret, 32, json_string_value(value), json_string_length(value))) {
        return fail(place, field, "expected 64 hex digits");
    }
    return OK;
}

static enum status read_key(const struct place *place,
                            const json_t *object,
                            const char *field,
                            struct public_key *ret)
{
    enum status status = read_hex(place, object, field, ret->bytes);
    if (status == OK && !crypto_key_is_valid(ret)) {
        status = fail(place, field, "not an Ed25519 public key");
    }
    return status;
}

static enum status read_address(const struct place *place,
                                const json_t *object,
                                const char *field,
                                struct address *ret)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_string(value) || address_parse(ret, json_string_value(value)) != OK) {
        return fail(place, field, "expected \"host:port\"");
    }
    return OK;
}

static enum status read_name(const struct place *place, const json_t *object, char *ret)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    const json_t *value = json_object_get(object, "name");
    const char *name = json_string_value(value);
    size_t len = json_string_length(value);

    if (name == NULL || len == 0 || len >= AUTHORITY_NAME_BYTES_MAX ||
        strspn(name, allowed) != len) {
        return fail(place, "name", "expected 1..63 letters, digits, '-', '_' or '.'");
    }
    memcpy(ret, name, len + 1);
    return OK;
}

static enum status read_authority(const struct place *place,
                                  json_t *object,
                                  struct committee_file *file,
                                  uint32_t index)
{
    static const char *const fields[] = {"name",
                                         "key",
                                         "network_key",
                                         "stake",
                                         "primary_address",
                                         "export_address",
                                         "transactions_address",
                                         "worker_address",
                                         "http_address",
                                         NULL};
    struct member *member = &file->committee.members[index];
    struct authority_entry *entry = &file->entries[index];
    enum status status;

    if (!json_is_object(object)) return fail(place, "", "expected an object");
    if ((status = check_fields(place, object, fields)) != OK) return status;
    if ((status = read_name(place, object, entry->name)) != OK) return status;
    if ((status = read_key(place, object, "key", &member->key)) != OK) return status;
    if ((status = read_key(place, object, "network_key", &member->network_key)) != OK) {
        return status;
    }

    const json_t *stake = json_object_get(object, "stake");
    json_int_t value = json_integer_value(stake);
    if (!json_is_integer(stake) || value < 1 || value > UINT32_MAX) {
        return fail(place, "stake", "expected 1..4294967295");
    }
    member->stake = (uint32_t)value;

    const struct {
        const char *field;
        struct address *ret;
    } addresses[] = {
        {"primary_address", &entry->primary},
        {"export_address", &entry->exporter},
        {"transactions_address", &entry->transactions},
        {"worker_address", &entry->worker},
        {"http_address", &entry->http},
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        status = read_address(place, object, addresses[i].field, addresses[i].ret);
        if (status != OK) return status;
    }
    return OK;
}

/* Names the field when two authorities share what must be their own. */
static enum status check_distinct(const struct place *place, const struct committee_file *file)
{
    for (uint32_t i = 1; i < file->committee.count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct member *a = &file->committee.members[i];
            const struct member *b = &file->committee.members[j];
            const char *field = NULL;
            if (strcmp(file->entries[i].name, file->entries[j].name) == 0) field = "name";
            if (memcmp(&a->key, &b->key, sizeof a->key) == 0) field = "key";
            if (memcmp(&a->network_key, &b->network_key, sizeof a->network_key) == 0) {
                field = "network_key";
            }
            if (field == NULL) continue;
            return error_line_set(place->error, ERR_CONFIG,
                                  "%s: authorities[%u].%s: same as of authorities[%u]", place->file,
                                  i, field, j);
        }
    }
    return OK;
}

static enum status read_root(struct place *place, json_t *root, struct committee_file *file)
{
    static const char *const fields[] = {"network", "epoch", "authorities", NULL};
    enum status status;

    if (!json_is_object(root)) return fail(place, "top level", "expected an object");
    if ((status = check_fields(place, root, fields)) != OK) return status;
    if ((status = read_hex(place, root, "network", file->committee.network)) != OK) return status;

    const json_t *epoch = json_object_get(root, "epoch");
    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0) {
        return fail(place, "epoch", "expected 0..9223372036854775807");
    }
    file->committee.epoch = (uint64_t)json_integer_value(epoch);

    const json_t *authorities = json_object_get(root, "authorities");
    size_t count = json_array_size(authorities);
    if (!json_is_array(authorities) || count < 1 || count > AUTHORITIES_MAX) {
        return fail(place, "authorities", "expected a list of 1..100 authorities");
    }
    file->committee.count = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(place->field, sizeof place->field, "authorities[%u].", i);
        status = read_authority(place, json_array_get(authorities, i), file, i);
        if (status != OK) return status;
    }
    place->field[0] = '\0';

    if ((status = check_distinct(place, file)) != OK) return status;
    if (committee_finish(&file->committee) != OK) {
        return fail(place, "authorities",
                    "stakes must sum to less than 4294967296, and 60 members must reach a quorum");
    }
    return OK;
}

enum status committee_file_parse(struct committee_file *ret,
                                 const char *name,
                                 const char *text,
                                 size_t len,
                                 struct error_line *error)
{
    json_error_t json_error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL) {
        return error_line_set(error, ERR_MALFORMED, "%s:%d: %s", name, json_error.line,
                              json_error.text);
    }

    struct committee_file *file = calloc(1, sizeof *file);
    CHECK(file != NULL);
    struct place place = {.file = name, .field = "", .error = error};
    enum status status = read_root(&place, root, file);
    if (status == OK) *ret = *file;
    free(file);
    json_decref(root);
    return status;
}

enum status committee_file_load(struct committee_file *ret,
                                const char *path,
                                struct error_line *error)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));

    char *text = malloc(FILE_BYTES_MAX + 1);
    CHECK(text != NULL);
    size_t len = fread(text, 1, FILE_BYTES_MAX + 1, stream);
    enum status status;
    if (ferror(stream)) {
        status = error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (len > FILE_BYTES_MAX) {
        status = error_line_set(error, ERR_TOO_LARGE, "%s: larger than 1 MiB", path);
    } else {
        status = committee_file_parse(ret, path, text, len, error);
    }
    free(text);
    fclose(stream);
    return status;
}

static void set_hex(json_t *object, const char *field, const void *data, size_t len)
{
    char text[65];
    CHECK(2 * len < sizeof text);
    hex_encode(text, data, len);
    json_object_set_new(object, field, json_string(text));
}

static void set_address(json_t *object, const char *field, const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES_MAX];
    address_format(text, address);
    json_object_set_new(object, field, json_string(text));
}

static json_t *authority_json(const struct committee_file *file, uint32_t index)
{
    const struct member *member = &file->committee.members[index];
    const struct authority_entry *entry = &file->entries[index];
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(entry->name));
    set_hex(object, "key", member->key.bytes, sizeof member->key.bytes);
    set_hex(object, "network_key", member->network_key.bytes, sizeof member->network_key.bytes);
    json_object_set_new(object, "stake", json_integer(member->stake));
    set_address(object, "primary_address", &entry->primary);
    set_address(object, "export_address", &entry->exporter);
    set_address(object, "transactions_address", &entry->transactions);
    set_address(object, "worker_address", &entry->worker);
    set_address(object, "http_address", &entry->http);
    return object;
}

char *committee_file_text(const struct committee_file *file)
{
    json_t *root = json_object();
    json_t *authorities = json_array();

    set_hex(root, "network", file->committee.network, sizeof file->committee.network);
    json_object_set_new(root, "epoch", json_integer((json_int_t)file->committee.epoch));
    for (uint32_t i = 0; i < file->committee.count; i++) {
        json_array_append_new(authorities, authority_json(file, i));
    }
    json_object_set_new(root, "authorities", authorities);

    char *text = json_dumps(root, JSON_INDENT(2));
    CHECK(text != NULL);
    json_decref(root);
    size_t len = strlen(text);
    char *line = realloc(text, len + 2);
    CHECK(line != NULL);
    memcpy(line + len, "\n", 2);
    return line;
}

enum status committee_file_save(const struct committee_file *file,
                                const char *path,
                                struct error_line *error)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        return error_line_set(error, ERR_IO, "%s: the path is too long", path);
    }

    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return error_line_set(error, ERR_IO, "%s: %s", temporary, strerror(errno));
    char *text = committee_file_text(file);
    size_t len = strlen(text);
    bool written = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    free(text);
    close(fd);
    if (!written || rename(temporary, path) != 0) {
        enum status status = error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
        unlink(temporary);
        return status;
    }
    return OK;
}

bool committee_file_warning(struct error_line *ret, const struct committee_file *file)
{
    stake_t faulty = file->committee.validity - 1;

    for (uint32_t i = 0; i < file->committee.count; i++) {
        uint32_t stake = file->committee.members[i].stake;
        if (stake <= faulty) continue;
        error_line_set(ret, OK,
                       "authorities[%u] (%s): stake %u exceeds F = %llu: the network stops with it",
                       i, file->entries[i].name, stake, (unsigned long long)faulty);
        return true;
    }
    return false;
}

enum status committee_file_find(authority_t *ret,
                                const struct committee_file *file,
                                const struct public_key *key)
{
    for (uint32_t i = 0; i < file->committee.count; i++) {
        if (memcmp(&file->committee.members[i].key, key, sizeof *key) == 0) {
            *ret = (authority_t)i;
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}
