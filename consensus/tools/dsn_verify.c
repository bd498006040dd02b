#include <stdio.h>
#include <stdlib.h>

#include "common/committee_file.h"
#include "common/config.h"
#include "consensus/tools/dsn.h"
#include "consensus/tools/saved.h"
#include "proto/verify.h"

struct verify_settings {
    char *committee;
    bool require_certificate;
};

static const struct config_field fields[] = {
    {"committee", CONFIG_STRING, offsetof(struct verify_settings, committee), NULL, 0, 0, NULL,
     "committee.json of the network", 0},
    {"require_certificate", CONFIG_BOOL, offsetof(struct verify_settings, require_certificate),
     "false", 0, 0, NULL, "a pre-block without its certificate is wrong", 0},
};

static const struct config_program program = {
    .name = "dsn verify",
    .arguments = "FILE",
    .arguments_max = 1,
    .about = "Checks a stream saved by dsn-listener --save: every certificate, parent link, "
             "leader, page and "
             "pre-block certificate, from the committee file alone.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

static int check_stream(struct saved *saved, const struct committee *committee, bool require)
{
    struct verify *verify = verify_open(committee);
    struct verify_item item;
    struct bytes subdag;
    char text[VERIFY_TEXT_BYTES];
    uint64_t count = 0;
    enum status status;

    while ((status = saved_read(saved, &subdag)) == OK) {
        status = verify_next(verify, &item, text, subdag, require);
        if (status != OK) {
            printf("item %llu: wrong: %s\n", (unsigned long long)count + 1, text);
            break;
        }
        count++;
    }
    if (status == ERR_NOT_FOUND) {
        printf("%llu pre-blocks verified\n", (unsigned long long)count);
        status = OK;
    } else if (status == ERR_CORRUPT) {
        printf("item %llu: wrong: the file ends in the middle of it\n",
               (unsigned long long)count + 1);
    }
    verify_close(verify);
    return status == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int dsn_verify(int argc, char **argv)
{
    static struct committee_file committee; /* large */
    struct verify_settings settings;
    struct config_arguments arguments;
    struct error_line error = {""};
    struct saved *saved = NULL;
    int code = config_start(&settings, &arguments, &program, argc, argv);
    enum status status;

    if (code != CONFIG_RUN) return code;
    status = committee_file_load(&committee, settings.committee, &error);
    if (status == OK && arguments.count != 1)
        status = error_line_set(&error, ERR_CONFIG, "expected one FILE; see --help");
    if (status == OK) status = saved_open(&saved, arguments.items[0], &error);
    if (status == OK) {
        code = check_stream(saved, &committee.committee, settings.require_certificate);
    } else {
        fprintf(stderr, "dsn verify: %s\n", error.text);
        code = EXIT_USAGE;
    }
    saved_close(saved);
    config_free(&settings, &program);
    return code;
}
