#include "consensus/node/api.h"

#include <signal.h>
#include <stdlib.h>

#include "common/log.h"
#include "consensus/node/api_internal.h"

/* Time that calls have to end by themselves before they are cancelled. */
#define CLOSE_GRACE_US 500000u

struct api_options api_options_default(void)
{
    return (struct api_options){
        .level = API_LEVEL_CERTIFIED,
        .batch_bytes = 240000,
        .batch_delay_us_min = 2000,
        .batch_delay_us_max = 25000,
        .export_stall_us = 30000000,
    };
}

/* ---- to the loop ----------------------------------------------------------------------------- */

void api_request(struct api *api, struct api_request *request)
{
    /* API_REQUESTS_MAX is the sum of what may be unanswered. */
    CHECK(mailbox_post(api->requests, request));
}

static void post_batch(void *context, struct api_request *request)
{
    api_request(context, request);
}

int api_fd(const struct api *api)
{
    return mailbox_fd(api->requests);
}

void api_drain_fd(struct api *api)
{
    mailbox_drain_fd(api->requests);
}

struct api_request *api_take(struct api *api)
{
    return mailbox_take(api->requests);
}

void api_request_free(struct api_request *request)
{
    if (request == NULL) return;
    buffer_unref(request->buffer);
    free(request);
}

/* ---- the gRPC thread ------------------------------------------------------------------------- */

void api_run_stop(struct api *api)
{
    if (api->stopping) return;
    api->stopping = true;
    intake_flush(api->intake);
    submit_stop(api);
    health_on_change(api);
}

void api_run_close(struct api *api)
{
    api_run_stop(api);
    api->closing = true;
    port_shutdown(&api->export_port);
    port_shutdown(&api->transactions_port);
}

static void publish_counters(struct api *api)
{
    struct intake_counters intake = intake_get_counters(api->intake);
    struct api_counters *counters = &api->counters;
    counters->transactions = intake.transactions;
    counters->transaction_bytes = intake.transaction_bytes;
    counters->batches = intake.batches;
    counters->bytes_in_flight = intake.bytes_in_flight;
    counters->tickets = intake.tickets;
    counters->exports = api->exports_count;
    uint64_t values[sizeof *counters / sizeof(uint64_t)];
    memcpy(values, counters, sizeof *counters);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        atomic_store_explicit(&api->published[i], values[i], memory_order_relaxed);
}

static uint64_t next_deadline_us(const struct api *api)
{
    uint64_t deadline_us = u64_min(intake_deadline_us(api->intake), exports_deadline_us(api));
    return u64_min(deadline_us, submit_deadline_us(api));
}

static void turn(struct api *api, uint64_t deadline_us)
{
    (void)queue_run(api->queue, deadline_us);
    api->now_us = queue_now_us();
    intake_tick(api->intake, api->now_us);
    exports_tick(api);
    submit_tick(api);
    submit_resume(api);
    publish_counters(api);
}

static bool ports_are_down(const struct api *api)
{
    return api->export_port.down && api->transactions_port.down &&
           api->export_port.calls_count == 0 && api->transactions_port.calls_count == 0 &&
           api->export_port.accepting == 0 && api->transactions_port.accepting == 0;
}

static void *run(void *context)
{
    struct api *api = context;
    while (!api->closing) {
        turn(api, next_deadline_us(api));
    }
    uint64_t cancel_us = api->now_us + CLOSE_GRACE_US;
    while (!ports_are_down(api)) {
        turn(api, cancel_us);
        if (api->now_us < cancel_us) continue;
        port_cancel(&api->export_port);
        port_cancel(&api->transactions_port);
        cancel_us = api->now_us + CLOSE_GRACE_US;
    }
    return NULL;
}

/* ---- the metrics ----------------------------------------------------------------------------- */

void api_get_counters(const struct api *api, struct api_counters *ret_counters)
{
    uint64_t values[sizeof *ret_counters / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        values[i] = atomic_load_explicit(&api->published[i], memory_order_relaxed);
    memcpy(ret_counters, values, sizeof values);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const struct method *const export_services[] = {exporter_methods, health_methods,
                                                       reflection_methods, NULL};
static const char *const export_names[] = {"exporter.Exporter", "grpc.health.v1.Health",
                                           "grpc.reflection.v1.ServerReflection",
                                           "grpc.reflection.v1alpha.ServerReflection", NULL};
static const struct method *const transactions_services[] = {transactions_methods, health_methods,
                                                             reflection_methods, NULL};
static const char *const transactions_names[] = {"narwhal.Transactions",
                                                 "dsn.Transactions",
                                                 "grpc.health.v1.Health",
                                                 "grpc.reflection.v1.ServerReflection",
                                                 "grpc.reflection.v1alpha.ServerReflection",
                                                 NULL};

/* Everything but the ports and the thread. */
static enum status prepare(struct api *api, const struct api_options *options)
{
    api->options = *options;
    if (api->options.export_stall_us == 0) api->options.export_stall_us = 30000000;
    link_init(&api->blocked);
    link_init(&api->slowed);
    link_init(&api->watchers);
    api->door = api_door_new(&options->access);
    if (options->access.tls != NULL) api->tls = api_tls_open(options->access.tls);
    api->options.access = (struct api_access){.tls = NULL}; /* borrowed no longer */
    exports_init(api);
    enum status status = intake_open(&api->intake, options, post_batch, api);
    if (status != OK) return status;
    status = mailbox_open(&api->requests, API_REQUESTS_MAX);
    if (status != OK) return status;
    api->queue = queue_open();
    api->now_us = queue_now_us();
    return OK;
}

/* A port that was opened, but without a thread that runs the queue. */
static void drop_port(struct api *api, struct port *port)
{
    if (port->server == NULL) return;
    api->closing = true;
    port_shutdown(port);
    while (!port->down || port->accepting > 0 || port->calls_count > 0)
        (void)queue_run(api->queue, UINT64_MAX);
}

static void destroy(struct api *api)
{
    port_close(&api->export_port);
    port_close(&api->transactions_port);
    queue_close(api->queue);
    if (api->requests != NULL) {
        struct api_request *request;
        while ((request = api_take(api)) != NULL)
            api_request_free(request);
    }
    mailbox_close(api->requests);
    intake_close(api->intake);
    api_door_free(api->door);
    api_tls_close(api->tls);
    free(api);
}

static enum status start_thread(struct api *api)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    bool started = pthread_create(&api->thread, NULL, run, api) == 0;
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (!started) return ERR_IO;
    (void)pthread_setname_np(api->thread, "grpc");
    return OK;
}

enum status api_open(struct api **ret_api, const struct api_options *options)
{
    struct api *api = calloc(1, sizeof *api);
    CHECK(api != NULL);
    enum status status = prepare(api, options);
    if (status == OK) {
        status = port_open(&api->export_port, api, options->export_address, export_services,
                           export_names);
    }
    if (status == OK) {
        status = port_open(&api->transactions_port, api, options->transactions_address,
                           transactions_services, transactions_names);
    }
    if (status == OK) status = start_thread(api);
    if (status != OK) {
        drop_port(api, &api->export_port);
        drop_port(api, &api->transactions_port);
        destroy(api);
        return status;
    }
    *ret_api = api;
    return OK;
}

uint16_t api_export_port(const struct api *api)
{
    return api->export_port.number;
}

uint16_t api_transactions_port(const struct api *api)
{
    return api->transactions_port.number;
}

void api_close(struct api *api)
{
    if (api == NULL) return;
    api_post_close(api);
    CHECK(pthread_join(api->thread, NULL) == 0);
    destroy(api);
}
