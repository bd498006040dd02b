/* dsn-node: one member of the committee. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "common/key_file.h"
#include "common/limits.h"
#include "common/log.h"
#include "consensus/node/api_accept.h"
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

/* Larger buffers (pre-blocks on their way out; not batches) go back to the system when they are freed.
 * Else glibc raises the bound to the largest freed, and each thread's heap keeps the most it ever held:
 * measured at full load with a subscriber 240 to 320 MB of resident memory against 180. */
#define MMAP_BYTES_MIN (512 * 1024)
_Static_assert(MMAP_BYTES_MIN > BATCH_BYTES_MAX + 16384, "a batch's buffer is reused, not mapped");

/* One life of the node, or several when it starts from a checkpoint. The exit code. */
static int run(struct node_options *options)
{
    char error[NODE_ERROR_BYTES];
    struct node *node;
    bool again = true;
    enum status status = OK;

    while (again) {
        status = node_open(&node, error, options);
        if (status != OK) return fail(error, exit_code(status));
        status = node_run(node);
        again = node_restarts(node);
        node_close(node);
        options->mode = STORE_EXISTING;
    }
    return status == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct committee_file committee; /* large */
    static struct settings settings;
    static struct node_options options;
    static struct mesh_peer_options peers[AUTHORITIES_MAX];
    char error[NODE_ERROR_BYTES];
    enum status status;
    int code = config_start(&settings, NULL, &settings_program, argc, argv);

    if (code != CONFIG_RUN) return code;
    signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES_MIN);
    (void)api_accept_bound();
    status = settings_apply(&options, peers, &committee, error, &settings);
    code = status == OK ? run(&options) : fail(error, exit_code(status));
    config_free(&settings, &settings_program);
    return code;
}
