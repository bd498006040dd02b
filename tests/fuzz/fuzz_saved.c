#include "tests/fuzz/fuzz.h"

#include "consensus/tools/item.h"
#include "consensus/tools/saved.h"
#include "tests/fuzz/memory_file.h"

/* A stream that dsn-listener saved, item by item as dsn verify and the listener read it: the items are
 * the file, and what they count is in them. */
static void count_transaction(void *context, struct bytes transaction, uint64_t stamp_ms)
{
    uint64_t *bytes = context;

    (void)stamp_ms;
    *bytes += transaction.len;
}

static void check_item(struct bytes subdag)
{
    struct item item;
    uint64_t bytes = 0;

    if (item_read(&item, subdag, 1767323045678, count_transaction, &bytes) != OK) return;
    CHECK(item.bytes == bytes);
    CHECK(item.bytes <= subdag.len);
    CHECK(item.foreign <= item.transactions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct saved *from = NULL;
    struct error_line error;
    struct bytes subdag;
    size_t at = 0;
    enum status status;

    CHECK(saved_open(&from, memory_file(0, data, size), &error) == OK);
    while ((status = saved_read(from, &subdag)) == OK) {
        CHECK(subdag.len <= SAVED_ITEM_BYTES_MAX);
        CHECK(subdag.len <= size - at - sizeof(uint32_t));
        CHECK(memcmp(subdag.data, data + at + sizeof(uint32_t), subdag.len) == 0);
        at += sizeof(uint32_t) + subdag.len;
        check_item(subdag);
    }
    CHECK(status == (at == size ? ERR_NOT_FOUND : ERR_CORRUPT));
    saved_close(from);
    return 0;
}
