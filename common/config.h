/* Configuration of a program from one table of fields, so that reading, checking, `--help` and the
 * manual can not disagree. A field has one name in four layers, later ones win:
 *
 *     default  <  file  "batch_delay": "100ms"  <  environment  DSN_BATCH_DELAY=100ms
 *              <  command line  --batch-delay 100ms  or  --batch-delay=100ms
 *
 * The file is a flat JSON object named by --config FILE (or DSN_CONFIG); a field that the table
 * does not name is an error, so that a typing mistake never passes in silence. Every program also
 * has --help, --version and
 * --log-level. Wrong input is answered by one line that names the file, variable or flag, and exit
 * code 2.
 *
 *     struct settings { uint64_t batch_delay; char *store; };
 *     static const struct config_field fields[] = {
 *         {.name = "batch_delay", .kind = CONFIG_DURATION, .offset = offsetof(struct settings,
 * batch_delay), .initial = "100ms", .min = 1000, .max = 10000000, .help = "seal a batch at this age
 * at the latest"},
 *         {.name = "store", .kind = CONFIG_STRING, .offset = offsetof(struct settings, store),
 *          .help = "directory of the store"},                               (no default: required)
 *     };
 *     int code = config_start(&settings, NULL, &program, argc, argv);
 *     if (code != CONFIG_RUN) return code; */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdio.h>

#include "common/address.h"
#include "common/error_line.h"

/* Exit codes of every program: 0 done, 1 failed while running, 2 wrong flags, files or values. */
#define EXIT_USAGE 2

/* Items of one list, and arguments of one command line. */
#define CONFIG_LIST_MAX 64u

struct config_list {
    char *items[CONFIG_LIST_MAX];
    size_t count;
};

enum config_kind {
    CONFIG_BOOL,     /* bool; on the command line --name, --no-name or --name=false */
    CONFIG_U32,      /* uint32_t */
    CONFIG_U64,      /* uint64_t */
    CONFIG_SIZE,     /* uint64_t, bytes: 4096, 64KiB, 16MiB, 1GiB */
    CONFIG_DURATION, /* uint64_t, microseconds: 250us, 100ms, 5s, 2m, 1h */
    CONFIG_STRING,   /* char *, never NULL */
    CONFIG_ADDRESS,  /* struct address; with the default "" unset is host[0] == 0 */
    CONFIG_CHOICE,   /* uint32_t, index into `choices` */
    CONFIG_LIST,     /* struct config_list of strings; repeat the flag, or separate by commas */
};

struct config_field {
    const char *name; /* as in the file: snake_case */
    enum config_kind kind;
    size_t offset;              /* of the value in the program's struct */
    const char *initial;        /* the default as text; NULL: required */
    uint64_t min;               /* numbers, sizes, durations (in microseconds): inclusive */
    uint64_t max;               /* 0: whatever the type holds */
    const char *const *choices; /* of CONFIG_CHOICE: ends with NULL */
    const char *help;           /* one sentence without a full stop */
    char short_name;            /* 'e' for -e, 0 for none */
};

struct config_program {
    const char *name;      /* "dsn-node" */
    const char *arguments; /* what follows the flags in the usage line; NULL for nothing */
    size_t arguments_max;  /* at most CONFIG_LIST_MAX */
    const char *about;     /* for --help: what the program does */
    const struct config_field *fields;
    size_t fields_count;
};

/* What was on the command line besides flags: views of argv. */
struct config_arguments {
    const char *items[CONFIG_LIST_MAX];
    size_t count;
};

#define CONFIG_RUN (-1)

/* All that a main needs: fills `values` and returns CONFIG_RUN, or prints (help and version to
 * stdout, one line of error to stderr) and returns the exit code. Sets the log level.
 * `ret_arguments` may be NULL when the program takes none. argv[0] is skipped. */
int config_start(void *values,
                 struct config_arguments *ret_arguments,
                 const struct config_program *program,
                 int argc,
                 char *const *argv);

/* The same without printing and without --help: ERR_CONFIG with a line. On failure nothing is to be
 * freed. */
enum status config_load(void *values,
                        struct config_arguments *ret_arguments,
                        const struct config_program *program,
                        int argc,
                        char *const *argv,
                        struct error_line *error);

/* Frees strings and lists of `values`. */
void config_free(void *values, const struct config_program *program);

/* The help text, and the table of fields as Markdown for the manual (also by --help-markdown). */
void config_print_help(FILE *stream, const struct config_program *program);
void config_print_markdown(FILE *stream, const struct config_program *program);

/* Durations and sizes as people write them, exact: "1500ms", "64KiB". `ret` takes 32 bytes. */
void config_format_duration(char *ret, uint64_t microseconds);
void config_format_size(char *ret, uint64_t bytes);

#endif
