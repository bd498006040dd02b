/* Base58check as Tezos writes addresses and hashes: base58(prefix | payload | first four bytes of
 * SHA256(SHA256(prefix | payload))), Bitcoin's alphabet. The prefix makes the text begin with known
 * letters. */
#ifndef HOST_BASE58_H
#define HOST_BASE58_H

#include "common/base.h"

enum base58_kind {
    BASE58_ROLLUP,    /* sr1..., 20 bytes */
    BASE58_BLOCK,     /* B..., 32 bytes */
    BASE58_OPERATION, /* o..., 32 bytes */
    BASE58_MESSAGE,   /* scmsg..., 32 bytes */
    BASE58_STATE,     /* srs1..., 32 bytes */
    BASE58_CONTRACT,  /* KT1..., 20 bytes */
};

/* Characters of the longest kind, and the final 0. */
#define BASE58_TEXT_MAX 64u

/* The text of a payload of the kind's length. */
void base58_encode(char ret[BASE58_TEXT_MAX], enum base58_kind kind, const uint8_t *payload);

/* The payload of a text. ERR_MALFORMED when it is not of this kind or its check fails. */
enum status base58_decode(uint8_t *ret_payload, enum base58_kind kind, const char *text);

#endif
