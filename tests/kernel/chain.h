/* A committee and the pre-blocks it certifies, as the inbox would see them, for the kernel's tests.
 *
 * Bytes are written here once more, from the protocol's text and libsodium, on purpose: nothing of
 * the kernel or of common/ builds them, so a mistake there shows. All is a function of the seed. */
#ifndef TESTS_KERNEL_CHAIN_H
#define TESTS_KERNEL_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_MEMBERS_MAX   10
#define CHAIN_PREBLOCKS_MAX 64
#define CHAIN_BATCHES_MAX   150
#define CHAIN_ADDRESS_BYTES 20

/* Growing bytes. */
struct blob {
    uint8_t *data;
    size_t len;
    size_t capacity;
};
void blob_add(struct blob *blob, const void *data, size_t len);
void blob_u8(struct blob *blob, unsigned value);
void blob_little(struct blob *blob, uint64_t value, unsigned width);
void blob_big(struct blob *blob, uint64_t value, unsigned width);
void blob_length(struct blob *blob, uint32_t length); /* ULEB128 */
void blob_free(struct blob *blob);

/* A deterministic generator (splitmix64). */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);

struct chain_page {
    uint8_t digest[32];
    struct blob bytes;
    int parent; /* page that names this one; -1: the header does */
};

struct chain_batch {
    struct blob bytes;
    uint32_t transactions;
    uint8_t root[32];
    int root_page;
};

struct chain_preblock {
    uint64_t index;
    uint8_t header[153];
    uint8_t digest[32];
    uint32_t batches_count;
    struct chain_batch batches[CHAIN_BATCHES_MAX];
    struct chain_page *pages;
    int pages_count;
};

struct chain {
    uint32_t members;
    uint32_t quorum; /* members: all have stake 1 */
    uint64_t epoch;
    uint8_t address[CHAIN_ADDRESS_BYTES];
    uint8_t network[32];
    uint8_t public_keys[CHAIN_MEMBERS_MAX][32];
    uint8_t secret_keys[CHAIN_MEMBERS_MAX][64];
    uint8_t network_keys[CHAIN_MEMBERS_MAX][32];
    struct blob record; /* the committee record */
    uint8_t genesis[32];
    uint32_t count;
    struct chain_preblock *preblocks; /* [0] is index 1 */
};

void chain_open(struct chain *ret_chain, uint64_t seed, uint32_t members);
void chain_close(struct chain *chain);

/* The configuration body: mode 0 inbox or 1 reveal, application bytes. */
void chain_config(struct blob *ret_body,
                  const struct chain *chain,
                  unsigned mode,
                  const void *application,
                  size_t len);

/* A transaction for the batch under construction. */
void batch_add(struct chain_batch *batch, const void *transaction, size_t len);

/* Takes the batches (already filled; their blobs move into the chain) as the next pre-block.
 * `claimed` is added to the header's transaction count, to make a wrong one. */
struct chain_preblock *chain_append(struct chain *chain,
                                    struct chain_batch *batches,
                                    uint32_t count,
                                    uint32_t claimed);

/* A batch of `transactions` random transactions of 1 .. `bytes_max` bytes. */
void batch_random(struct chain_batch *ret_batch,
                  uint64_t *random,
                  uint32_t transactions,
                  uint32_t bytes_max);

/* External payloads (without the kind byte 01). A segment of headers first .. last, signed by
 * `signers`. */
void message_segment(struct blob *ret_message,
                     const struct chain *chain,
                     uint64_t first,
                     uint64_t last,
                     const uint8_t *signers,
                     uint32_t signers_count);
void message_segment_quorum(struct blob *ret_message,
                            const struct chain *chain,
                            uint64_t first,
                            uint64_t last);
void message_page(struct blob *ret_message,
                  const struct chain *chain,
                  uint64_t index,
                  unsigned attempt,
                  const struct blob *page);
void message_frame(struct blob *ret_message, const struct chain *chain, unsigned tag);

/* A segment of one header of any content, signed by the first members that are a quorum. */
void message_header(struct blob *ret_message, const struct chain *chain, const uint8_t header[153]);

/* The signature part alone, over any digest. */
void blob_quorum(struct blob *blob,
                 const struct chain *chain,
                 const uint8_t digest[32],
                 const uint8_t *signers,
                 uint32_t count);

#endif
