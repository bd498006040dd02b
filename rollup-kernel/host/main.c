/* dsn-rollup: a local rollup node, for development and tests. An L1 of one, with the real kernel
 * and the real limits. */
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/config.h"
#include "common/log.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/rpc.h"

struct settings {
    uint64_t block_time; /* microseconds */
    char *rpc_addr;
    uint32_t rpc_port;
    char *data_dir;
    char *kernel;
    char *rollup_address;
    char *preimages;
    char *preimages_endpoint;
    char *log_kernel_debug;
    uint32_t batching_keys;
    char *faults;
};

#define AT(field) .offset = offsetof(struct settings, field)
static const struct config_field fields[] = {
    {.name = "block_time",
     .kind = CONFIG_DURATION,
     AT(block_time),
     .initial = "1s",
     .min = 10000,
     .max = 3600000000,
     .help = "time between blocks (6s like mainnet)"},
    {.name = "rpc_addr",
     .kind = CONFIG_STRING,
     AT(rpc_addr),
     .initial = "127.0.0.1",
     .help = "address the RPC listens on"},
    {.name = "rpc_port",
     .kind = CONFIG_U32,
     AT(rpc_port),
     .initial = "8932",
     .max = 65535,
     .help = "port of the RPC; 0 takes a free one and prints it"},
    {.name = "data_dir",
     .kind = CONFIG_STRING,
     AT(data_dir),
     .initial = "local/rollup",
     .help = "directory of the blocks, made when missing",
     .short_name = 'd'},
    {.name = "kernel",
     .kind = CONFIG_STRING,
     AT(kernel),
     .initial = "",
     .help = "packed kernel.wasm that a new data directory is originated with",
     .short_name = 'k'},
    {.name = "rollup_address",
     .kind = CONFIG_STRING,
     AT(rollup_address),
     .initial = "",
     .help = "sr1 address of the rollup; made from the kernel when not given"},
    {.name = "preimages",
     .kind = CONFIG_STRING,
     AT(preimages),
     .initial = "",
     .help =
         "directory of reveal pages, named by their hash in hex; default: in the data directory"},
    {.name = "preimages_endpoint",
     .kind = CONFIG_STRING,
     AT(preimages_endpoint),
     .initial = "",
     .help = "URL that is asked for URL/<hash> when the directory has no such page"},
    {.name = "log_kernel_debug",
     .kind = CONFIG_STRING,
     AT(log_kernel_debug),
     .initial = "",
     .help = "file that the kernel's debug text is appended to"},
    {.name = "batching_keys",
     .kind = CONFIG_U32,
     AT(batching_keys),
     .initial = "1",
     .min = 1,
     .max = 16,
     .help = "keys of the batcher: each puts one 32 KiB operation into a block"},
    {.name = "faults",
     .kind = CONFIG_STRING,
     AT(faults),
     .initial = "",
     .help = "misbehave on purpose: a list of drop=P%, delay=P%:LEVELS, duplicate=P%, reorder=P%, "
             "error=P%, hang=P%:MILLISECONDS, reorg=P%:BLOCKS (1 or 2), seed=N; empty: none"},
};

static const struct config_program program = {
    .name = "dsn-rollup",
    .about =
        "A local rollup node: makes a block each block time, runs the rollup's kernel on its inbox "
        "under the real limits, and serves octez-smart-rollup-node's RPC.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

/* A run that waits for a preimage is redone after this. */
static const struct timeval waiting_time = {.tv_usec = 500000};
static const struct timeval no_time = {0};

struct rollup {
    struct rollup_node *node;
    struct rpc *rpc;
    struct event_base *base;
    struct event *tick;
    struct event *step;
    struct event *interrupt;
    struct event *terminate;
    struct digest waiting; /* preimage waited for, logged once */
    bool is_waiting;
    int exit_code;
};

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static void log_waiting(struct rollup *rollup)
{
    const struct digest *missing = rollup_node_missing(rollup->node);
    char hex[2 * sizeof missing->bytes + 1];

    if (rollup->is_waiting && digest_equal(missing, &rollup->waiting)) return;
    rollup->is_waiting = true;
    rollup->waiting = *missing;
    hex_encode(hex, missing->bytes, sizeof missing->bytes);
    log_warn("rollup: waiting for preimage 00%s", hex);
}

static void log_block(struct rollup *rollup)
{
    const struct rollup_block *head = rollup_node_head(rollup->node);

    rollup->is_waiting = false;
    log_debug("rollup: level %d, %u messages", head->level, head->messages);
}

static void on_step(evutil_socket_t fd, short what, void *context)
{
    struct rollup *rollup = context;
    struct error_line error;

    (void)fd;
    (void)what;
    switch (rollup_node_step(rollup->node, &error)) {
    case ROLLUP_IDLE:
        break;
    case ROLLUP_AGAIN:
        event_add(rollup->step, &no_time);
        break;
    case ROLLUP_BLOCK:
        log_block(rollup);
        rpc_new_block(rollup->rpc);
        break;
    case ROLLUP_WAITING:
        log_waiting(rollup);
        event_add(rollup->step, &waiting_time);
        break;
    case ROLLUP_FAILED:
        log_error("rollup: %s", error.text);
        rollup->exit_code = 1;
        event_base_loopbreak(rollup->base);
        break;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct rollup *rollup = context;

    (void)fd;
    (void)what;
    rollup_node_tick(rollup->node, (int64_t)time(NULL));
    if (!event_pending(rollup->step, EV_TIMEOUT, NULL)) event_add(rollup->step, &no_time);
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    struct rollup *rollup = context;

    (void)fd;
    (void)what;
    event_base_loopbreak(rollup->base);
}

/* Opens node and RPC; the exit code, or CONFIG_RUN. */
static int rollup_open(struct rollup *rollup, const struct settings *settings)
{
    struct rollup_node_options options = {
        .data_directory = settings->data_dir,
        .kernel = or_null(settings->kernel),
        .rollup_address = or_null(settings->rollup_address),
        .preimages = or_null(settings->preimages),
        .preimages_endpoint = or_null(settings->preimages_endpoint),
        .kernel_debug_log = or_null(settings->log_kernel_debug),
        .batching_keys = settings->batching_keys,
    };
    struct error_line error;
    struct faults_spec faults;
    struct address address = {.port = (uint16_t)settings->rpc_port};

    if (faults_parse(&faults, settings->faults, &error) != OK) {
        fprintf(stderr, "dsn-rollup: --faults: %s\n", error.text);
        return EXIT_USAGE;
    }
    options.faults = &faults;
    if (snprintf(address.host, sizeof address.host, "%s", settings->rpc_addr) >=
        (int)sizeof address.host) {
        fprintf(stderr, "dsn-rollup: --rpc-addr: too long\n");
        return EXIT_USAGE;
    }
    enum status status = rollup_node_open(&rollup->node, &options, &error);
    if (status == OK) status = rpc_open(&rollup->rpc, rollup->base, &address, rollup->node, &error);
    if (status == OK) return CONFIG_RUN;
    fprintf(stderr, "dsn-rollup: %s\n", error.text);
    return status == ERR_CONFIG ? EXIT_USAGE : 1;
}

static void run(struct rollup *rollup, const struct settings *settings)
{
    const struct timeval period = {.tv_sec = (time_t)(settings->block_time / 1000000),
                                   .tv_usec = (suseconds_t)(settings->block_time % 1000000)};
    char address[BASE58_TEXT_MAX];

    rollup->tick = event_new(rollup->base, -1, EV_PERSIST, on_tick, rollup);
    rollup->step = event_new(rollup->base, -1, 0, on_step, rollup);
    rollup->interrupt = evsignal_new(rollup->base, SIGINT, on_signal, rollup);
    rollup->terminate = evsignal_new(rollup->base, SIGTERM, on_signal, rollup);
    CHECK(rollup->tick != NULL && rollup->step != NULL);
    CHECK(rollup->interrupt != NULL && rollup->terminate != NULL);
    event_add(rollup->tick, &period);
    event_add(rollup->interrupt, NULL);
    event_add(rollup->terminate, NULL);

    base58_encode(address, BASE58_ROLLUP, rollup_node_identity(rollup->node)->address);
    if (settings->faults[0] != '\0') log_warn("rollup: faults: %s", settings->faults);
    log_info("rollup: %s at level %d, RPC on port %u", address,
             rollup_node_head(rollup->node)->level, rpc_port(rollup->rpc));
    event_base_dispatch(rollup->base);
    log_info("rollup: stopped at level %d", rollup_node_head(rollup->node)->level);
}

static void rollup_close(struct rollup *rollup)
{
    struct event *const events[] = {rollup->tick, rollup->step, rollup->interrupt,
                                    rollup->terminate};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) event_free(events[i]);
    }
    rpc_close(rollup->rpc);
    rollup_node_close(rollup->node);
    event_base_free(rollup->base);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct rollup rollup = {.exit_code = 0};

    int code = config_start(&settings, NULL, &program, argc, argv);
    if (code != CONFIG_RUN) return code;
    signal(SIGPIPE, SIG_IGN);
    rollup.base = event_base_new();
    CHECK(rollup.base != NULL);
    code = rollup_open(&rollup, &settings);
    if (code == CONFIG_RUN) {
        run(&rollup, &settings);
        code = rollup.exit_code;
    }
    rollup_close(&rollup);
    config_free(&settings, &program);
    return code;
}
