#include "common/config_value.h"

static void format_unit(char *ret,
                        uint64_t value,
                        const char *const *suffixes,
                        const uint64_t *factors,
                        size_t count)
{
    size_t i = count - 1;
    while (i > 0 && (value == 0 || value % factors[i] != 0)) {
        i--;
    }
    snprintf(ret, 32, "%llu%s", (unsigned long long)(value / factors[i]), suffixes[i]);
}

void config_format_duration(char *ret, uint64_t microseconds)
{
    static const char *const suffixes[] = {"us", "ms", "s", "m", "h"};
    static const uint64_t factors[] = {1, 1000, 1000000, 60000000, 3600000000};
    format_unit(ret, microseconds, suffixes, factors, 5);
}

void config_format_size(char *ret, uint64_t bytes)
{
    static const char *const suffixes[] = {"", "KiB", "MiB", "GiB"};
    static const uint64_t factors[] = {1, 1024, 1024 * 1024, 1024 * 1024 * 1024};
    format_unit(ret, bytes, suffixes, factors, 4);
}

static void format_number(char *ret, const struct config_field *field, uint64_t value)
{
    if (field->kind == CONFIG_DURATION) {
        config_format_duration(ret, value);
    } else if (field->kind == CONFIG_SIZE) {
        config_format_size(ret, value);
    } else {
        snprintf(ret, 32, "%llu", (unsigned long long)value);
    }
}

static void expected_number(char *ret, const struct config_field *field)
{
    const char *what = "a number";
    const char *example = "";
    char min[32];
    char max[32];

    if (field->kind == CONFIG_DURATION) {
        what = "a duration";
        example = " (such as 100ms)";
    } else if (field->kind == CONFIG_SIZE) {
        what = "a size";
        example = " (such as 64KiB)";
    }
    format_number(min, field, field->min);
    format_number(max, field, field->max);
    if (field->max != 0) {
        snprintf(ret, CONFIG_EXPECTED_BYTES_MAX, "%s from %s to %s%s", what, min, max, example);
    } else if (field->min != 0) {
        snprintf(ret, CONFIG_EXPECTED_BYTES_MAX, "%s of at least %s%s", what, min, example);
    } else {
        snprintf(ret, CONFIG_EXPECTED_BYTES_MAX, "%s%s", what, example);
    }
}

static void expected_choice(char *ret, const struct config_field *field)
{
    size_t len = (size_t)snprintf(ret, CONFIG_EXPECTED_BYTES_MAX, "one of");
    for (size_t i = 0; field->choices[i] != NULL && len < CONFIG_EXPECTED_BYTES_MAX; i++) {
        len += (size_t)snprintf(ret + len, CONFIG_EXPECTED_BYTES_MAX - len, "%s %s",
                                i == 0 ? "" : ",", field->choices[i]);
    }
}

void config_expected(char *ret, const struct config_field *field)
{
    const char *text = "";

    switch (field->kind) {
    case CONFIG_BOOL:
        text = "true or false";
        break;
    case CONFIG_U32:
    case CONFIG_U64:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        expected_number(ret, field);
        return;
    case CONFIG_STRING:
        text = "a text";
        break;
    case CONFIG_ADDRESS:
        text = "host:port";
        break;
    case CONFIG_CHOICE:
        expected_choice(ret, field);
        return;
    case CONFIG_LIST:
        text = "a list of at most 64 texts";
        break;
    }
    snprintf(ret, CONFIG_EXPECTED_BYTES_MAX, "%s", text);
}

void config_flag_name(char *ret, const struct config_field *field)
{
    snprintf(ret, CONFIG_NAME_BYTES_MAX, "%s", field->name);
    for (char *c = ret; *c != '\0'; c++) {
        if (*c == '_') *c = '-';
    }
}

void config_variable_name(char *ret, const struct config_field *field)
{
    snprintf(ret, CONFIG_NAME_BYTES_MAX, "DSN_%s", field->name);
    for (char *c = ret; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    }
}

static void print_field(FILE *stream, const struct config_field *field)
{
    char name[CONFIG_NAME_BYTES_MAX];
    char expected[CONFIG_EXPECTED_BYTES_MAX];

    config_flag_name(name, field);
    config_expected(expected, field);
    fprintf(stream, "  ");
    if (field->short_name != 0) fprintf(stream, "-%c, ", field->short_name);
    fprintf(stream, "--%s%s\n        %s", name, field->kind == CONFIG_BOOL ? "" : " VALUE",
            field->help);
    if (field->kind != CONFIG_BOOL && field->kind != CONFIG_STRING) {
        fprintf(stream, "; %s", expected);
    }
    if (field->initial == NULL) {
        fprintf(stream, " (required)");
    } else if (field->initial[0] != '\0') {
        fprintf(stream, " (default %s)", field->initial);
    }
    fputc('\n', stream);
}

void config_print_help(FILE *stream, const struct config_program *program)
{
    fprintf(stream, "usage: %s [flags]%s%s\n\n%s\n\nflags:\n", program->name,
            program->arguments == NULL ? "" : " ",
            program->arguments == NULL ? "" : program->arguments, program->about);
    for (size_t i = 0; i < program->fields_count; i++) {
        print_field(stream, &program->fields[i]);
    }
    for (size_t i = 0; i < CONFIG_COMMON_FIELDS; i++) {
        print_field(stream, &config_common_fields[i]);
    }
    fprintf(
        stream,
        "  --help, --version\n\n"
        "A flag --some-name can also be set as \"some_name\" in the configuration file and as\n"
        "DSN_SOME_NAME in the environment; flags win over the environment, that over the file.\n"
        "Exit codes: 0 done, 1 failed while running, 2 wrong flags, files or values.\n");
}

static void print_markdown_field(FILE *stream, const struct config_field *field)
{
    char name[CONFIG_NAME_BYTES_MAX];
    char expected[CONFIG_EXPECTED_BYTES_MAX];

    config_flag_name(name, field);
    config_expected(expected, field);
    fprintf(stream, "| `%s` | `--%s` | %s | %s | %s |\n", field->name, name,
            field->initial == NULL ? "required" : field->initial, expected, field->help);
}

void config_print_markdown(FILE *stream, const struct config_program *program)
{
    fprintf(stream, "| field | flag | default | value | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < program->fields_count; i++) {
        print_markdown_field(stream, &program->fields[i]);
    }
    for (size_t i = 0; i < CONFIG_COMMON_FIELDS; i++) {
        print_markdown_field(stream, &config_common_fields[i]);
    }
}
