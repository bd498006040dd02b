/* What taking transactions in costs: the real gRPC server in a process of its own, with a loop side
 * that acknowledges every batch at once and keeps nothing, fed by our client over loopback. Prints
 * the server's and the client's CPU time per transaction, from getrusage. Not part of the tests.
 *
 *   api_bench [SECONDS [TRANSACTIONS_PER_MESSAGE [BYTES [CONNECTIONS]]]]
 *
 * 0 transactions per message: unary calls, 256 at a time; 1: a stream of single transactions. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/batch.h"
#include "consensus/node/api.h"
#include "proto/client.h"
#include "proto/queue.h"

#define UNARY_IN_FLIGHT 256u
#define CONNECTIONS_MAX 16u

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* The server's process: writes its port to `fd`, ends on SIGTERM. */
static void serve(int fd)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    struct api_options options = api_options_default();
    options.export_address = "127.0.0.1:0";
    options.transactions_address = "127.0.0.1:0";
    struct api *api;
    CHECK(api_open(&api, &options) == OK);
    api_set_ready(api, true);
    uint16_t port = api_transactions_port(api);
    CHECK(write(fd, &port, sizeof port) == sizeof port);
    struct digest digest = {{0}};
    uint64_t index = 0;
    while (!stopped) {
        struct pollfd poll_fd = {.fd = api_fd(api), .events = POLLIN};
        (void)poll(&poll_fd, 1, 100);
        api_drain_fd(api);
        struct api_request *request;
        while ((request = api_take(api)) != NULL) {
            if (request->kind == API_REQUEST_BATCH)
                api_post_committed(api, request->ticket, &digest, ++index, 0);
            api_request_free(request);
        }
    }
    struct api_counters counters;
    api_get_counters(api, &counters);
    api_close(api);
    (void)printf("%llu transactions in %llu batches\n", (unsigned long long)counters.transactions,
                 (unsigned long long)counters.batches);
    (void)fflush(stdout);
    _exit(0);
}

static double seconds_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

struct load {
    struct client *client;
    struct client_channel *channels[CONNECTIONS_MAX];
    struct client_stream *streams[CONNECTIONS_MAX];
    uint32_t connections;
    uint32_t per_message;
    size_t bytes;
    struct writer message;
    uint64_t sent;
};

static void run_unary(struct load *load, uint64_t end_us)
{
    uint32_t in_flight = 0;
    while (queue_now_us() < end_us || in_flight > 0) {
        while (in_flight < UNARY_IN_FLIGHT && queue_now_us() < end_us) {
            struct client_channel *channel = load->channels[load->sent % load->connections];
            CHECK(client_submit(channel, CLIENT_LEVEL_PLAIN, load->message.data, load->bytes, 30000,
                                NULL) == OK);
            in_flight++;
            load->sent++;
        }
        struct client_event *event = client_wait(load->client, 1000);
        while (event != NULL) {
            CHECK(event->code == CLIENT_OK);
            in_flight--;
            client_event_free(load->client, event);
            event = client_take(load->client);
        }
    }
}

static void run_streams(struct load *load, uint64_t end_us)
{
    enum client_stream_kind kind =
        load->per_message == 1 ? CLIENT_STREAM_SINGLE : CLIENT_STREAM_BATCHED;
    for (uint32_t i = 0; i < load->connections; i++)
        CHECK(client_stream_open(&load->streams[i], load->channels[i], kind, 1u << 20, 0, NULL) ==
              OK);
    size_t len = kind == CLIENT_STREAM_SINGLE ? load->bytes : load->message.len;
    while (queue_now_us() < end_us) {
        bool any = false;
        for (uint32_t i = 0; i < load->connections; i++) {
            if (client_stream_send(load->streams[i], load->message.data, len) != OK) continue;
            load->sent += load->per_message;
            any = true;
        }
        if (any) continue;
        client_event_free(load->client, client_wait(load->client, 100));
    }
    for (uint32_t i = 0; i < load->connections; i++)
        client_stream_finish(load->streams[i]);
    for (uint32_t done = 0; done < load->connections;) {
        struct client_event *event = client_wait(load->client, 30000);
        CHECK(event != NULL);
        if (event->kind == CLIENT_EVENT_STREAM_DONE) {
            CHECK(event->code == CLIENT_OK);
            done++;
        }
        client_event_free(load->client, event);
    }
}

static unsigned long number(int argc, char **argv, int index, unsigned long otherwise)
{
    return argc > index ? strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    unsigned long seconds = number(argc, argv, 1, 5);
    struct load load = {
        .per_message = (uint32_t)number(argc, argv, 2, 100),
        .bytes = number(argc, argv, 3, 512),
        .connections = (uint32_t)number(argc, argv, 4, 1),
    };
    if (load.connections == 0 || load.connections > CONNECTIONS_MAX || load.bytes == 0 ||
        load.bytes > TRANSACTION_BYTES_MAX) {
        (void)fputs("api_bench: bad arguments\n", stderr);
        return 2;
    }
    int pipe_fds[2];
    CHECK(pipe(pipe_fds) == 0);
    pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0) serve(pipe_fds[1]);
    uint16_t port;
    CHECK(read(pipe_fds[0], &port, sizeof port) == sizeof port);

    CHECK(client_open(&load.client, UNARY_IN_FLIGHT) == OK);
    char url[64];
    (void)snprintf(url, sizeof url, "127.0.0.1:%u", port);
    for (uint32_t i = 0; i < load.connections; i++)
        CHECK(client_channel_open(&load.channels[i], load.client, url) == OK);
    uint32_t count = load.per_message > 1 ? load.per_message : 1;
    size_t capacity = count * batch_entry_bytes(load.bytes);
    load.message = writer_make(calloc(1, capacity + load.bytes), capacity + load.bytes);
    uint8_t *transaction = calloc(1, load.bytes);
    for (uint32_t i = 0; i < count; i++)
        batch_append(&load.message, transaction, load.bytes);

    uint64_t start_us = queue_now_us();
    if (load.per_message == 0) run_unary(&load, start_us + seconds * 1000000);
    if (load.per_message > 0) run_streams(&load, start_us + seconds * 1000000);
    double elapsed = (double)(queue_now_us() - start_us) / 1e6;
    for (uint32_t i = 0; i < load.connections; i++)
        client_channel_close(load.channels[i]);
    client_close(load.client);

    struct rusage mine;
    struct rusage theirs;
    int code;
    CHECK(kill(server, SIGTERM) == 0);
    CHECK(wait4(server, &code, 0, &theirs) == server);
    CHECK(getrusage(RUSAGE_SELF, &mine) == 0);
    (void)printf("%.0f transactions/s, CPU us each: server %.3f client %.3f, server RSS %ld KB\n",
                 (double)load.sent / elapsed, seconds_of(&theirs) * 1e6 / (double)load.sent,
                 seconds_of(&mine) * 1e6 / (double)load.sent, theirs.ru_maxrss);
    free(load.message.data);
    free(transaction);
    return code == 0 ? 0 : 1;
}
