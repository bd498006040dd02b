/* The identity row, in the default column family under the key "identity":
 *
 *   schema u32 | committee digest 32 | self u16 | key 32 | rejoined u8 | unsynced u8 | boot id 36
 *
 * `unsynced` is 1 from the first write with SYNC_PROCESS until a clean close or a full sync. Pure. */
#ifndef CONSENSUS_NODE_STORE_IDENTITY_ROW_H
#define CONSENSUS_NODE_STORE_IDENTITY_ROW_H

#include "common/bytes.h"
#include "consensus/node/store.h"

struct store_identity {
    uint32_t schema;
    struct digest committee;
    authority_t self;
    struct public_key key;
    bool rejoined;
    bool unsynced;
    char boot_id[STORE_BOOT_ID_BYTES];
};

#define STORE_IDENTITY_BYTES (4u + 32u + 2u + 32u + 1u + 1u + STORE_BOOT_ID_BYTES - 1u)

void store_identity_encode(struct writer *writer, const struct store_identity *identity);

/* ERR_VERSION: another schema, which may have another row: `schema` is set and nothing else. ERR_CORRUPT. */
enum status store_identity_decode(struct store_identity *ret_identity, struct bytes row);

#endif
