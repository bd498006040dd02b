#include "tests/sim/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/random.h"

static const char *const fault_names[SIM_FAULTS] = {
#define SIM_FAULT_NAME(name, text) text,
    SIM_FAULT_TABLE(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
};

static const char *const bug_names[SIM_BUGS] = {
#define SIM_BUG_NAME(name, text) text,
    SIM_BUG_TABLE(SIM_BUG_NAME)
#undef SIM_BUG_NAME
};

#define ALL_FAULTS   ((1u << SIM_FAULTS) - 1)
#define STORE_FAULTS (1u << FAULT_OLD_COPY | 1u << FAULT_ROT)

/* Each of the faults of stores comes in so many seeds of a million: one of the two in a quarter. */
#define STORE_FAULT_PPM 135000u

struct sim_options sim_options_default(void)
{
    return (struct sim_options){.seed = 1,
                                .nodes = 7,
                                .seconds = 20,
                                .heal_seconds = 60,
                                .stride = 0,
                                .fast = -1,
                                .unequal = -1,
                                .prune = -1,
                                .faults_drawn = true,
                                .check_every = 512};
}

/* From a stream of their own: what a seed draws beside them does not depend on them. */
static uint32_t draw_store_faults(uint64_t seed)
{
    struct random random = random_make(seed, 6);
    uint32_t faults = 0;

    if (random_chance(&random, STORE_FAULT_PPM)) faults |= 1u << FAULT_OLD_COPY;
    if (random_chance(&random, STORE_FAULT_PPM)) faults |= 1u << FAULT_ROT;
    return faults;
}

void sim_options_draw(struct sim_options *options)
{
    struct random random = random_make(options->seed, 1);
    uint64_t drawn_faults = random_u64(&random) & random_u64(&random);
    uint64_t rule = random_below(&random, 4);
    uint64_t min = random_between(&random, 1, 50) * 1000;
    uint64_t mean = min + random_between(&random, 0, 40) * 1000;
    uint64_t sync = random_chance(&random, 500000) ? 300 : random_between(&random, 1, 10) * 1000;
    uint64_t batches = random_between(&random, 10, 240);
    uint64_t bytes = random_chance(&random, 150000) ? 400000 : random_between(&random, 100, 20000);
    bool unequal = random_chance(&random, 250000);
    bool prune = random_chance(&random, 500000);

    if (options->faults_drawn) {
        options->faults = (uint32_t)drawn_faults & ALL_FAULTS & ~STORE_FAULTS;
        options->faults |= draw_store_faults(options->seed);
    }
    if (options->fast < 0) options->fast = rule >= 2;
    if (options->stride == 0) options->stride = rule == 0 ? 2 : 1;
    if (options->delay_us_min == 0) options->delay_us_min = min;
    if (options->delay_us_mean == 0) options->delay_us_mean = u64_max(mean, options->delay_us_min);
    if (options->sync_us_mean == 0) options->sync_us_mean = sync;
    if (options->batches_per_minute == 0) options->batches_per_minute = (uint32_t)batches;
    if (options->batch_bytes == 0) options->batch_bytes = (uint32_t)bytes;
    if (options->unequal < 0) options->unequal = unequal;
    if (options->prune < 0) options->prune = prune;
    options->faults_drawn = false;
}

static bool parse_number(uint64_t *ret,
                         const char *name,
                         const char *text,
                         uint64_t low,
                         uint64_t high)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "sim: %s: '%s' is not a number in %llu..%llu\n", name, text,
                (unsigned long long)low, (unsigned long long)high);
        return false;
    }
    *ret = value;
    return true;
}

/* Position of the word [text, text + len) in `names`, or -1. */
static int find_name(const char *const *names, int count, const char *text, size_t len)
{
    for (int i = 0; i < count; i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) return i;
    return -1;
}

static bool parse_faults(struct sim_options *options, const char *text)
{
    options->faults_drawn = strcmp(text, "drawn") == 0;
    options->faults = strcmp(text, "all") == 0 ? ALL_FAULTS : 0;
    if (options->faults_drawn || options->faults != 0 || strcmp(text, "none") == 0) return true;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        int fault = find_name(fault_names, SIM_FAULTS, text, len);
        if (fault < 0) {
            fprintf(stderr, "sim: --faults: '%.*s' is not a fault\n", (int)len, text);
            return false;
        }
        options->faults |= 1u << fault;
        text += len;
        if (*text == ',') text++;
    }
    return true;
}

static bool parse_nodes(uint32_t *ret_set, const char *text)
{
    if (strcmp(text, "all") == 0) {
        *ret_set = UINT32_MAX;
        return true;
    }
    while (*text != '\0') {
        char *end = NULL;
        unsigned long node = strtoul(text, &end, 10);
        if (end == text || node >= SIM_NODES_MAX || (*end != ',' && *end != '\0')) {
            fprintf(stderr, "sim: --trace: '%s' is not a list of nodes\n", text);
            return false;
        }
        *ret_set |= 1u << node;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

/* Options with a number: name, field, bounds. */
struct number_option {
    const char *name;
    uint64_t low, high;
    size_t offset;
    size_t width;
};
#define NUMBER(name, field, low, high)                        \
    {                                                         \
        name, low, high, offsetof(struct sim_options, field), \
            sizeof(((struct sim_options *)0)->field)          \
    }
static const struct number_option numbers[] = {
    NUMBER("--seed", seed, 0, UINT64_MAX),
    NUMBER("--nodes", nodes, 2, SIM_NODES_MAX),
    NUMBER("--seconds", seconds, 0, 1000000),
    NUMBER("--heal", heal_seconds, 1, 1000000),
    NUMBER("--stride", stride, 1, 2),
    NUMBER("--fast", fast, 0, 1),
    NUMBER("--unequal", unequal, 0, 1),
    NUMBER("--prune", prune, 0, 1),
    NUMBER("--check", check_every, 0, 1000000),
    NUMBER("--delay-min", delay_us_min, 1, 10000000),
    NUMBER("--delay-mean", delay_us_mean, 1, 10000000),
    NUMBER("--sync", sync_us_mean, 1, 10000000),
    NUMBER("--rate", batches_per_minute, 1, 60000),
    NUMBER("--bytes", batch_bytes, 1, 480000),
};

static int parse_one_number(struct sim_options *options, const char *name, const char *text)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number_option *number = &numbers[i];
        uint64_t value = 0;
        if (strcmp(number->name, name) != 0) continue;
        if (!parse_number(&value, name, text, number->low, number->high)) return -1;
        memcpy((uint8_t *)options + number->offset, &value, number->width); /* little-endian */
        return 2;
    }
    return 0;
}

int sim_options_parse(struct sim_options *options, int count, char **arguments)
{
    const char *name = arguments[0];

    if (strcmp(name, "--verbose") == 0) {
        options->verbose = true;
        return 1;
    }
    if (count < 2) return 0;
    if (strcmp(name, "--faults") == 0) return parse_faults(options, arguments[1]) ? 2 : -1;
    if (strcmp(name, "--trace") == 0)
        return parse_nodes(&options->trace_nodes, arguments[1]) ? 2 : -1;
    if (strcmp(name, "--bug") == 0) {
        int bug = find_name(bug_names, SIM_BUGS, arguments[1], strlen(arguments[1]));
        if (bug < 0) fprintf(stderr, "sim: --bug: '%s' is not a bug\n", arguments[1]);
        if (bug >= 0) options->bug = (enum sim_bug)bug;
        return bug < 0 ? -1 : 2;
    }
    return parse_one_number(options, name, arguments[1]);
}

void sim_options_text(char *ret, size_t len, const struct sim_options *options)
{
    char faults[256] = "";

    for (int i = 0; i < SIM_FAULTS; i++) {
        if (!(options->faults >> i & 1)) continue;
        size_t used = strlen(faults);
        snprintf(faults + used, sizeof faults - used, "%s%s", used > 0 ? "," : "", fault_names[i]);
    }
    snprintf(
        ret, len,
        "--seed %llu --nodes %u --seconds %u --heal %u --stride %u --fast %d --unequal %d "
        "--prune %d --faults %s --bug %s --check %u --delay-min %llu --delay-mean %llu --sync %llu "
        "--rate %u --bytes %u",
        (unsigned long long)options->seed, options->nodes, options->seconds, options->heal_seconds,
        options->stride, options->fast, options->unequal, options->prune,
        faults[0] != '\0' ? faults : "none", bug_names[options->bug], options->check_every,
        (unsigned long long)options->delay_us_min, (unsigned long long)options->delay_us_mean,
        (unsigned long long)options->sync_us_mean, options->batches_per_minute,
        options->batch_bytes);
}
