/* A gRPC server over memory and a client of it, for tests in one thread: whoever waits for the
 * client's events runs the loop side meanwhile, for at most 20 s. Failures are cmocka's. */
#ifndef TESTS_UNIT_API_WORLD_H
#define TESTS_UNIT_API_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "proto/client.h"
#include "proto/queue.h"
#include "tests/interop/memory_loop.h"

#define PATIENCE_US 20000000u

struct world {
    struct api *api;
    struct memory_loop *loop;
    struct client *client;
    struct client_channel *transactions;
    struct client_channel *exports;
    uint16_t export_port;
    uint16_t transactions_port;
};

/* `adjust` may be NULL. */
struct world open_world(void (*adjust)(struct api_options *options));

/* The same with a client that uses `scheme` ("http", "https"), trusts `roots` and has a token; both
 * may be NULL. */
struct world open_world_as(void (*adjust)(struct api_options *options),
                           const char *scheme,
                           const struct tls_roots *roots,
                           const char *token);

/* Gives the world another client; the old one is closed. */
void change_client(struct world *world,
                   const char *scheme,
                   const struct tls_roots *roots,
                   const char *token);
void close_world(struct world *world);

/* The server again, on the same ports, after api_close; with the same loop side. */
void reopen_api(struct world *world);

/* The next event of the client. */
struct client_event *next_event(struct world *world);

/* The next event, which must be of this kind and code, and have `part` in its text. */
struct client_event *expect(struct world *world, enum client_event_kind kind, int code);
void expect_and_free(struct world *world, enum client_event_kind kind, int code);
void expect_text(struct world *world, enum client_event_kind kind, int code, const char *part);

struct api_counters api_counters_of(const struct world *world);

/* Runs the loop side until a condition on the server's counters holds. */
void run_until(struct world *world, bool (*holds)(const struct api_counters *counters));

void submit(struct world *world, enum client_level level, const char *text);

/* A batch message of `count` transactions of `len` bytes; free(data). */
struct writer make_batch(uint32_t count, size_t len);

#endif
