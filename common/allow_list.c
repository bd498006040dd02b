#include "common/allow_list.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "common/crypto.h"
#include "common/text_file.h"

/* "name=123" with a number up to RATE_MAX; false when it is not that. */
static bool read_limit(uint64_t *ret, struct bytes word, const char *name)
{
    size_t at = strlen(name);
    uint64_t value = 0;

    if (word.len <= at + 1 || memcmp(word.data, name, at) != 0 || word.data[at] != '=')
        return false;
    for (at++; at < word.len; at++) {
        if (word.data[at] < '0' || word.data[at] > '9') return false;
        value = value * 10 + (uint64_t)(word.data[at] - '0');
        if (value > RATE_MAX) return false;
    }
    *ret = value;
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *read_line(struct allow_entry *ret, const struct text_line *line)
{
    *ret = (struct allow_entry){.has_bytes = false};
    if (!text_is_name(line->words[0], ALLOW_NAME_BYTES_MAX))
        return "expected a name of at most 32 letters, digits, dots, dashes and underscores";
    memcpy(ret->name, line->words[0].data, line->words[0].len);
    if (line->count < 2 || !hex_decode(ret->key.bytes, sizeof ret->key.bytes,
                                       (const char *)line->words[1].data, line->words[1].len))
        return "expected a public key of 64 hex digits after the name";
    if (!crypto_key_is_valid(&ret->key)) return "the key is not a good Ed25519 public key";
    for (size_t i = 2; i < line->count; i++) {
        if (!ret->has_transactions &&
            read_limit(&ret->rates.transactions, line->words[i], "transactions"))
            ret->has_transactions = true;
        else if (!ret->has_bytes && read_limit(&ret->rates.bytes, line->words[i], "bytes"))
            ret->has_bytes = true;
        else
            return "expected transactions=NUMBER or bytes=NUMBER, once each, after the key";
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct public_key));
}
_Static_assert(offsetof(struct allow_entry, key) == 0, "compare looks at the key");

static bool has_name(const struct allow_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].name, name) == 0) return true;
    return false;
}

static const char *add_line(struct allow_list *list, const struct text_line *line)
{
    struct allow_entry entry;
    const char *wrong = read_line(&entry, line);

    if (wrong != NULL) return wrong;
    if (list->count == ALLOW_ENTRIES_MAX) return "more than 4096 keys";
    if (has_name(list, entry.name)) return "the name is taken by a line above";
    if (list->count % 64 == 0) {
        list->entries = realloc(list->entries, (list->count + 64) * sizeof *list->entries);
        CHECK(list->entries != NULL);
    }
    list->entries[list->count++] = entry;
    return NULL;
}

/* Sorts; the name of a key that is there twice, or NULL. */
static const char *sort(struct allow_list *list)
{
    qsort(list->entries, list->count, sizeof *list->entries, compare);
    for (size_t i = 1; i < list->count; i++)
        if (compare(&list->entries[i - 1], &list->entries[i]) == 0) return list->entries[i].name;
    return NULL;
}

enum status allow_list_parse(struct allow_list **ret_list,
                             const char *path,
                             struct bytes text,
                             struct error_line *error)
{
    struct text_lines lines = {.rest = text};
    struct text_line line;
    const char *wrong = NULL;
    enum status status = OK;
    struct allow_list *list = calloc(1, sizeof *list);

    CHECK(list != NULL);
    while (wrong == NULL && (status = text_lines_next(&line, &lines)) != ERR_NOT_FOUND)
        wrong = status == OK ? add_line(list, &line)
                             : "expected NAME KEY [LIMIT...] in printable characters";
    status = OK;
    if (wrong != NULL) {
        status = text_lines_error(error, path, &lines, wrong);
    } else if (list->count == 0) {
        status = error_line_set(error, ERR_MALFORMED, "%s: holds no key", path);
    } else if ((wrong = sort(list)) != NULL) {
        status = error_line_set(error, ERR_MALFORMED, "%s: %s: another name has the same key", path,
                                wrong);
    }
    if (status == OK) {
        *ret_list = list;
    } else {
        allow_list_free(list);
    }
    return status;
}

enum status allow_list_load(struct allow_list **ret_list,
                            const char *path,
                            struct error_line *error)
{
    struct text_file file;
    enum status status = text_file_read(&file, path, ALLOW_FILE_BYTES_MAX, false, error);

    if (status != OK) return status;
    struct bytes text = {(const uint8_t *)file.text, file.len};
    status = allow_list_parse(ret_list, path, text, error);
    text_file_free(&file);
    return status;
}

void allow_list_free(struct allow_list *list)
{
    if (list == NULL) return;
    free(list->entries);
    free(list);
}
