#include "rollup-kernel/kernel/inbox.h"

#include "rollup-kernel/kernel/apply.h"
#include "rollup-kernel/kernel/config.h"
#include "rollup-kernel/kernel/host.h"
#include "rollup-kernel/kernel/pages.h"
#include "rollup-kernel/kernel/storage.h"
#include "rollup-kernel/kernel/verify.h"

#define MESSAGE_EXTERNAL 1u
#define FRAME_TARGETTED  0u
#define TAG_SEGMENT      1u
#define TAG_PAGE         2u

/* Kind, frame and address: what comes before the tag. */
#define FRAME_BYTES (2u + HOST_ADDRESS_BYTES)

/* Entries begin on multiples of this, the first one not at 0, which means "none". */
#define ARENA_ALIGN 16u

/* A message is read this far into its entry, where a page's digest goes. */
#define MESSAGE_AT offsetof(struct page_entry, digest)

/* A segment, placed in the arena behind the message it views. */
struct segment_entry {
    struct segment segment;
    struct segment_entry *next;
    bool done;
};

/* Room that any one message and its entry may take. */
#define ENTRY_BYTES_MAX (HOST_MESSAGE_BYTES_MAX + 2u * ARENA_ALIGN + 128u)
_Static_assert(sizeof(struct segment_entry) <= 128, "a segment's entry fits behind its message");

/* One run. */
struct inbox {
    uint8_t *arena;
    uint32_t used;
    uint64_t applied;
    struct segment_entry *first;
    struct segment_entry *last;
    struct committee committee;
    uint8_t address[HOST_ADDRESS_BYTES];
};

static uint32_t arena_align(uint32_t offset)
{
    return (offset + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
}

static void inbox_reset(struct inbox *inbox)
{
    inbox->used = ARENA_ALIGN;
    inbox->first = NULL;
    inbox->last = NULL;
    pages_reset(inbox->arena, inbox->applied);
}

static void committee_load(struct committee *ret_committee)
{
    static uint8_t record[COMMITTEE_RECORD_BYTES_MAX];
    struct path path;

    path_set(&path, "/authorities");
    path_add_number(&path, storage_read_u64("/epoch"));
    uint32_t len = storage_read_at(&path, 0, record, sizeof record);
    config_read_committee(ret_committee, (struct bytes){record, len});
}

static void inbox_open(struct inbox *inbox, uint8_t *arena)
{
    struct {
        uint8_t address[HOST_ADDRESS_BYTES];
        uint8_t origination_level[4];
    } metadata;

    inbox->arena = arena;
    inbox->applied = apply_index();
    inbox->committee.count = 0; /* loaded when the first segment comes */
    reveal_metadata(&metadata, sizeof metadata);
    memcpy(inbox->address, metadata.address, sizeof inbox->address);
    storage_delete_at("/incoming"); /* of a run that trapped */
    inbox_reset(inbox);
}

static void keep_segment(struct inbox *inbox, const uint8_t *message, uint32_t len)
{
    struct segment segment;

    if (inbox->committee.count == 0) committee_load(&inbox->committee);
    struct bytes body = {message + FRAME_BYTES + 1, len - FRAME_BYTES - 1};
    if (!segment_parse(&segment, body, inbox->committee.epoch)) return;

    uint32_t offset = arena_align(inbox->used + (uint32_t)MESSAGE_AT + len);
    struct segment_entry *entry = (struct segment_entry *)(void *)(inbox->arena + offset);
    *entry = (struct segment_entry){.segment = segment};
    if (inbox->last == NULL) {
        inbox->first = entry;
    } else {
        inbox->last->next = entry;
    }
    inbox->last = entry;
    inbox->used = arena_align(offset + sizeof *entry);
}

static void keep_page(struct inbox *inbox, const uint8_t *message, uint32_t len)
{
    struct page_entry *entry = (struct page_entry *)(void *)(inbox->arena + inbox->used);
    struct reader reader = reader_make(message + FRAME_BYTES + 1, sizeof entry->index);

    if (len <= PAGE_MESSAGE_PREFIX_BYTES) return;
    entry->index = reader_u64(&reader);
    entry->len = len - PAGE_MESSAGE_PREFIX_BYTES;
    if (!pages_add(inbox->used)) return;
    inbox->used = arena_align(inbox->used + (uint32_t)sizeof *entry + entry->len);
}

/* Keeps an own message by moving `used` over it; another one leaves it where it is. */
static void keep(struct inbox *inbox, const uint8_t *message, uint32_t len)
{
    if (len <= FRAME_BYTES || message[0] != MESSAGE_EXTERNAL || message[1] != FRAME_TARGETTED)
        return;
    if (memcmp(message + 2, inbox->address, sizeof inbox->address) != 0) return;
    if (message[FRAME_BYTES] == TAG_SEGMENT) keep_segment(inbox, message, len);
    if (message[FRAME_BYTES] == TAG_PAGE) keep_page(inbox, message, len);
}

/* Takes segments in inbox order until none connects any more. */
static void take_segments(struct inbox *inbox, struct accepted *accepted)
{
    bool again = true;

    while (again) {
        again = false;
        for (struct segment_entry *entry = inbox->first; entry != NULL; entry = entry->next) {
            if (entry->done) continue;
            enum segment_verdict verdict =
                segment_take(&entry->segment, &inbox->committee, accepted);
            entry->done = verdict != SEGMENT_UNCONNECTED;
            again = again || verdict == SEGMENT_ACCEPTED;
        }
    }
}

/* Works off what is in memory. */
static void flush(struct inbox *inbox)
{
    struct accepted accepted = {.index = storage_read_u64("/accepted")};

    storage_read("/accepted/digest", accepted.digest.bytes, sizeof accepted.digest.bytes);
    take_segments(inbox, &accepted);
    pages_store(accepted.index);
    inbox_reset(inbox);
}

bool inbox_run(uint8_t *arena)
{
    static struct inbox inbox;
    bool any = false;

    inbox_open(&inbox, arena);
    for (;;) {
        struct host_message_info info;
        if (inbox.used > INBOX_ARENA_BYTES - ENTRY_BYTES_MAX) flush(&inbox);
        uint8_t *message = arena + inbox.used + MESSAGE_AT;
        int32_t len = read_input(&info, message, HOST_MESSAGE_BYTES_MAX);
        if (len <= 0) break;
        any = true;
        keep(&inbox, message, (uint32_t)len);
    }
    if (any) flush(&inbox);
    return any;
}
