/* Submits numbered transactions "PREFIX-000000", "PREFIX-000001", .. and prints what became of each,
 * so that a test can look for exactly the acknowledged ones in the stream:
 *
 *     ok SEQUENCE LEVEL INDEX POSITION ENDPOINT
 *     failed SEQUENCE CODE ENDPOINT
 *
 * A few are on their way at any time, going round the endpoints; SIGTERM or --count ends it, once
 * the answers that are due have come. A failed one may be in the stream all the same: nobody
 * promised that it is not. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/config.h"
#include "proto/client.h"

#define SIZE_MAX_BYTES 65536u
#define ANSWER_MS      20000u

struct settings {
    struct config_list endpoint;
    char *prefix;
    uint32_t level;
    uint32_t window;
    uint64_t interval;
    uint64_t count;
    uint64_t size;
};

#define FIELD(member) .offset = offsetof(struct settings, member)

static const char *const levels[] = {"default", "accepted", "certified", "committed", NULL};

static const struct config_field fields[] = {
    {"endpoint", CONFIG_LIST, FIELD(endpoint), NULL, 0, 0, NULL, "transaction ports", 'e'},
    {"prefix", CONFIG_STRING, FIELD(prefix), "t", 0, 0, NULL, "how every transaction begins", 'p'},
    {"level", CONFIG_CHOICE, FIELD(level), "committed", 0, 0, levels, "what to wait for", 'l'},
    {"window", CONFIG_U32, FIELD(window), "8", 1, 1000, NULL, "on their way at once", 'w'},
    {"interval", CONFIG_DURATION, FIELD(interval), "1ms", 0, 0, NULL, "least time between two", 0},
    {"count", CONFIG_U64, FIELD(count), "0", 0, 0, NULL, "stop after so many; 0: never", 'n'},
    {"size", CONFIG_SIZE, FIELD(size), "64", 32, SIZE_MAX_BYTES, NULL, "bytes of each", 's'},
};

static const struct config_program program = {
    .name = "cluster_submit",
    .about = "Submits numbered transactions and prints what became of each.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

struct submitter {
    struct settings settings;
    struct client *client;
    struct client_channel *channels[CONFIG_LIST_MAX];
    uint64_t next;
    uint32_t outstanding;
    uint64_t sent_us;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static bool is_sending(const struct submitter *submitter)
{
    return !interrupted &&
           (submitter->settings.count == 0 || submitter->next < submitter->settings.count);
}

static void send_one(struct submitter *submitter)
{
    static uint8_t transaction[SIZE_MAX_BYTES];
    const struct settings *settings = &submitter->settings;
    char text[128];
    uint64_t number = submitter->next;
    struct client_channel *channel = submitter->channels[number % settings->endpoint.count];
    int len = snprintf(text, sizeof text, "%s-%06" PRIu64 " ", settings->prefix, number);

    CHECK(len > 0 && (size_t)len < sizeof text);
    memset(transaction, '.', settings->size);
    memcpy(transaction, text, u64_min((uint64_t)len, settings->size));
    if (client_submit(channel, (enum client_level)settings->level, transaction, settings->size,
                      ANSWER_MS, (void *)(uintptr_t)number) != OK)
        return;
    submitter->next++;
    submitter->outstanding++;
    submitter->sent_us = now_us();
}

static void take_answer(struct submitter *submitter, const struct client_event *event)
{
    uint64_t number = (uint64_t)(uintptr_t)event->user;
    const struct config_list *endpoints = &submitter->settings.endpoint;
    const char *endpoint = endpoints->items[number % endpoints->count];

    if (event->kind != CLIENT_EVENT_SUBMITTED) return;
    submitter->outstanding--;
    if (event->code == CLIENT_OK)
        printf("ok %" PRIu64 " %s %" PRIu64 " %" PRIu32 " %s\n", number, levels[event->level],
               event->index, event->position, endpoint);
    else
        printf("failed %" PRIu64 " %s %s\n", number, client_code_text(event->code), endpoint);
}

static void run(struct submitter *submitter)
{
    const struct settings *settings = &submitter->settings;

    while (is_sending(submitter) || submitter->outstanding > 0) {
        uint64_t due = submitter->sent_us + settings->interval;
        struct client_event *event;
        if (is_sending(submitter) && submitter->outstanding < settings->window && now_us() >= due)
            send_one(submitter);
        event = client_wait(submitter->client, 1);
        if (event != NULL) take_answer(submitter, event);
        client_event_free(submitter->client, event);
    }
}

int main(int argc, char **argv)
{
    static struct submitter submitter;
    struct sigaction action = {.sa_handler = on_signal};
    struct config_list *endpoints = &submitter.settings.endpoint;
    int code = config_start(&submitter.settings, NULL, &program, argc, argv);

    if (code != CONFIG_RUN) return code;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(client_open(&submitter.client, 0) == OK);
    for (size_t i = 0; i < endpoints->count; i++)
        CHECK(client_channel_open(&submitter.channels[i], submitter.client, endpoints->items[i]) ==
              OK);
    run(&submitter);
    for (size_t i = 0; i < endpoints->count; i++)
        client_channel_close(submitter.channels[i]);
    client_close(submitter.client);
    config_free(&submitter.settings, &program);
    return EXIT_SUCCESS;
}
