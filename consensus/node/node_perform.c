#include "common/log.h"
#include "consensus/core/records.h"
#include "consensus/core/wire.h"
#include "consensus/node/node_internal.h"

void node_send(struct node *node, const struct core_action *action, struct buffer *frame)
{
    if (action->kind == CORE_ACTION_SEND)
        (void)mesh_send(node->mesh, action->peer, MESH_CONTROL, frame);
    else
        mesh_broadcast(node->mesh, MESH_CONTROL, frame);
}

static void perform_send(struct node *node, const struct core_action *action)
{
    struct buffer *frame = buffer_frame(action->message);
    node_send(node, action, frame);
    buffer_unref(frame);
}

static void perform_acknowledge(struct node *node, const struct core_action *action)
{
    uint8_t memory[64];
    struct writer writer = writer_make(memory, sizeof memory);
    struct buffer *frame;

    writer_u8(&writer, WIRE_BATCH_ACK);
    writer_copy(&writer, action->digest.bytes, sizeof action->digest.bytes);
    frame = buffer_frame(writer_view(&writer));
    (void)mesh_send(node->mesh, action->peer, MESH_CONTROL, frame);
    buffer_unref(frame);
}

static void perform_deliver(struct node *node, const struct core_action *action)
{
    struct preblock_record record;

    CHECK(preblock_record_open(&record, action->record) == OK);
    CHECK(record.header.index == action->index);
    worker_delivered(node->worker, &record);
    exports_made(node->exports, action->index);
}

static void perform_ready(struct node *node)
{
    if (node->ready) return;
    node->ready = true;
    api_set_ready(node->api, true);
    (void)node_readiness(node);
    log_info("node: ready");
}

void node_perform(struct node *node, const struct core_action *action)
{
    switch (action->kind) {
    case CORE_ACTION_PERSIST:
    case CORE_ACTION_ERASE:
    case CORE_ACTION_ERASE_BELOW:
        CHECK(false); /* node_feed puts these into the batch */
    case CORE_ACTION_SEND:
    case CORE_ACTION_BROADCAST:
        perform_send(node, action);
        break;
    case CORE_ACTION_SERVE_CERTIFICATES:
    case CORE_ACTION_SERVE_RANGE:
    case CORE_ACTION_SERVE_HEADER:
    case CORE_ACTION_SERVE_RECORDS:
        serve_begin(node->serve, action);
        break;
    case CORE_ACTION_LOOK_UP_BATCH:
        worker_look_up(node->worker, &action->digest);
        break;
    case CORE_ACTION_FETCH_BATCH:
        worker_fetch(node->worker, action->peer, &action->digest, action->worker);
        break;
    case CORE_ACTION_ACKNOWLEDGE_BATCH:
        perform_acknowledge(node, action);
        break;
    case CORE_ACTION_BATCH_CERTIFIED:
        worker_certified(node->worker, &action->digest);
        break;
    case CORE_ACTION_BATCH_DROPPED:
        worker_dropped(node->worker, &action->digest);
        break;
    case CORE_ACTION_DELIVER:
        perform_deliver(node, action);
        break;
    case CORE_ACTION_CERTIFY:
        exports_certified(node->exports, action->index);
        break;
    case CORE_ACTION_READY:
        perform_ready(node);
        break;
    case CORE_ACTION_RESTART:
        node->restarts = true;
        node_stop(node, OK, "the store begins with a checkpoint now, starting again from it");
        break;
    case CORE_ACTION_CUT_PEER:
        mesh_cut(node->mesh, action->peer, MESH_CONTROL, "bad signature on its own link");
        break;
    case CORE_ACTION_ALARM:
        node_stop(node, ERR_CONFLICT, action->reason);
        break;
    }
}
