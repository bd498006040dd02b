/* One file of the batch log: its bytes, and reading and writing them. batch_log.h tells the whole.
 *
 *   segment header   magic u64 | version u32 | number u32 | bytes of the previous segment u64 |
 * salt 32 (4096 bytes)     | checksum 32 | zeros log header       magic u32 | version u16 | author
 * u16 | length u32 | transactions u32 | created_at u64 (80 bytes)       | worker u32 | flags u32
 * (1: own) | synced below u64 | digest 32 | checksum u64
 *
 * The log header's checksum is the first 8 bytes of BLAKE2b(salt | number u32 | offset u64 | header
 * without checksum): unknown to who does not read this disk. */
#ifndef CONSENSUS_NODE_BATCH_SEGMENT_H
#define CONSENSUS_NODE_BATCH_SEGMENT_H

#include "consensus/node/batch_index.h"
#include "consensus/node/batch_log.h"

#define SEGMENT_PAGE         4096u
#define SEGMENT_RECORD_BYTES 80u
#define SEGMENT_SALT_BYTES   32u
#define SEGMENT_BYTES_MAX    (1u << 30)
_Static_assert(SEGMENT_RECORD_BYTES <= BUFFER_BATCH - 18,
               "the log header lies before a frame's fields");
_Static_assert(SEGMENT_PAGE == BUFFER_ALIGN, "a record is whole pages of its buffer");
_Static_assert((BUFFER_BATCH + BATCH_BYTES_MAX + SEGMENT_PAGE - 1) / SEGMENT_PAGE < 256,
               "pages of a record fit batch_place");
_Static_assert(SEGMENT_BYTES_MAX / SEGMENT_PAGE < (1u << 24), "a page number fits batch_place");

struct segment {
    uint32_t number;
    int fd;                  /* -1: not open */
    bool direct;             /* the file system takes O_DIRECT */
    bool cached;             /* it is switched off for now */
    uint64_t bytes;          /* end of the last record */
    uint64_t synced;         /* everything below is durable */
    uint64_t previous_bytes; /* size of the segment before, as written in the header */
    uint8_t salt[SEGMENT_SALT_BYTES];
    size_t batches;          /* in the index */
    uint64_t executed_index; /* greatest pre-block that executes a batch of it */
    round_t used_round;      /* newest pre-block's round at the last append or look-up; see
                                batch_log_retain */
};

/* Bytes of a whole record. */
uint64_t segment_record_bytes(uint32_t batch_bytes);

/* The path of a segment, malloc'ed. */
char *segment_path(const char *directory, uint32_t number);

/* Creates the file with a fresh salt and, when `sync`, makes it and its directory entry durable. */
enum status segment_create(struct segment *ret_segment,
                           const char *directory,
                           uint32_t number,
                           uint64_t previous_bytes,
                           bool direct,
                           bool sync);

/* Opens the file and reads its header: fills number, fd, salt, previous_bytes; `bytes` is the
 * file's size. ERR_CORRUPT when the header is not valid. */
enum status segment_open(struct segment *ret_segment,
                         const char *directory,
                         uint32_t number,
                         bool direct);

/* Opens the file of a known segment again. ERR_IO. */
enum status segment_reopen(struct segment *segment, const char *directory);
void segment_close(struct segment *segment);

/* Writes the log header of a record that goes to `offset` into `ret` (SEGMENT_RECORD_BYTES). */
void segment_record_encode(uint8_t *ret,
                           const struct segment *segment,
                           uint64_t offset,
                           const struct batch_record *record);

/* Reads the log header that lies at `offset`; false when it is not one. */
bool segment_record_decode(struct batch_record *ret_record,
                           uint64_t *ret_synced,
                           const struct segment *segment,
                           uint64_t offset,
                           const uint8_t *data);

/* Reads `len` bytes (whole pages) into aligned memory. `ret_got` may be short at the end of the
 * file. ERR_CORRUPT: the disk cannot read it any more; ERR_IO. */
enum status segment_read(struct segment *segment,
                         uint8_t *ret_data,
                         size_t *ret_got,
                         uint64_t offset,
                         size_t len);

struct iovec;

/* Writes all of `parts` (aligned, whole pages; changed by the call) at `offset`, through the page cache when
 * `cached`. The two ways may be mixed in one file: no page is written twice. ERR_IO. */
enum status segment_write(struct segment *segment,
                          struct iovec *parts,
                          int count,
                          uint64_t offset,
                          bool cached);

enum status segment_sync(struct segment *segment);

#endif
