/* dsn: keys, committees, status, submitting, signing, verifying, kernels. */
#include "consensus/tools/dsn.h"

#include <stdio.h>
#include <string.h>

#include "common/config.h"

struct command {
    const char *words[2];
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {{"keygen", NULL}, dsn_keygen, "make one key file"},
    {{"committee", "new"}, dsn_committee_new, "make keys and committee.json for a new network"},
    {{"status", NULL}, dsn_status, "show every node of a committee"},
    {{"submit", NULL}, dsn_submit, "send one transaction and print its receipt"},
    {{"sign", NULL}, dsn_sign, "put one transaction into a signed envelope"},
    {{"verify", NULL}, dsn_verify, "check an exported stream from the committee file alone"},
    {{"pack-kernel", NULL}, dsn_pack_kernel, "append committee and mode to kernel.wasm"},
    {{"kernel-compile", NULL},
     dsn_kernel_compile,
     "compile a kernel.wasm for dsn-rollup and dsn-sequencer"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *stream)
{
    fprintf(stream, "usage: dsn COMMAND [flags]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];
        const char *second = commands[i].words[1];
        snprintf(name, sizeof name, "%s%s%s", commands[i].words[0], second ? " " : "",
                 second ? second : "");
        fprintf(stream, "  %-16s %s\n", name, commands[i].help);
    }
    fprintf(stream, "\ndsn COMMAND --help shows the flags of one command.\n");
}

static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        int words = command->words[1] == NULL ? 1 : 2;
        if (argc <= words || strcmp(argv[1], command->words[0]) != 0) continue;
        if (words == 2 && strcmp(argv[2], command->words[1]) != 0) continue;
        *ret_words = words;
        return command;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int words = 0;
    const struct command *command;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_usage(stdout);
        return 0;
    }
    command = find_command(argc, argv, &words);
    if (command == NULL) {
        if (argc >= 2)
            fprintf(stderr, "dsn: %s: no such command; see dsn --help\n", argv[1]);
        else
            print_usage(stderr);
        return EXIT_USAGE;
    }
    return command->run(argc - words, argv + words);
}
