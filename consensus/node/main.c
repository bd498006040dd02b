/* dsn-node: one member of the committee. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "common/key_file.h"
#include "common/log.h"
#include "consensus/node/node.h"
#include "consensus/node/settings.h"

static int fail(const char *text, int code)
{
    fprintf(stderr, "dsn-node: %s\n", text);
    return code;
}

/* A refusal of the configuration or of the data directory is the operator's to mend: exit 2. What
 * the machine refuses (ports, disk) is 1. */
static int exit_code(enum status status)
{
    return status == ERR_IO ? EXIT_FAILURE : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static struct committee_file committee; /* large */
    static struct settings settings;
    static struct node_options options;
    static struct mesh_peer_options peers[AUTHORITIES_MAX];
    char error[NODE_ERROR_BYTES];
    struct node *node;
    enum status status;
    int code = config_start(&settings, NULL, &settings_program, argc, argv);

    if (code != CONFIG_RUN) return code;
    signal(SIGPIPE, SIG_IGN);
    status = settings_apply(&options, peers, &committee, error, &settings);
    if (status == OK) status = node_open(&node, error, &options);
    if (status != OK) {
        config_free(&settings, &settings_program);
        return fail(error, exit_code(status));
    }
    status = node_run(node);
    node_close(node);
    config_free(&settings, &settings_program);
    return status == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
