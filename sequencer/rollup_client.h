/* The sequencer's side of octez-smart-rollup-node's RPC, which dsn-rollup serves too. Calls are asynchronous on one
 * event loop and end with exactly one callback, at the latest when the client is closed.
 *
 * Used, and nothing else: global/smart_rollup_address, global/monitor_blocks (a stream; while it is down
 * global/block/head/hash and /level are polled), global/block/{id}/durable/wasm_2_0_0/{value,subkeys}, version,
 * local/batcher/injection, local/batcher/queue/{id}. State comes from one node, the batcher may be another. */
#ifndef SEQUENCER_ROLLUP_CLIENT_H
#define SEQUENCER_ROLLUP_CLIENT_H

#include "common/address.h"
#include "sequencer/rollup_answer.h"

struct event_base;
struct tls_roots;
struct rollup_client;

struct rollup_client_options {
    struct address node;
    struct address batcher;
    const struct tls_roots *node_tls; /* NULL: plain HTTP; outlives the client */
    const struct tls_roots *batcher_tls;

    /* A new head, from the stream or from polling. */
    void (*on_head)(void *context, int32_t level, const char *hash);
    void *context;
};

/* Begins to follow heads. Never NULL. */
struct rollup_client *rollup_client_open(struct event_base *base,
                                         const struct rollup_client_options *options);

/* Calls under way fail; their callbacks must not begin new ones. NULL is fine. */
void rollup_client_close(struct rollup_client *client);

/* True while the last contact with the node was good. */
bool rollup_client_is_up(const struct rollup_client *client);

/* `json` lives during the callback; NULL when there is no answer of status 200, and then `failure` is a line. */
typedef void rollup_done(void *context, const json_t *json, const char *failure);

void rollup_get(struct rollup_client *client,
                rollup_done *done,
                void *context,
                const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* Durable storage at a block: a string of hex or null; an array of names. */
void rollup_get_value(struct rollup_client *client,
                      rollup_done *done,
                      void *context,
                      const char *block,
                      const char *path);
void rollup_get_subkeys(struct rollup_client *client,
                        rollup_done *done,
                        void *context,
                        const char *block,
                        const char *path);

/* POST of an array of hex strings; answers with an array of ids. */
void rollup_inject(struct rollup_client *client,
                   rollup_done *done,
                   void *context,
                   const json_t *messages,
                   bool drop_duplicate);

/* Status of an injected message, at the batcher. */
void rollup_get_message(struct rollup_client *client,
                        rollup_done *done,
                        void *context,
                        const char *id);

#endif
