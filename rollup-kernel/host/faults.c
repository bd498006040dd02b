#include "rollup-kernel/host/faults.h"

#include <stdio.h>
#include <stdlib.h>

struct fault_kind {
    const char *name;
    const char *amount; /* NULL: has none */
    uint32_t amount_max;
};

static const struct fault_kind kinds[FAULTS] = {
#define FAULT_KIND(name, text, amount, max) {text, amount, max},
    FAULT_TABLE(FAULT_KIND)
#undef FAULT_KIND
};

#define FATES FAULTS /* the sequence of decisions about undone operations */

/* ---- reading and writing --------------------------------------------------------------------- */

/* Takes a decimal number off `*at`; false when there is none, or one over `max`. */
static bool take_number(uint64_t *ret, const char **at, const char *end, uint64_t max)
{
    const char *begin = *at;
    uint64_t value = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t figure = (uint64_t)(**at - '0');
        if (figure > max || value > (max - figure) / 10) return false;
        value = 10 * value + figure;
    }
    *ret = value;
    return *at > begin;
}

static enum status refuse_value(struct error_line *error,
                                const struct fault_kind *kind,
                                const char *value,
                                size_t len)
{
    int shown = len < 40 ? (int)len : 40;

    if (kind->amount == NULL)
        return error_line_set(error, ERR_CONFIG,
                              "%s: expected a percentage as in %s=10%%, not \"%.*s\"", kind->name,
                              kind->name, shown, value);
    return error_line_set(error, ERR_CONFIG,
                          "%s: expected PERCENT%%:%s with %s from 1 to %u%s, as in %s=10%%:2, not "
                          "\"%.*s\"",
                          kind->name, kind->amount, kind->amount, kind->amount_max,
                          kind == &kinds[FAULT_REORG] ? " (older blocks are final)" : "",
                          kind->name, shown, value);
}

static enum status read_fault(struct faults_spec *spec,
                              enum fault fault,
                              const char *value,
                              const char *end,
                              struct error_line *error)
{
    const struct fault_kind *kind = &kinds[fault];
    const char *at = value;
    uint64_t percent, amount = 0;

    bool good = take_number(&percent, &at, end, 100) && at < end && *at == '%';
    at++;
    if (good && kind->amount != NULL) {
        good = at < end && *at == ':';
        at++;
        good = good && take_number(&amount, &at, end, kind->amount_max) && amount >= 1;
    }
    if (!good || at != end) return refuse_value(error, kind, value, (size_t)(end - value));
    spec->percent[fault] = (uint32_t)percent;
    spec->amount[fault] = (uint32_t)amount;
    return OK;
}

static enum status read_seed(struct faults_spec *spec,
                             const char *value,
                             const char *end,
                             struct error_line *error)
{
    const char *at = value;

    if (take_number(&spec->seed, &at, end, UINT64_MAX) && at == end) return OK;
    return error_line_set(error, ERR_CONFIG, "seed: expected a number of 64 bits, not \"%.*s\"",
                          (int)(end - value < 40 ? end - value : 40), value);
}

/* The fault of a name, FAULTS for "seed"; false when there is none. */
static bool find_name(uint32_t *ret_fault, const char *name, size_t len)
{
    for (uint32_t i = 0; i <= FAULTS; i++) {
        const char *known = i == FAULTS ? "seed" : kinds[i].name;
        if (strlen(known) != len || memcmp(known, name, len) != 0) continue;
        *ret_fault = i;
        return true;
    }
    return false;
}

enum status faults_parse(struct faults_spec *ret_spec, const char *text, struct error_line *error)
{
    struct faults_spec spec = {.seed = 1};
    bool given[FAULTS + 1] = {false};

    for (const char *at = text; *at != '\0';) {
        const char *end = at + strcspn(at, ",");
        size_t name_len = strcspn(at, "=,");
        const char *value = at + name_len + 1;
        uint32_t fault;
        if (at[name_len] != '=' || !find_name(&fault, at, name_len))
            return error_line_set(error, ERR_CONFIG,
                                  "\"%.*s\": expected drop=, delay=, duplicate=, reorder=, error=, "
                                  "hang=, reorg= or seed=",
                                  (int)(end - at < 40 ? end - at : 40), at);
        if (given[fault])
            return error_line_set(error, ERR_CONFIG, "%.*s: given twice", (int)name_len, at);
        given[fault] = true;
        enum status status = fault == FAULTS
                                 ? read_seed(&spec, value, end, error)
                                 : read_fault(&spec, (enum fault)fault, value, end, error);
        if (status != OK) return status;
        if (*end == ',' && end[1] == '\0')
            return error_line_set(error, ERR_CONFIG, "the list ends with a comma");
        at = *end == ',' ? end + 1 : end;
    }
    *ret_spec = spec;
    return OK;
}

void faults_format(char *ret_text, const struct faults_spec *spec)
{
    size_t len = 0;

    for (uint32_t i = 0; i < FAULTS; i++) {
        char amount[16] = "";
        if (spec->percent[i] == 0) continue;
        if (kinds[i].amount != NULL) snprintf(amount, sizeof amount, ":%u", spec->amount[i]);
        len += (size_t)snprintf(ret_text + len, FAULTS_TEXT_BYTES_MAX - len, "%s=%u%%%s,",
                                kinds[i].name, spec->percent[i], amount);
        CHECK(len < FAULTS_TEXT_BYTES_MAX);
    }
    if (len > 0)
        len += (size_t)snprintf(ret_text + len, FAULTS_TEXT_BYTES_MAX - len, "seed=%llu",
                                (unsigned long long)spec->seed);
    CHECK(len < FAULTS_TEXT_BYTES_MAX);
    ret_text[len] = '\0';
}

const char *faults_count_name(enum faults_count count)
{
    static const char *const names[FAULTS_COUNTS] = {
#define FAULTS_COUNT_NAME(name, text) text,
        FAULTS_COUNT_TABLE(FAULTS_COUNT_NAME)
#undef FAULTS_COUNT_NAME
    };

    CHECK(count < FAULTS_COUNTS);
    return names[count];
}

/* ---- decisions ------------------------------------------------------------------------------- */

void faults_set(struct faults *faults, const struct faults_spec *spec)
{
    faults->spec = *spec;
    memset(faults->decided, 0, sizeof faults->decided);
}

bool faults_are_on(const struct faults *faults)
{
    for (uint32_t i = 0; i < FAULTS; i++) {
        if (faults->spec.percent[i] > 0) return true;
    }
    return false;
}

uint64_t faults_next(uint64_t *state)
{
    uint64_t value = *state += 0x9e3779b97f4a7c15u;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* The number that decision `n` of a sequence rests on; the one after it is for details. */
static uint64_t number_state(const struct faults *faults, uint32_t sequence, uint64_t n)
{
    uint64_t state = faults->spec.seed;

    state = faults_next(&state) ^ sequence;
    state = faults_next(&state) ^ n;
    return faults_next(&state);
}

uint64_t faults_decide(struct faults *faults, enum fault fault)
{
    CHECK(fault < FAULTS);
    if (faults->spec.percent[fault] == 0) return 0;
    uint64_t state = number_state(faults, fault, faults->decided[fault]++);
    if (faults_next(&state) % 100 >= faults->spec.percent[fault]) return 0;
    uint64_t detail = faults_next(&state);
    return detail == 0 ? 1 : detail;
}

bool faults_lose(struct faults *faults)
{
    uint64_t state = number_state(faults, FATES, faults->decided[FATES]++);

    return faults_next(&state) % 2 == 0;
}
