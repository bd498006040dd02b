/* Goal: the rules of ordering, as scenarios that a reader can follow with a pencil. Method: each
 * file holds blocks of commands (dag_script.h), a line "----", and the exact output, ended by an
 * empty line. Lines with # are for the reader. A difference fails and is printed.
 *
 *     dag_scenarios [--rewrite] FILE...     --rewrite replaces the expected output: review the diff
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/dag_script.h"

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (file == NULL || text == NULL) {
        fprintf(stderr, "dag_scenarios: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    size_t len = fread(text, 1, (1 << 20) - 1, file);
    text[len] = 0;
    fclose(file);
    return text;
}

/* Copies the file's text to `result` with the output as it is now. */
static void replay(FILE *result, char *text)
{
    struct dag_script *script = dag_script_open(result);
    bool expected = false;
    bool pending = false;
    char commands[1 << 16];
    size_t commands_len = 0;

    for (char *line = text; *line != 0;) {
        char *end = strchr(line, '\n');
        char *next = end == NULL ? line + strlen(line) : end + 1;
        if (end != NULL) *end = 0;
        if (strcmp(line, "----") == 0) {
            fprintf(result, "----\n");
            for (char *at = commands; at < commands + commands_len; at += strlen(at) + 1)
                (void)dag_script_run(script, at);
            commands_len = 0;
            expected = true;
            pending = false;
        } else if (expected) {
            expected = *line != 0;
            if (!expected) fputc('\n', result);
        } else {
            fprintf(result, "%s\n", line);
            size_t len = strlen(line) + 1;
            if (*line != 0 && *line != '#' && commands_len + len < sizeof commands) {
                memcpy(commands + commands_len, line, len);
                commands_len += len;
                pending = true;
            }
        }
        line = next;
    }
    if (pending) fprintf(result, "? commands without ----\n");
    dag_script_close(script);
}

static bool run_file(const char *path, bool rewrite)
{
    char *text = read_file(path);
    char *original = strdup(text);
    char *actual = NULL;
    size_t len = 0;
    FILE *result = open_memstream(&actual, &len);
    replay(result, text);
    fclose(result);

    bool same = strcmp(original, actual) == 0;
    if (!same && rewrite) {
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(actual, 1, len, file) != len || fclose(file) != 0) exit(2);
    }
    if (!same && !rewrite) printf("%s: expected other output; it is now:\n%s\n", path, actual);
    printf("%s: %s\n", path, same ? "ok" : rewrite ? "rewritten" : "FAILED");
    free(text);
    free(original);
    free(actual);
    return same || rewrite;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1;
    bool good = true;

    if (argc <= first) {
        fprintf(stderr, "usage: dag_scenarios [--rewrite] FILE...\n");
        return 2;
    }
    for (int i = first; i < argc; i++)
        good = run_file(argv[i], rewrite) && good;
    return good ? 0 : 1;
}
