#include "tests/fuzz/fuzz.h"

#include "common/allow_list.h"
#include "common/crypto.h"
#include "common/text_file.h"
#include "common/token_table.h"

/* A refusal is one line that begins with the file. */
static void check_line(enum status status, const struct error_line *error)
{
    CHECK((status == OK) == (error->text[0] == '\0'));
    if (status == OK) return;
    CHECK(strncmp(error->text, "file:", 5) == 0);
    CHECK(strchr(error->text, '\n') == NULL);
}

static void check_tokens(struct bytes text)
{
    struct token_table *table;
    struct error_line error = {""};
    enum status status = token_table_parse(&table, "file", text, &error);
    struct text_lines lines = {.rest = text};
    struct text_line line;

    check_line(status, &error);
    if (status != OK) return;
    CHECK(token_table_count(table) >= 1);
    CHECK(token_table_count(table) <= TOKENS_MAX);
    /* Every second word is a token, and opens something. */
    while (text_lines_next(&line, &lines) == OK) {
        char header[8 + TOKEN_BYTES_MAX] = "Bearer ";
        struct bytes authorization = {(const uint8_t *)header, 7 + line.words[1].len};
        memcpy(header + 7, line.words[1].data, line.words[1].len);
        enum token_answer read = token_table_judge(table, TOKEN_READ, authorization);
        enum token_answer submit = token_table_judge(table, TOKEN_SUBMIT, authorization);
        CHECK(read != TOKEN_UNKNOWN);
        CHECK(read == TOKEN_GOOD || submit == TOKEN_GOOD);
    }
    CHECK(token_table_judge(table, TOKEN_READ, text) != TOKEN_GOOD || text.len > 7);
    token_table_free(table);
}

static void check_keys(struct bytes text)
{
    struct allow_list *list;
    struct error_line error = {""};
    enum status status = allow_list_parse(&list, "file", text, &error);

    check_line(status, &error);
    if (status != OK) return;
    CHECK(list->count >= 1);
    CHECK(list->count <= ALLOW_ENTRIES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        const struct allow_entry *entry = &list->entries[i];
        CHECK(crypto_key_is_valid(&entry->key));
        CHECK(entry->rates.transactions <= RATE_MAX && entry->rates.bytes <= RATE_MAX);
        CHECK(i == 0 || memcmp(&list->entries[i - 1].key, &entry->key, sizeof entry->key) < 0);
    }
    allow_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes text = {data, size};

    check_tokens(text);
    check_keys(text);
    return 0;
}
