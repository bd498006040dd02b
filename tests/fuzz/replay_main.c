/* Runs a fuzz driver over every file of a corpus folder, and over seeded random changes of each: an
 * ordinary test that needs no fuzzer.
 *
 *     fuzz_header_replay CORPUS_FOLDER [CHANGES_PER_FILE [SEED]]
 *
 * A failure names file, change and seed; the same arguments replay it. An input that does not end is one. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX 70000u
#define FILES_MAX       200u

/* Processor time after which an input that still runs is taken for one that never ends. */
#define STUCK_SECONDS 10

struct input {
    char *name;
    uint8_t *data;
    size_t len;
};

static struct input inputs[FILES_MAX];
static size_t inputs_count;
static char position[512]; /* what runs now, for the signal handlers */
static volatile sig_atomic_t runs;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t bound)
{
    return bound == 0 ? 0 : (size_t)(next_random(state) % bound);
}

static void on_failure(int number)
{
    ssize_t written = write(STDERR_FILENO, position, strlen(position));
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

/* Every STUCK_SECONDS: an input must have ended since the last time. */
static void on_tick(int number)
{
    static const char stuck[] = "an input does not end\n";
    static sig_atomic_t runs_before = -1;

    (void)number;
    if (runs == runs_before) {
        ssize_t written = write(STDERR_FILENO, stuck, sizeof stuck - 1);
        (void)written;
        abort();
    }
    runs_before = runs;
}

static void watch(void)
{
    const struct itimerval every = {.it_interval = {.tv_sec = STUCK_SECONDS},
                                    .it_value = {.tv_sec = STUCK_SECONDS}};
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], on_failure);
    signal(SIGPROF, on_tick);
    CHECK(setitimer(ITIMER_PROF, &every, NULL) == 0);
}

/* One random change; returns the new length. */
static size_t change(uint64_t *state, uint8_t *data, size_t len)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0x81, 0xff, '"', '{', '\n', ':', '0', 'a'};
    size_t at = below(state, len);
    size_t span = 1 + below(state, 8);
    const struct input *other;

    switch (below(state, 7)) {
    case 0: /* flip a bit */
        if (len > 0) data[at] ^= (uint8_t)(1u << below(state, 8));
        return len;
    case 1: /* set a byte to an edge value */
        if (len > 0) data[at] = edges[below(state, sizeof edges)];
        return len;
    case 2: /* cut off the end */
        return at;
    case 3: /* remove a piece */
        if (span > len - at) span = len - at;
        memmove(data + at, data + at + span, len - at - span);
        return len - span;
    case 4: /* insert random bytes */
        if (len + span > INPUT_BYTES_MAX) return len;
        memmove(data + at + span, data + at, len - at);
        for (size_t i = 0; i < span; i++) {
            data[at + i] = (uint8_t)next_random(state);
        }
        return len + span;
    case 5: /* repeat a piece */
        if (span > len - at) span = len - at;
        if (len + span > INPUT_BYTES_MAX) return len;
        memmove(data + at + span, data + at, len - at);
        return len + span;
    default: /* go on as another file does */
        other = &inputs[below(state, inputs_count)];
        if (other->len <= at) return len;
        memcpy(data + at, other->data + at, other->len - at);
        return other->len;
    }
}

static void run(const uint8_t *data, size_t len)
{
    /* Exactly sized, so that the sanitizers see one byte too many. */
    uint8_t *exact = malloc(len + (len == 0));
    memcpy(exact, data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    runs = (runs + 1) & 0xffffff;
}

static void read_file(const char *folder, const char *name)
{
    char path[1024];
    struct input *input = &inputs[inputs_count];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || inputs_count == FILES_MAX) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    input->name = strdup(name);
    input->data = malloc(INPUT_BYTES_MAX);
    input->len = fread(input->data, 1, INPUT_BYTES_MAX, stream);
    fclose(stream);
    inputs_count++;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static void read_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fprintf(stderr, "%s: not a folder\n", path);
        exit(2);
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') read_file(path, entry->d_name);
    }
    closedir(folder);
    if (inputs_count == 0) {
        fprintf(stderr, "%s: no files\n", path);
        exit(2);
    }
    qsort(inputs, inputs_count, sizeof inputs[0], compare_names);
}

int main(int argc, char **argv)
{
    static uint8_t data[INPUT_BYTES_MAX];

    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER [CHANGES_PER_FILE [SEED]]\n", argv[0]);
        return 2;
    }
    unsigned long changes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    unsigned long long seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    read_folder(argv[1]);
    watch();
    for (size_t i = 0; i < inputs_count; i++) {
        snprintf(position, sizeof position, "input: %s unchanged\n", inputs[i].name);
        run(inputs[i].data, inputs[i].len);
        uint64_t state = seed + i;
        for (unsigned long k = 0; k < changes; k++) {
            snprintf(position, sizeof position, "input: %s, change %lu, seed %llu\n",
                     inputs[i].name, k, seed);
            size_t len = inputs[i].len;
            memcpy(data, inputs[i].data, len);
            for (size_t steps = 1 + below(&state, 4); steps > 0; steps--) {
                len = change(&state, data, len);
            }
            run(data, len);
        }
    }
    printf("%zu files, %lu changes of each, seed %llu\n", inputs_count, changes, seed);
    for (size_t i = 0; i < inputs_count; i++) {
        free(inputs[i].name);
        free(inputs[i].data);
    }
    return 0;
}
