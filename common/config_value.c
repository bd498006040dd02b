#include "common/config_value.h"

#include <stdlib.h>

static const struct {
    const char *suffix;
    uint64_t factor;
} duration_units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}},
  size_units[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}};

/* Decimal digits only; `*ret_rest` is what follows them. */
static bool read_number(uint64_t *ret, const char *text, const char **ret_rest)
{
    uint64_t value = 0;
    const char *next = text;

    for (; *next >= '0' && *next <= '9'; next++) {
        uint64_t digit = (uint64_t)(*next - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *ret = value;
    *ret_rest = next;
    return next != text;
}

static bool scale(uint64_t *value, uint64_t factor)
{
    if (*value > UINT64_MAX / factor) return false;
    *value *= factor;
    return true;
}

static bool read_duration(uint64_t *ret, const char *text)
{
    const char *unit;
    if (!read_number(ret, text, &unit)) return false;
    if (*ret == 0 && *unit == '\0') return true;
    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++) {
        if (strcmp(unit, duration_units[i].suffix) == 0)
            return scale(ret, duration_units[i].factor);
    }
    return false;
}

static bool read_size(uint64_t *ret, const char *text)
{
    const char *unit;
    if (!read_number(ret, text, &unit)) return false;
    for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++) {
        if (strcmp(unit, size_units[i].suffix) == 0) return scale(ret, size_units[i].factor);
    }
    return false;
}

static uint64_t field_max(const struct config_field *field)
{
    if (field->max != 0) return field->max;
    return field->kind == CONFIG_U32 ? UINT32_MAX : UINT64_MAX;
}

static bool store_number(const struct config_field *field, void *at, uint64_t value)
{
    if (value < field->min || value > field_max(field)) return false;
    if (field->kind == CONFIG_U32) {
        uint32_t narrow = (uint32_t)value;
        if (narrow != value) return false;
        memcpy(at, &narrow, sizeof narrow);
    } else {
        memcpy(at, &value, sizeof value);
    }
    return true;
}

static bool store_bool(void *at, const char *text)
{
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0) return false;
    memcpy(at, &value, sizeof value);
    return true;
}

static bool store_choice(const struct config_field *field, void *at, const char *text)
{
    for (uint32_t i = 0; field->choices[i] != NULL; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            memcpy(at, &i, sizeof i);
            return true;
        }
    }
    return false;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    CHECK(copy != NULL);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* Appends the parts of a comma-separated text; an empty text is an empty list. */
static bool store_items(struct config_list *list, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (len == 0 || list->count == CONFIG_LIST_MAX) return false;
        list->items[list->count++] = copy_text(text, len);
        text += len;
        if (*text == ',' && *++text == '\0') return false;
    }
    return true;
}

static bool store_string(char **at, const char *text)
{
    free(*at);
    *at = copy_text(text, strlen(text));
    return true;
}

bool config_set_text(const struct config_field *field, void *values, const char *text)
{
    void *at = (char *)values + field->offset;
    const char *rest;
    uint64_t number;

    switch (field->kind) {
    case CONFIG_BOOL:
        return store_bool(at, text);
    case CONFIG_U32:
    case CONFIG_U64:
        return read_number(&number, text, &rest) && *rest == '\0' &&
               store_number(field, at, number);
    case CONFIG_SIZE:
        return read_size(&number, text) && store_number(field, at, number);
    case CONFIG_DURATION:
        return read_duration(&number, text) && store_number(field, at, number);
    case CONFIG_STRING:
        return store_string(at, text);
    case CONFIG_ADDRESS:
        if (*text == '\0' && field->initial != NULL && *field->initial == '\0') {
            memset(at, 0, sizeof(struct address));
            return true;
        }
        return address_parse(at, text) == OK;
    case CONFIG_CHOICE:
        return store_choice(field, at, text);
    case CONFIG_LIST:
        return store_items(at, text);
    }
    return false;
}

static bool set_json_list(const struct config_field *field, void *values, const json_t *json)
{
    struct config_list *list = (struct config_list *)((char *)values + field->offset);
    if (!json_is_array(json)) return false;
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *item = json_array_get(json, i);
        if (!json_is_string(item) || list->count == CONFIG_LIST_MAX) return false;
        list->items[list->count++] = copy_text(json_string_value(item), json_string_length(item));
    }
    return true;
}

bool config_set_json(const struct config_field *field, void *values, const json_t *json)
{
    void *at = (char *)values + field->offset;

    switch (field->kind) {
    case CONFIG_BOOL:
        return json_is_boolean(json) && store_bool(at, json_is_true(json) ? "true" : "false");
    case CONFIG_U32:
    case CONFIG_U64:
        return json_is_integer(json) && json_integer_value(json) >= 0 &&
               store_number(field, at, (uint64_t)json_integer_value(json));
    case CONFIG_SIZE:
        if (json_is_integer(json) && json_integer_value(json) >= 0) {
            return store_number(field, at, (uint64_t)json_integer_value(json));
        }
        break;
    case CONFIG_LIST:
        return set_json_list(field, values, json);
    case CONFIG_DURATION:
    case CONFIG_STRING:
    case CONFIG_ADDRESS:
    case CONFIG_CHOICE:
        break;
    }
    return json_is_string(json) && config_set_text(field, values, json_string_value(json));
}

void config_clear(const struct config_field *field, void *values, bool free_old)
{
    char *at = (char *)values + field->offset;

    if (field->kind == CONFIG_STRING) {
        char **text = (char **)(void *)at;
        if (free_old) free(*text);
        *text = NULL;
    }
    if (field->kind == CONFIG_ADDRESS) memset(at, 0, sizeof(struct address));
    if (field->kind == CONFIG_LIST) {
        struct config_list *list = (struct config_list *)(void *)at;
        for (size_t i = 0; free_old && i < list->count; i++) {
            free(list->items[i]);
        }
        list->count = 0;
    }
}
