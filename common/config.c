#include "common/config.h"

#include <stdlib.h>

#include "common/config_value.h"
#include "common/log.h"

static const char *const log_levels[] = {"error", "warn", "info", "debug", "trace", NULL};

const struct config_field config_common_fields[CONFIG_COMMON_FIELDS] = {
    {.name = "config",
     .kind = CONFIG_STRING,
     .offset = offsetof(struct config_common, config),
     .initial = "",
     .help = "configuration file, a JSON object"},
    {.name = "log_level",
     .kind = CONFIG_CHOICE,
     .offset = offsetof(struct config_common, log_level),
     .initial = "info",
     .choices = log_levels,
     .help = "how much goes to stderr"},
};

/* One run over the layers. */
struct loader {
    const struct config_program *program;
    void *values;
    struct config_common common;
    struct config_arguments arguments;
    struct error_line *error;
    const struct config_field *listed[CONFIG_LIST_MAX]; /* lists that this layer has begun */
    size_t listed_count;
};

/* The i-th field of program and common together, with where its value lies; NULL at the end. */
static const struct config_field *field_at(struct loader *loader, size_t i, void **ret_values)
{
    if (i < loader->program->fields_count) {
        *ret_values = loader->values;
        return &loader->program->fields[i];
    }
    i -= loader->program->fields_count;
    *ret_values = &loader->common;
    return i < CONFIG_COMMON_FIELDS ? &config_common_fields[i] : NULL;
}

static enum status refuse(struct loader *loader,
                          const char *where,
                          const struct config_field *field)
{
    char expected[CONFIG_EXPECTED_BYTES_MAX];
    config_expected(expected, field);
    return error_line_set(loader->error, ERR_CONFIG, "%s: expected %s", where, expected);
}

/* The first item of a list in a layer replaces what lower layers said. */
static void begin_list(struct loader *loader, const struct config_field *field, void *values)
{
    if (field->kind != CONFIG_LIST) return;
    for (size_t i = 0; i < loader->listed_count; i++) {
        if (loader->listed[i] == field) return;
    }
    CHECK(loader->listed_count < CONFIG_LIST_MAX);
    loader->listed[loader->listed_count++] = field;
    config_clear(field, values, true);
}

static void set_defaults(struct loader *loader)
{
    void *values;
    const struct config_field *field;

    for (size_t i = 0; (field = field_at(loader, i, &values)) != NULL; i++) {
        config_clear(field, values, false);
    }
    for (size_t i = 0; (field = field_at(loader, i, &values)) != NULL; i++) {
        if (field->initial == NULL) continue;
        CHECK(config_set_text(field, values, field->initial));
    }
}

static enum status load_environment(struct loader *loader)
{
    void *values;
    const struct config_field *field;

    loader->listed_count = 0;
    for (size_t i = 0; (field = field_at(loader, i, &values)) != NULL; i++) {
        char name[CONFIG_NAME_BYTES_MAX];
        config_variable_name(name, field);
        const char *text = getenv(name);
        if (text == NULL) continue;
        begin_list(loader, field, values);
        if (!config_set_text(field, values, text)) return refuse(loader, name, field);
    }
    return OK;
}

static const struct config_field *find_field(struct loader *loader,
                                             const char *name,
                                             size_t len,
                                             void **ret_values)
{
    const struct config_field *field;
    for (size_t i = 0; (field = field_at(loader, i, ret_values)) != NULL; i++) {
        if (strlen(field->name) == len && memcmp(field->name, name, len) == 0) return field;
    }
    return NULL;
}

static enum status load_object(struct loader *loader, const char *path, json_t *root)
{
    const char *key;
    json_t *json;

    if (!json_is_object(root)) {
        return error_line_set(loader->error, ERR_CONFIG, "%s: expected a JSON object", path);
    }
    json_object_foreach(root, key, json)
    {
        void *values;
        char where[sizeof loader->error->text];
        const struct config_field *field = find_field(loader, key, strlen(key), &values);
        if (field == NULL || field == &config_common_fields[0]) {
            return error_line_set(loader->error, ERR_CONFIG, "%s: %s: unknown field", path, key);
        }
        begin_list(loader, field, values);
        snprintf(where, sizeof where / 2, "%s: %s", path, key);
        if (!config_set_json(field, values, json)) return refuse(loader, where, field);
    }
    return OK;
}

static enum status load_file(struct loader *loader, const char *path)
{
    json_error_t json_error;

    loader->listed_count = 0;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL && json_error.line < 0) {
        return error_line_set(loader->error, ERR_CONFIG, "%s: cannot be read", path);
    }
    if (root == NULL) {
        return error_line_set(loader->error, ERR_CONFIG, "%s:%d: %s", path, json_error.line,
                              json_error.text);
    }
    enum status status = load_object(loader, path, root);
    json_decref(root);
    return status;
}

/* Field of a flag: --name, --no-name (then `*ret_negated`), or -n. */
static const struct config_field *find_flag(struct loader *loader,
                                            const char *flag,
                                            size_t len,
                                            void **ret_values,
                                            bool *ret_negated)
{
    char name[CONFIG_NAME_BYTES_MAX];
    const struct config_field *field;

    *ret_negated = false;
    if (len == 2 && flag[0] == '-' && flag[1] != '-') {
        for (size_t i = 0; (field = field_at(loader, i, ret_values)) != NULL; i++) {
            if (field->short_name == flag[1]) return field;
        }
        return NULL;
    }
    if (len < 3 || len >= sizeof name || strncmp(flag, "--", 2) != 0) return NULL;
    if (memchr(flag, '_', len) != NULL) return NULL;

    len -= 2;
    memcpy(name, flag + 2, len);
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '-') name[i] = '_';
    }
    field = find_field(loader, name, len, ret_values);
    if (field != NULL || len < 4 || memcmp(name, "no_", 3) != 0) return field;

    *ret_negated = true;
    field = find_field(loader, name + 3, len - 3, ret_values);
    return field != NULL && field->kind == CONFIG_BOOL ? field : NULL;
}

/* Takes the flag at argv[*at] and, if it has one, the value behind it. */
static enum status load_flag(struct loader *loader, int argc, char *const *argv, int *at)
{
    const char *flag = argv[*at];
    size_t len = strcspn(flag, "=");
    const char *value = flag[len] == '=' ? flag + len + 1 : NULL;
    void *values;
    bool negated;
    const struct config_field *field = find_flag(loader, flag, len, &values, &negated);

    if (field == NULL) {
        return error_line_set(loader->error, ERR_CONFIG, "%.*s: unknown flag (see --help)",
                              (int)len, flag);
    }
    if (field->kind == CONFIG_BOOL && value == NULL) value = negated ? "false" : "true";
    if (value == NULL) {
        if (*at + 1 >= argc) {
            return error_line_set(loader->error, ERR_CONFIG, "%s: needs a value", flag);
        }
        value = argv[++*at];
    }
    char where[CONFIG_NAME_BYTES_MAX + 2];
    snprintf(where, sizeof where, "%.*s", (int)len, flag);
    begin_list(loader, field, values);
    if (!config_set_text(field, values, value)) return refuse(loader, where, field);
    return OK;
}

static enum status load_command_line(struct loader *loader, int argc, char *const *argv)
{
    bool flags = true;

    loader->listed_count = 0;
    loader->arguments.count = 0;
    for (int i = 1; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
            continue;
        }
        if (flags && argv[i][0] == '-' && argv[i][1] != '\0') {
            enum status status = load_flag(loader, argc, argv, &i);
            if (status != OK) return status;
            continue;
        }
        if (loader->arguments.count >= loader->program->arguments_max) {
            return error_line_set(loader->error, ERR_CONFIG, "unexpected argument \"%s\"", argv[i]);
        }
        loader->arguments.items[loader->arguments.count++] = argv[i];
    }
    return OK;
}

/* A required field is unset when no layer gave it a value; only texts and lists can show that. */
static enum status check_required(struct loader *loader)
{
    for (size_t i = 0; i < loader->program->fields_count; i++) {
        const struct config_field *field = &loader->program->fields[i];
        const char *at = (const char *)loader->values + field->offset;
        char name[CONFIG_NAME_BYTES_MAX];
        bool missing = false;

        if (field->initial != NULL) continue;
        if (field->kind == CONFIG_STRING) {
            const char *text = *(char *const *)(const void *)at;
            missing = text == NULL || *text == '\0';
        } else if (field->kind == CONFIG_LIST) {
            missing = ((const struct config_list *)(const void *)at)->count == 0;
        } else if (field->kind == CONFIG_ADDRESS) {
            missing = *at == '\0';
        }
        if (!missing) continue;
        config_flag_name(name, field);
        return error_line_set(loader->error, ERR_CONFIG, "--%s: required", name);
    }
    return OK;
}

/* The layers in order. The command line is read twice: it also names the file, which ranks below
 * it. */
static enum status load_layers(struct loader *loader, int argc, char *const *argv)
{
    enum status status;
    set_defaults(loader);
    if ((status = load_environment(loader)) != OK) return status;
    if ((status = load_command_line(loader, argc, argv)) != OK) return status;
    if (*loader->common.config != '\0') {
        char *path = loader->common.config;
        loader->common.config = NULL;
        status = load_file(loader, path);
        free(path);
        if (status != OK) return status;
        if ((status = load_environment(loader)) != OK) return status;
        if ((status = load_command_line(loader, argc, argv)) != OK) return status;
    }
    return check_required(loader);
}

static void check_table(const struct config_program *program)
{
    CHECK(program->arguments_max <= CONFIG_LIST_MAX);
    for (size_t i = 0; i < program->fields_count; i++) {
        const struct config_field *field = &program->fields[i];
        CHECK(strlen(field->name) + sizeof "DSN_" <= CONFIG_NAME_BYTES_MAX);
        CHECK((field->kind == CONFIG_CHOICE) == (field->choices != NULL));
        /* Only texts, lists and addresses can be without a value. */
        CHECK(field->initial != NULL || field->kind == CONFIG_STRING ||
              field->kind == CONFIG_LIST || field->kind == CONFIG_ADDRESS);
    }
}

static enum status load(struct loader *loader, int argc, char *const *argv)
{
    check_table(loader->program);
    enum status status = load_layers(loader, argc, argv);
    free(loader->common.config);
    if (status != OK) config_free(loader->values, loader->program);
    return status;
}

enum status config_load(void *values,
                        struct config_arguments *ret_arguments,
                        const struct config_program *program,
                        int argc,
                        char *const *argv,
                        struct error_line *error)
{
    struct loader loader = {.program = program, .values = values, .error = error};
    enum status status = load(&loader, argc, argv);
    if (status == OK && ret_arguments != NULL) *ret_arguments = loader.arguments;
    return status;
}

void config_free(void *values, const struct config_program *program)
{
    for (size_t i = 0; i < program->fields_count; i++) {
        config_clear(&program->fields[i], values, true);
    }
}

static bool has_flag(int argc, char *const *argv, const char *flag)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], flag) == 0) return true;
    }
    return false;
}

int config_start(void *values,
                 struct config_arguments *ret_arguments,
                 const struct config_program *program,
                 int argc,
                 char *const *argv)
{
    struct error_line error;
    struct loader loader = {.program = program, .values = values, .error = &error};

    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        config_print_help(stdout, program);
        return EXIT_SUCCESS;
    }
    if (has_flag(argc, argv, "--help-markdown")) {
        config_print_markdown(stdout, program);
        return EXIT_SUCCESS;
    }
    if (has_flag(argc, argv, "--version")) {
        printf("%s %s\n", program->name, DSN_VERSION);
        return EXIT_SUCCESS;
    }
    if (load(&loader, argc, argv) != OK) {
        fprintf(stderr, "%s: %s\n", program->name, error.text);
        return EXIT_USAGE;
    }
    log_set_level((enum log_level)loader.common.log_level);
    if (ret_arguments != NULL) *ret_arguments = loader.arguments;
    return CONFIG_RUN;
}
