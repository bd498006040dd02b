#include "tests/fuzz/fuzz.h"

#include "consensus/core/records.h"
#include "consensus/node/store_identity_row.h"

/* The store's own row, and the keys of the others. */
static void check_identity(struct bytes row)
{
    uint8_t memory[STORE_IDENTITY_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);
    struct store_identity identity;

    switch ((int)store_identity_decode(&identity, row)) {
    case OK:
        store_identity_encode(&writer, &identity);
        CHECK(writer.len == row.len);
        CHECK(memcmp(memory, row.data, row.len) == 0);
        break;
    case ERR_VERSION:
        CHECK(identity.schema != STORE_SCHEMA);
        CHECK(row.len >= sizeof identity.schema);
        break;
    default:
        break;
    }
}

static void check_keys(struct bytes key)
{
    uint8_t memory[CORE_KEY_BYTES_MAX];
    uint64_t number;
    round_t round;
    authority_t author;

    if (number_of_key(&number, key) == OK) {
        CHECK(key_of_number(memory, number) == key.len);
        CHECK(memcmp(memory, key.data, key.len) == 0);
    }
    /* Longer keys begin with the slot. */
    if (slot_of_key(&round, &author, key) == OK) {
        size_t len = key_of_slot(memory, round, author);
        CHECK(len <= key.len);
        CHECK(memcmp(memory, key.data, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_identity((struct bytes){data, size});
    check_keys((struct bytes){data, size});
    return 0;
}
