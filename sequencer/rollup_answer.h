/* What the rollup node says, as JSON, and what the sequencer makes of it. Pure: the node may be anything, so every
 * value is looked at before it is used. Lists of fields: octez-smart-rollup-node's RPC (rollup_client.h). */
#ifndef SEQUENCER_ROLLUP_ANSWER_H
#define SEQUENCER_ROLLUP_ANSWER_H

#include <jansson.h>

#include "common/base.h"

/* Text of a block hash, with its final 0. */
#define ROLLUP_HASH_BYTES 64u

/* Bytes of a value's answer into `ret_data`; false when it is not hex or longer than `capacity`. */
bool rollup_read_hex(uint8_t *ret_data, size_t *ret_len, size_t capacity, const json_t *json);

/* A block's hash; it goes into paths of requests, so it is base58 and nothing else. */
bool rollup_read_hash(char ret_hash[ROLLUP_HASH_BYTES], const json_t *json);

/* A level, 0 .. INT32_MAX. */
bool rollup_read_level(int32_t *ret_level, const json_t *json);

/* The rollup's address, sr1... */
bool rollup_read_address(uint8_t ret_address[20], const json_t *json);

/* Names of subkeys that are digests, at most `max`; others are left out. Returns how many. */
uint32_t rollup_read_digests(struct digest *ret_digests, uint32_t max, const json_t *json);

/* The ids of exactly `count` injected messages. NULL, or what is wrong, a constant text. */
const char *rollup_read_ids(struct digest *ret_ids, uint32_t count, const json_t *json);

/* What became of an injected message. */
enum rollup_message_state {
    ROLLUP_MESSAGE_UNKNOWN,
    ROLLUP_MESSAGE_QUEUED,
    ROLLUP_MESSAGE_INJECTED,
    ROLLUP_MESSAGE_INCLUDED, /* and committed, and cemented */
};

/* `*ret_level` is 0 when the answer does not name one. False when it is no such answer. */
bool rollup_read_message(enum rollup_message_state *ret_state,
                         int32_t *ret_level,
                         const json_t *json);

/* A block's value: digests of the transactions of 3 MiB, which have at least one byte each and two of framing. */
#define ROLLUP_BLOCK_BYTES_MAX (33u * 1024u * 1024u)

/* A block's value (/blocks/N) as a list of its digests in hex, for the caller to free; NULL when it is none. */
json_t *rollup_block_digests(struct bytes value);

#endif
