/* Answers that peers want from the metadata store: certificates by name, certificates by range,
 * headers. The core decides who is answered what (CORE_ACTION_SERVE_*); here the rows are read by
 * the storage thread and sent. At most SERVE_MAX reads for one peer at a time: a peer that asks for
 * more is not answered and asks again by its own timers. Loop thread only. */
#ifndef CONSENSUS_NODE_SERVE_H
#define CONSENSUS_NODE_SERVE_H

#include "consensus/core/core.h"
#include "consensus/node/mesh.h"
#include "consensus/node/storage.h"

#define SERVE_MAX 8u

struct serve;

/* Never NULL. */
struct serve *serve_open(struct mesh *mesh,
                         struct storage_client *storage,
                         const struct committee *committee,
                         authority_t self);
void serve_close(struct serve *serve); /* NULL is fine */

/* A CORE_ACTION_SERVE_CERTIFICATES, _RANGE or _HEADER. */
void serve_begin(struct serve *serve, const struct core_action *action);

/* The answer of the storage thread to a READ_ROWS or SCAN_ROWS begun here. Takes it over. */
enum status serve_completed(struct serve *serve, struct storage_request *request);

#endif
