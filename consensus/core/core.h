/* The deterministic node: everything that decides, nothing that does.
 *
 *     event --> core_step --> ordered actions --> the driver performs them
 *
 * One node's consensus is a function of its options, its recovered records and its sequence of
 * events: no clock, socket, file, thread, global or allocation in a step (checked with `nm`). The
 * driver of a real node (consensus/node) and the simulator's (tests/sim) run the same code.
 *
 * The order of the actions is the durability contract: nothing may leave the machine before every
 * PERSIST ahead of it in the list is durable. A driver may group the persists of several steps into
 * one synced write, as long as it holds back everything after them until that write is done.
 *
 * Bad input from a peer never fails a step: it is counted by reason and dropped. What only our own
 * bug can break is a CHECK.
 *
 * Payload bytes do not travel through the core. Batches are known by digest, worker, size and
 * number of transactions; the driver stores them, sends them in bulk, and fetches them when told
 * to.
 *
 * Rules: CONSENSUS (docs/protocol.md, consensus). */
#ifndef CONSENSUS_CORE_CORE_H
#define CONSENSUS_CORE_CORE_H

#include "common/committee.h"
#include "common/preblock.h"
#include "common/types.h"

struct core;

/* ---- options --------------------------------------------------------------------------------- */

/* All times in microseconds. Defaults: core_parameters_default(). */
struct core_parameters {
    uint32_t stride;              /* 2: Bullshark; 1: an anchor in every round (Shoal) */
    bool fast;                    /* also commit on Q first headers (Shoal++) */
    uint64_t header_delay_us_min; /* least time between two own headers */
    uint64_t
        header_delay_us_max; /* longest wait for anchors and stragglers once a quorum is there */
    uint64_t anchor_wait_us_min; /* least adaptive wait for the certificates beyond the quorum */
    uint64_t idle_delay_us;      /* an idle node proposes this often */
    uint64_t retry_delay_us;     /* first retransmission delay; doubles up to 5 s */
    uint64_t batch_fetch_us; /* a batch is fetched at the latest this long after it was missed */
    uint64_t clock_tolerance_ms; /* headers further in the future than this wait */
};

struct core_parameters core_parameters_default(void);

/* One line of the core's own trace: a decision in plain numbers, rendered by core_trace_text. */
struct core_trace;
typedef void core_tracer(void *context, const struct core_trace *trace);

struct core_options {
    const struct committee *committee; /* outlives the core */
    authority_t self;
    struct secret_key key;
    struct core_parameters parameters;
    bool rejoin; /* the store was lost: sign nothing until the floor is known (CONSENSUS 3) */
    core_tracer *tracer; /* may be NULL */
    void *tracer_context;
};

/* ---- storage as the core sees it ------------------------------------------------------------- */

/* Tables of the metadata store. Keys are fixed-width and big-endian, so that key order is round and
 * index order. Values are in consensus/core/records.h. */
enum core_table {
    TABLE_META,                  /* name (ASCII) -> value */
    TABLE_CHECKPOINTS,           /* sequence u64 -> checkpoint | quorum, empty when only signed */
    TABLE_ORDERING,              /* sequence u64 -> ordering record */
    TABLE_PREBLOCKS,             /* index u64 -> pre-block record */
    TABLE_PREBLOCK_CERTIFICATES, /* index u64 -> quorum */
    TABLE_ATTESTATIONS,          /* index u64 -> digest signed */
    TABLE_CERTIFICATES,          /* round u64 | author u16 -> flag u8 | certificate */
    TABLE_OWN_HEADERS,           /* round u64 -> header | signature */
    TABLE_HEADERS,               /* round u64 | author u16 | digest 32 -> header | signature */
    TABLE_VOTES,                 /* round u64 | author u16 -> header digest */
    TABLE_EXECUTED,              /* batch digest -> index u64 of the pre-block that executed it */
    TABLE_EVIDENCE,              /* round u64 | author u16 -> two conflicting signed headers */
    CORE_TABLES
};

#define CORE_KEY_BYTES_MAX 64u

/* ---- events ---------------------------------------------------------------------------------- */

enum core_event_kind {
    CORE_EVENT_START,   /* every record was recovered; begin (or begin to rejoin) */
    CORE_EVENT_TIMER,   /* core_deadline_us() has come */
    CORE_EVENT_MESSAGE, /* a frame body from a peer's control link, or NO_BATCH from its bulk link */
    CORE_EVENT_PEER_UP,      /* a peer's control link came up */
    CORE_EVENT_PEER_DOWN,    /* it went down */
    CORE_EVENT_BATCH_STORED, /* a batch is durable here: own, received, fetched, or found in the log
                              */
    CORE_EVENT_BATCH_LOST,   /* a stored batch has rotted, and no peer has it */
};

struct core_event {
    enum core_event_kind kind;
    uint64_t now_us;      /* monotonic clock; never goes back */
    uint64_t wall_ms;     /* wall clock, ms since the Unix epoch; may jump */
    authority_t peer;     /* MESSAGE, PEER_UP, PEER_DOWN: who; BATCH_STORED: the batch's author */
    struct bytes message; /* MESSAGE; alive until the step returns */
    struct {              /* BATCH_STORED; BATCH_LOST: the digest */
        struct digest digest;
        uint32_t worker;
        uint32_t bytes;        /* canonical size */
        uint32_t transactions; /* counted by the driver with batch_validate */
        uint64_t created_at;   /* ms; an author's bulk stream carries ascending values */
        bool streamed;         /* came on its author's bulk stream (not fetched, not found) */
        bool executed;         /* found, and TABLE_EXECUTED has it: some kept pre-block did */
    } batch;
};

/* ---- actions --------------------------------------------------------------------------------- */

enum core_action_kind {
    CORE_ACTION_PERSIST,            /* put key -> value in table */
    CORE_ACTION_ERASE,              /* delete key; same durability as a PERSIST */
    CORE_ACTION_ERASE_BELOW,        /* delete every key of table below `key` */
    CORE_ACTION_SEND,               /* message to peer on its control link */
    CORE_ACTION_BROADCAST,          /* message to every other member */
    CORE_ACTION_SERVE_CERTIFICATES, /* answer peer from TABLE_CERTIFICATES: `refs` */
    CORE_ACTION_SERVE_RANGE,   /* answer peer with certificates of rounds > `round`, ascending */
    CORE_ACTION_SERVE_HEADER,  /* answer peer with `refs[0]` from TABLE_HEADERS */
    CORE_ACTION_SERVE_RECORDS, /* answer peer with ordering record `index` from byte `offset` on, and
                                  those before it (wire_record_body) */
    CORE_ACTION_LOOK_UP_BATCH,     /* is `digest` in the local batch log? then BATCH_STORED */
    CORE_ACTION_FETCH_BATCH,       /* ask peer's bulk link for `digest` */
    CORE_ACTION_ACKNOWLEDGE_BATCH, /* tell the author `peer` that `digest` is durable here */
    CORE_ACTION_BATCH_CERTIFIED,   /* own batch `digest` is in a certified header, durable here */
    CORE_ACTION_BATCH_DROPPED, /* nothing live names `digest`: forget it, if it is not executed */
    CORE_ACTION_DELIVER,       /* pre-block `index`, made and durable: `record` */
    CORE_ACTION_CERTIFY,       /* pre-block `index` has its certificate: `message` is the quorum */
    CORE_ACTION_READY,         /* rejoin or first sync is over */
    CORE_ACTION_RESTART,  /* the store holds another history now, from a checkpoint: when that is
                            durable, build the core anew from it, as after a start */
    CORE_ACTION_CUT_PEER, /* a peer's own link carried a bad signature: close it */
    CORE_ACTION_ALARM,    /* `reason`: stop the process; something impossible was seen */
};

/* A vertex by name. */
struct vertex_ref {
    round_t round;
    authority_t author;
    struct digest digest;
};

/* Memory of every pointer belongs to the core and is valid until the next step. */
struct core_action {
    enum core_action_kind kind;
    authority_t peer;
    enum core_table table;
    struct bytes key;
    struct bytes value;
    struct bytes message; /* SEND, BROADCAST: a frame body for consensus/core/wire.h */
    struct digest digest;
    uint32_t worker;
    round_t round;
    uint64_t index;
    uint32_t offset; /* SERVE_RECORDS */
    const struct vertex_ref *refs;
    size_t refs_count;
    const struct preblock *preblock; /* DELIVER: the header; its record is the PERSIST before it */
    struct bytes record;             /* DELIVER: bytes of the pre-block record */
    const char *reason;              /* ALARM */
};

struct core_actions {
    const struct core_action *items;
    size_t count;
};

/* ---- life ------------------------------------------------------------------------------------ */

/* Bytes of memory a core with these options needs. */
size_t core_bytes(const struct core_options *options);

/* Builds a core in `memory`: core_bytes(options) bytes, 64-byte aligned, ZERO-FILLED (fresh from
 * mmap or calloc; most of it is never touched), owned by the caller. ERR_CONFIG when self is not a
 * member or the key is not that member's. Nothing to close. */
enum status core_init(struct core **ret_core, void *memory, const struct core_options *options);

/* Recovery, before START: for each table in enum order, the driver asks where to begin and then
 * feeds every record from there on in key order. `ret_key` takes CORE_KEY_BYTES_MAX bytes; returns
 * the length of the first key wanted, 0 for all, or SIZE_MAX when nothing of the table is wanted.
 */
size_t core_recover_first(const struct core *core, enum core_table table, uint8_t *ret_key);

/* Takes one recovered record. ERR_CORRUPT: the store must not be used. */
enum status core_recover(struct core *core,
                         enum core_table table,
                         struct bytes key,
                         struct bytes value);

/* One event in, the ordered actions out. The actions are valid until the next call. */
struct core_actions core_step(struct core *core, const struct core_event *event);

/* When the core wants a TIMER event, on the clock of core_event.now_us; UINT64_MAX: never. May be
 * in the past: then there is more work to do right now (a long catch-up is cut into several steps).
 */
uint64_t core_deadline_us(const struct core *core);

/* Walks every cross-module invariant; a broken one is a failed CHECK. */
void core_check(const struct core *core);

/* ---- looking in ------------------------------------------------------------------------------ */

/* Why peers' input was refused; counted per reason. */
#define CORE_REFUSAL_TABLE(X) \
    X(MALFORMED)              \
    X(UNKNOWN_KIND)           \
    X(UNKNOWN_AUTHORITY)      \
    X(EPOCH)                  \
    X(SIGNATURE)              \
    X(DUPLICATE)              \
    X(STALE)                  \
    X(AHEAD)                  \
    X(PARENTS)                \
    X(TIMESTAMP)              \
    X(EQUIVOCATION)           \
    X(UNSOLICITED)            \
    X(FULL)
enum core_refusal {
#define CORE_REFUSAL_ENUM(name) REFUSED_##name,
    CORE_REFUSAL_TABLE(CORE_REFUSAL_ENUM)
#undef CORE_REFUSAL_ENUM
        CORE_REFUSALS
};

struct core_status {
    round_t round;        /* of the newest own header */
    round_t quorum_round; /* highest round with a certificate quorum in the DAG */
    round_t anchor_round; /* last ordered anchor, p */
    round_t gc_round;
    round_t floor;              /* nothing is signed at or below it (rejoin) */
    round_t peer_round;         /* highest certified round a peer has claimed or shown */
    uint64_t ordering_sequence; /* ordering records made */
    uint64_t preblock_index;    /* last pre-block made */
    uint64_t certified_index;   /* last pre-block with a certificate */
    uint64_t network_index;   /* last one that peers of stake V claim to have made, or a certificate
                                   names; at least preblock_index */
    uint64_t checkpoint;      /* ordering sequence of the newest final checkpoint; 0: none */
    uint64_t skipped_anchors; /* since start */
    uint64_t direct_commits;  /* by certified children, since start */
    uint64_t fast_commits;    /* by first headers, since start */
    uint64_t indirect_commits; /* since start */
    uint64_t certificates;     /* accepted into the DAG since start */
    uint64_t suspended;        /* certificates waiting for parents now */
    uint64_t missing_batches;  /* batches that a pre-block waits for now */
    uint64_t unnamed_bytes;    /* own batches not yet named, bytes */
    uint64_t unordered_bytes;  /* own payload certified but not ordered, bytes */
    uint64_t refusals[CORE_REFUSALS];
    bool ready;
    bool syncing;
};

void core_get_status(const struct core *core, struct core_status *ret_status);

/* True while own unordered payload is over its bound: the worker should seal larger batches and
 * slow its intake. */
bool core_is_pressed(const struct core *core);

/* True while the bulk link from `author` should not be read: UNNAMED_BATCH_BYTES_MAX of its batches are
 * held that no header names yet. */
bool core_is_full(const struct core *core, authority_t author);

/* ---- trace ----------------------------------------------------------------------------------- */

#define CORE_TRACE_TABLE(X)                      \
    X(PROPOSED, "proposed header")               \
    X(VOTED, "voted for")                        \
    X(CERTIFIED, "certified")                    \
    X(SUSPENDED, "suspended")                    \
    X(ANCHOR_DIRECT, "anchor direct")            \
    X(ANCHOR_FAST, "anchor fast")                \
    X(ANCHOR_INDIRECT, "anchor indirect")        \
    X(ANCHOR_SKIPPED, "anchor skipped")          \
    X(ORDERED, "ordered anchor")                 \
    X(PREBLOCK, "pre-block")                     \
    X(PREBLOCK_CERTIFIED, "pre-block certified") \
    X(EQUIVOCATION, "equivocation by")           \
    X(SYNC, "range sync from")                   \
    X(FETCH, "fetch batch from")                 \
    X(REFUSED, "refused message from")           \
    X(REJOINED, "rejoined above")                \
    X(CHECKPOINT, "checkpoint final")            \
    X(RESTORED, "starts again from checkpoint")
enum core_trace_kind {
#define CORE_TRACE_ENUM(name, text) TRACE_##name,
    CORE_TRACE_TABLE(CORE_TRACE_ENUM)
#undef CORE_TRACE_ENUM
        CORE_TRACES
};

struct core_trace {
    enum core_trace_kind kind;
    uint64_t now_us;
    authority_t author;
    round_t round;
    uint64_t value; /* index, stake, count or reason, by kind */
    struct digest digest;
};

/* Renders a trace as one stable line without newline, NUL-terminated, at most `len` bytes: time in
 * ms, words of CORE_TRACE_TABLE, author@round, value, first 8 hex digits of the digest. */
void core_trace_text(char *ret, size_t len, const struct core_trace *trace);

#endif
