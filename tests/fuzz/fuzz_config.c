#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "tests/fuzz/memory_file.h"

/* A configuration file of a program with a field of each kind, and, for what is no JSON, the same bytes as the
 * words of a command line. What is taken is within its bounds, and says the same when it is written as flags. */
struct settings {
    bool flag;
    uint32_t small;
    uint64_t large;
    uint64_t size;
    uint64_t delay;
    char *text;
    struct address address;
    uint32_t choice;
    struct config_list list;
};

static const char *const choices[] = {"one", "two", "three", NULL};

#define FIELD(name) .offset = offsetof(struct settings, name)
static const struct config_field fields[] = {
    {"flag", CONFIG_BOOL, FIELD(flag), "false", 0, 0, NULL, "a flag", 'f'},
    {"small", CONFIG_U32, FIELD(small), "7", 1, 1000, NULL, "a number", 0},
    {"large", CONFIG_U64, FIELD(large), "0", 0, 0, NULL, "a number", 0},
    {"size", CONFIG_SIZE, FIELD(size), "4KiB", 0, UINT64_C(1) << 40, NULL, "a size", 0},
    {"delay", CONFIG_DURATION, FIELD(delay), "1s", 1000, 0, NULL, "a duration", 'd'},
    {"text", CONFIG_STRING, FIELD(text), "", 0, 0, NULL, "a text", 0},
    {"address", CONFIG_ADDRESS, FIELD(address), "", 0, 0, NULL, "an address", 0},
    {"choice", CONFIG_CHOICE, FIELD(choice), "one", 0, 0, choices, "a choice", 0},
    {"list", CONFIG_LIST, FIELD(list), "", 0, 0, NULL, "a list", 0},
};
static const struct config_program program = {
    "fuzz", NULL, 2, "reads anything", fields, sizeof fields / sizeof fields[0]};

#define WORDS_MAX  32
#define TEXT_BYTES 2048u

static void check_values(const struct settings *settings)
{
    CHECK(settings->small >= 1 && settings->small <= 1000);
    CHECK(settings->size <= UINT64_C(1) << 40);
    CHECK(settings->delay >= 1000);
    CHECK(settings->choice < 3);
    CHECK(settings->text != NULL);
    CHECK(settings->list.count <= CONFIG_LIST_MAX);
}

static void check_equal(const struct settings *a, const struct settings *b)
{
    CHECK(a->flag == b->flag);
    CHECK(a->small == b->small);
    CHECK(a->large == b->large);
    CHECK(a->size == b->size);
    CHECK(a->delay == b->delay);
    CHECK(strcmp(a->text, b->text) == 0);
    CHECK(strcmp(a->address.host, b->address.host) == 0);
    CHECK(a->address.port == b->address.port);
    CHECK(a->choice == b->choice);
}

/* Everything but the list, whose items may have commas in them, as flags. */
static void check_flags(const struct settings *settings)
{
    static char texts[8][TEXT_BYTES];
    struct settings again;
    struct error_line error = {""};
    char duration[32];
    char size[32];
    char address[ADDRESS_TEXT_BYTES_MAX] = "";

    config_format_duration(duration, settings->delay);
    config_format_size(size, settings->size);
    if (settings->address.host[0] != '\0') address_format(address, &settings->address);
    const char *values[8] = {duration, size, address, choices[settings->choice], settings->text};
    const char *names[8] = {"delay", "size", "address", "choice", "text"};
    char *argv[8] = {texts[7]};
    int argc = 1;
    for (int i = 0; i < 5; i++) {
        if (strlen(values[i]) + 32 > TEXT_BYTES) return;
        (void)snprintf(texts[i], TEXT_BYTES, "--%s=%s", names[i], values[i]);
        argv[argc++] = texts[i];
    }
    (void)snprintf(texts[5], TEXT_BYTES, "--small=%u", settings->small);
    (void)snprintf(texts[6], TEXT_BYTES, "--large=%llu", (unsigned long long)settings->large);
    argv[argc++] = texts[5];
    argv[argc++] = texts[6];
    CHECK(argc == 8);
    CHECK(config_load(&again, NULL, &program, argc, argv, &error) == OK);
    again.flag = settings->flag;
    check_equal(settings, &again);
    config_free(&again, &program);
}

static bool load(int argc, char *const *argv)
{
    struct settings settings;
    struct config_arguments arguments;
    struct error_line error = {""};
    enum status status = config_load(&settings, &arguments, &program, argc, argv, &error);

    CHECK((status == OK) == (error.text[0] == '\0'));
    CHECK(strchr(error.text, '\n') == NULL);
    if (status != OK) return false;
    check_values(&settings);
    check_flags(&settings);
    CHECK(arguments.count <= 2);
    config_free(&settings, &program);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "fuzz";
    char flag[] = "--config";
    char path[64];
    char *argv[WORDS_MAX + 1] = {name, flag, path};

    (void)snprintf(path, sizeof path, "%s", memory_file(0, data, size));
    if (load(3, argv)) return 0;

    /* Words end at a line end; those that name another file are left out. */
    char *text = strndup((const char *)data, size);
    int argc = 1;
    CHECK(text != NULL);
    for (char *word = text; word != NULL && argc < WORDS_MAX;) {
        char *end = strchr(word, '\n');
        if (end != NULL) *end = '\0';
        if (strncmp(word, flag, strlen(flag)) != 0) argv[argc++] = word;
        word = end == NULL ? NULL : end + 1;
    }
    argv[argc] = NULL;
    (void)load(argc, argv);
    free(text);
    return 0;
}
