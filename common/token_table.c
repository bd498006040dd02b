#include "common/token_table.h"

#include <sodium/utils.h>
#include <stdlib.h>
#include <strings.h>

#include "common/crypto.h"
#include "common/text_file.h"

struct entry {
    struct digest digest; /* of the token */
    uint8_t rights;       /* bits 1 << enum token_right */
    uint8_t name_len;
    char name[TOKEN_NAME_BYTES_MAX];
};

struct token_table {
    size_t count;
    struct entry entries[TOKENS_MAX];
};

static bool is_token(struct bytes word)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=";

    if (word.len < TOKEN_BYTES_MIN || word.len > TOKEN_BYTES_MAX) return false;
    for (size_t i = 0; i < word.len; i++)
        if (memchr(allowed, word.data[i], sizeof allowed - 1) == NULL) return false;
    return true;
}

static bool is_word(struct bytes word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

static bool read_right(uint8_t *rights, struct bytes word)
{
    static const struct {
        const char *name;
        uint8_t rights;
    } known[] = {
        {"read", 1u << TOKEN_READ},
        {"submit", 1u << TOKEN_SUBMIT},
        {"admin", 1u << TOKEN_ADMIN | 1u << TOKEN_READ | 1u << TOKEN_SUBMIT},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!is_word(word, known[i].name)) continue;
        *rights |= known[i].rights;
        return true;
    }
    return false;
}

static bool is_taken(const struct token_table *table, const struct entry *entry)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *other = &table->entries[i];
        if (digest_equal(&other->digest, &entry->digest)) return true;
        if (other->name_len == entry->name_len &&
            memcmp(other->name, entry->name, entry->name_len) == 0)
            return true;
    }
    return false;
}

/* NULL, or what is wrong with the line. */
static const char *add_line(struct token_table *table, const struct text_line *line)
{
    struct entry entry = {.rights = 0};

    if (!text_is_name(line->words[0], TOKEN_NAME_BYTES_MAX))
        return "expected a name of at most 32 letters, digits, dots, dashes and underscores";
    if (line->count < 2 || !is_token(line->words[1]))
        return "expected a token of 16 to 256 letters, digits and -._~+/= after the name";
    if (line->count < 3) return "expected read, submit or admin after the token";
    for (size_t i = 2; i < line->count; i++)
        if (!read_right(&entry.rights, line->words[i]))
            return "a right is not one of read, submit, admin";
    entry.name_len = (uint8_t)line->words[0].len;
    memcpy(entry.name, line->words[0].data, line->words[0].len);
    crypto_hash_one(&entry.digest, line->words[1].data, line->words[1].len);
    if (is_taken(table, &entry)) return "the name or the token is taken by a line above";
    if (table->count == TOKENS_MAX) return "more than 1024 tokens";
    table->entries[table->count++] = entry;
    return NULL;
}

enum status token_table_parse(struct token_table **ret_table,
                              const char *path,
                              struct bytes text,
                              struct error_line *error)
{
    struct text_lines lines = {.rest = text};
    struct text_line line;
    const char *wrong = NULL;
    enum status status;
    struct token_table *table = calloc(1, sizeof *table);

    CHECK(table != NULL);
    while (wrong == NULL && (status = text_lines_next(&line, &lines)) != ERR_NOT_FOUND)
        wrong = status == OK ? add_line(table, &line)
                             : "expected NAME TOKEN RIGHT... in printable characters";
    if (wrong == NULL && table->count > 0) {
        *ret_table = table;
        return OK;
    }
    token_table_free(table);
    if (wrong != NULL) return text_lines_error(error, path, &lines, wrong);
    return error_line_set(error, ERR_MALFORMED, "%s: holds no token", path);
}

enum status token_table_load(struct token_table **ret_table,
                             const char *path,
                             struct error_line *error)
{
    struct text_file file;
    enum status status = text_file_read(&file, path, TOKEN_FILE_BYTES_MAX, true, error);

    if (status != OK) return status;
    struct bytes text = {(const uint8_t *)file.text, file.len};
    status = token_table_parse(ret_table, path, text, error);
    text_file_free(&file);
    return status;
}

struct token_table *token_table_clone(const struct token_table *table)
{
    if (table == NULL) return NULL;
    struct token_table *clone = malloc(sizeof *clone);
    CHECK(clone != NULL);
    *clone = *table;
    return clone;
}

void token_table_free(struct token_table *table)
{
    free(table);
}

size_t token_table_count(const struct token_table *table)
{
    return table->count;
}

enum token_answer token_table_judge(const struct token_table *table,
                                    enum token_right right,
                                    struct bytes authorization)
{
    static const char scheme[] = "Bearer ";
    const size_t scheme_len = sizeof scheme - 1;
    struct digest digest;
    unsigned rights = 0;
    unsigned known = 0;

    if (right == TOKEN_OPEN) return TOKEN_GOOD;
    if (authorization.len <= scheme_len ||
        strncasecmp((const char *)authorization.data, scheme, scheme_len) != 0)
        return TOKEN_UNKNOWN;
    if (authorization.len - scheme_len > TOKEN_BYTES_MAX) return TOKEN_UNKNOWN;
    crypto_hash_one(&digest, authorization.data + scheme_len, authorization.len - scheme_len);
    /* Every entry is looked at, found or not. */
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *entry = &table->entries[i];
        unsigned same = sodium_memcmp(entry->digest.bytes, digest.bytes, sizeof digest.bytes) == 0;
        known |= same;
        rights |= (0u - same) & entry->rights;
    }
    if (known == 0) return TOKEN_UNKNOWN;
    return (rights >> right & 1u) != 0 ? TOKEN_GOOD : TOKEN_FORBIDDEN;
}

enum status token_file_read(char *ret_token, const char *path, struct error_line *error)
{
    struct text_file file;
    struct text_line line;
    enum status status = text_file_read(&file, path, 4096, true, error);

    if (status != OK) return status;
    struct text_lines lines = {.rest = {(const uint8_t *)file.text, file.len}};
    status = text_lines_next(&line, &lines);
    bool good = status == OK && line.count == 1 && is_token(line.words[0]);
    if (good) {
        memcpy(ret_token, line.words[0].data, line.words[0].len);
        ret_token[line.words[0].len] = '\0';
        good = text_lines_next(&line, &lines) == ERR_NOT_FOUND;
    }
    text_file_free(&file);
    if (good) return OK;
    return error_line_set(error, ERR_MALFORMED,
                          "%s: expected one token of 16 to 256 letters, digits and -._~+/=", path);
}
