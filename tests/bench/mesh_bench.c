/* What moving batches between nodes costs: one process per node on loopback, each broadcasting full
 * bulk frames as fast as the links take them, nothing hashed or stored. CPU is getrusage of the
 * processes, from all links up to the end of the time; a "transaction" is 512 + 3 bytes delivered
 * to every other node, as in the measurements the data path was designed by (send 1.25 +
 * receive 1.27 us over 7 nodes).
 *
 *   mesh_bench [--nodes N] [--seconds S] [--frame BYTES] [--congestion NAME] [--one-way]
 *
 * With --one-way only node 0 sends: its CPU is the cost of sending, that of the others of
 * receiving. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/crypto.h"
#include "common/log.h"
#include "consensus/core/wire.h"
#include "consensus/node/mesh.h"

#define NODES_MAX      16u
#define TX_BYTES       515.0
#define AHEAD_BYTES    (3u * 480000u) /* queued per link before the sender waits */
#define START_US_MAX   20000000u
#define LAUNCH_TICK_US 1000

struct result {
    double cpu_user_us;
    double cpu_system_us;
    double seconds;
    uint64_t bytes_in;
    uint64_t frames_in;
    double rtt_us; /* of control links, mean over the peers */
    long resident_kb;
};

/* In memory that all processes share. */
struct board {
    atomic_uint listening;
    atomic_uint up;
    struct sockaddr_storage addresses[NODES_MAX][MESH_LINKS];
    struct result results[NODES_MAX];
};

struct node {
    struct board *board;
    struct event_base *base;
    struct committee *committee;
    struct mesh *mesh;
    struct event *feed_event;
    struct buffer *frame;
    authority_t self;
    uint32_t links_up;
    bool sends;
    uint64_t bytes_in;
    uint64_t frames_in;
};

static uint32_t nodes = 7;
static uint32_t seconds = 5;
static uint32_t frame_bytes = 480014;
static const char *congestion = "";
static bool one_way;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_frame(void *context,
                     authority_t peer,
                     enum mesh_link link,
                     struct buffer *frame,
                     const uint8_t *body,
                     size_t len)
{
    struct node *node = context;

    (void)peer, (void)link, (void)frame, (void)body;
    node->bytes_in += len;
    node->frames_in++;
}

static void on_up(void *context, authority_t peer, enum mesh_link link)
{
    struct node *node = context;

    (void)peer, (void)link;
    node->links_up++;
}

static void on_down(void *context, authority_t peer, enum mesh_link link)
{
    struct node *node = context;

    (void)peer, (void)link;
    node->links_up--;
}

/* Keeps every link a few frames ahead. */
static void on_feed(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    struct timeval soon = {.tv_usec = LAUNCH_TICK_US};

    (void)fd, (void)what;
    for (authority_t peer = 0; peer < nodes; peer++) {
        if (peer == node->self) continue;
        while (mesh_is_up(node->mesh, peer, MESH_BULK) &&
               mesh_queued_bytes(node->mesh, peer, MESH_BULK) < AHEAD_BYTES) {
            (void)mesh_send(node->mesh, peer, MESH_BULK, node->frame);
        }
    }
    event_add(node->feed_event, &soon);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what, (void)context;
}

static void turn(struct node *node)
{
    (void)event_base_loop(node->base, EVLOOP_ONCE);
}

static void open_node(struct node *node, const uint8_t seed[32])
{
    struct mesh_peer_options peers[NODES_MAX] = {0};
    struct mesh_options options = {.base = node->base,
                                   .committee = node->committee,
                                   .self = node->self,
                                   .peers = peers,
                                   .idle_us_max = 800000, /* so that pings are frequent */
                                   .on_frame = on_frame,
                                   .on_up = on_up,
                                   .on_down = on_down,
                                   .context = node};
    char error[200];

    memcpy(options.network_seed, seed, 32);
    snprintf(options.congestion, sizeof options.congestion, "%s", congestion);
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        struct sockaddr_in *in = (struct sockaddr_in *)&options.listen[link];
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    if (mesh_open(&node->mesh, &options, error, sizeof error) != OK) {
        fprintf(stderr, "mesh_bench: %s\n", error);
        _exit(1);
    }
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        mesh_get_address(&node->board->addresses[node->self][link], node->mesh,
                         (enum mesh_link)link);
    }
    atomic_fetch_add(&node->board->listening, 1);
}

/* Until every process has every link up. */
static void meet(struct node *node)
{
    uint64_t until_us = now_us() + START_US_MAX;
    struct timeval tick = {.tv_usec = LAUNCH_TICK_US};
    bool told = false;

    while (atomic_load(&node->board->listening) < nodes && now_us() < until_us) {
        usleep(LAUNCH_TICK_US);
    }
    for (authority_t peer = 0; peer < nodes; peer++) {
        if (peer == node->self) continue;
        for (uint32_t link = 0; link < MESH_LINKS; link++) {
            mesh_set_peer_address(node->mesh, peer, (enum mesh_link)link,
                                  &node->board->addresses[peer][link]);
        }
    }
    while (atomic_load(&node->board->up) < nodes) {
        event_base_once(node->base, -1, EV_TIMEOUT, on_wake, NULL, &tick);
        turn(node);
        if (!told && node->links_up == (nodes - 1) * MESH_LINKS) {
            told = true;
            atomic_fetch_add(&node->board->up, 1);
        }
        if (now_us() > until_us) {
            fprintf(stderr, "mesh_bench: node %u did not find the others\n", node->self);
            _exit(1);
        }
    }
}

static double cpu_us(const struct timeval *time)
{
    return (double)time->tv_sec * 1e6 + (double)time->tv_usec;
}

static double mean_rtt_us(const struct node *node)
{
    double sum = 0;

    for (authority_t peer = 0; peer < nodes; peer++) {
        struct mesh_peer_status status;
        if (peer == node->self) continue;
        mesh_get_peer(&status, node->mesh, peer);
        sum += status.rtt_us;
    }
    return sum / (nodes - 1);
}

static void measure(struct node *node)
{
    struct rusage before;
    struct rusage after;
    uint64_t bytes = node->bytes_in;
    uint64_t frames = node->frames_in;
    uint64_t began_us = now_us();
    struct result *result = &node->board->results[node->self];

    getrusage(RUSAGE_SELF, &before);
    while (now_us() - began_us < (uint64_t)seconds * 1000000) {
        turn(node);
    }
    getrusage(RUSAGE_SELF, &after);
    *result = (struct result){
        .cpu_user_us = cpu_us(&after.ru_utime) - cpu_us(&before.ru_utime),
        .cpu_system_us = cpu_us(&after.ru_stime) - cpu_us(&before.ru_stime),
        .seconds = (double)(now_us() - began_us) / 1e6,
        .bytes_in = node->bytes_in - bytes,
        .frames_in = node->frames_in - frames,
        .rtt_us = mean_rtt_us(node),
        .resident_kb = after.ru_maxrss,
    };
}

static void make_committee(struct committee *committee, uint8_t seeds[NODES_MAX][32])
{
    struct secret_key secret;

    *committee = (struct committee){.epoch = 1, .count = nodes};
    for (uint32_t i = 0; i < nodes; i++) {
        uint8_t seed[32] = {9, (uint8_t)i};
        memset(seeds[i], (int)(i + 1), 32);
        committee->members[i].stake = 1;
        crypto_key_pair(&committee->members[i].key, &secret, seed);
        crypto_key_pair(&committee->members[i].network_key, &secret, seeds[i]);
    }
    if (committee_finish(committee) != OK) abort();
}

/* A BATCH frame; what is in it costs the same whatever it is. */
static struct buffer *make_frame(void)
{
    struct buffer *frame = buffer_new(MESH_BODY + frame_bytes);
    struct writer writer =
        writer_make(frame->data + MESH_BODY - MESH_PREFIX_BYTES, MESH_PREFIX_BYTES + 1);

    memset(frame->data, 7, frame->capacity);
    writer_u32(&writer, frame_bytes);
    writer_u8(&writer, WIRE_BATCH);
    frame->begin = MESH_BODY - MESH_PREFIX_BYTES;
    frame->len = MESH_PREFIX_BYTES + frame_bytes;
    return frame;
}

static void run_node(struct board *board, authority_t self)
{
    static struct committee committee;
    uint8_t seeds[NODES_MAX][32];
    struct node node = {.board = board, .self = self, .sends = !one_way || self == 0};

    log_set_level(LOG_LEVEL_ERROR);
    make_committee(&committee, seeds);
    node.committee = &committee;
    node.base = event_base_new();
    node.frame = make_frame();
    node.feed_event = event_new(node.base, -1, EV_TIMEOUT, on_feed, &node);
    open_node(&node, seeds[self]);
    meet(&node);
    if (node.sends) on_feed(-1, 0, &node);
    measure(&node);
    _exit(0); /* the others may still measure: no goodbyes */
}

static void print_results(const struct board *board)
{
    double send_us = 0;
    double others_us = 0;
    double bytes = 0;
    double user_us = 0;
    double span = 0;
    long resident_kb = 0;
    double transactions = 0;
    double rtt_us = 0;

    for (uint32_t i = 0; i < nodes; i++) {
        const struct result *result = &board->results[i];
        double cpu = result->cpu_user_us + result->cpu_system_us;
        if (i == 0) send_us = cpu;
        if (i != 0) others_us += cpu;
        user_us += result->cpu_user_us;
        rtt_us += result->rtt_us / nodes;
        bytes += (double)result->bytes_in;
        span = result->seconds > span ? result->seconds : span;
        resident_kb = result->resident_kb > resident_kb ? result->resident_kb : resident_kb;
    }
    transactions = bytes / (nodes - 1) / TX_BYTES;
    printf("nodes %u, frame %u bytes, %.1f s%s\n", nodes, frame_bytes, span,
           one_way ? ", one way" : "");
    printf("received            %8.0f MB/s in all, %.0f tx/s to everyone\n", bytes / span / 1e6,
           transactions / span);
    printf("CPU                 %8.3f ms/MB received, %.2f us/tx, %.0f %% user\n",
           (send_us + others_us) / 1e3 / (bytes / 1e6), (send_us + others_us) / transactions,
           100 * user_us / (send_us + others_us));
    if (one_way) {
        printf("  sending           %8.3f ms/MB, %.2f us/tx\n", send_us / 1e3 / (bytes / 1e6),
               send_us / transactions);
        printf("  receiving         %8.3f ms/MB, %.2f us/tx\n", others_us / 1e3 / (bytes / 1e6),
               others_us / transactions);
    }
    printf("control round trip  %8.0f us, smoothed, mean\n", rtt_us);
    printf("largest node        %8.1f MB resident\n", (double)resident_kb / 1024);
}

static void usage(int code)
{
    fprintf(code == 0 ? stdout : stderr,
            "mesh_bench [--nodes 2..16] [--seconds S] [--frame BYTES] [--congestion NAME]\n"
            "           [--one-way]\n");
    exit(code);
}

static uint32_t number(const char *text, uint32_t min, uint32_t max)
{
    char *end = NULL;
    unsigned long value = text == NULL ? 0 : strtoul(text, &end, 10);

    if (text == NULL || *end != '\0' || value < min || value > max) usage(2);
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    struct board *board = NULL;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) usage(0);
        if (strcmp(argv[i], "--one-way") == 0) {
            one_way = true;
        } else if (strcmp(argv[i], "--nodes") == 0) {
            nodes = number(argv[++i], 2, NODES_MAX);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = number(argv[++i], 1, 60);
        } else if (strcmp(argv[i], "--congestion") == 0 && i + 1 < argc) {
            congestion = argv[++i];
        } else if (strcmp(argv[i], "--frame") == 0) {
            frame_bytes = number(argv[++i], 1, FRAME_BYTES_MAX);
        } else {
            usage(2);
        }
    }
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) return 1;
    for (uint32_t i = 0; i < nodes; i++) {
        pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) run_node(board, (authority_t)i);
    }
    for (uint32_t i = 0; i < nodes; i++) {
        int status = 0;
        if (wait(&status) < 0 || status != 0) failed = 1;
    }
    if (failed == 0) print_results(board);
    return failed;
}
