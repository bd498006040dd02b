#include "tests/fuzz/fuzz.h"

#include "proto/receipt.h"

/* The answers of a server that may be anything. What could be read is written canonically, and read again as the
 * same. */
static void check_receipt(struct bytes bytes)
{
    uint8_t memory[RECEIPT_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    struct receipt receipt, again;

    if (receipt_read(&receipt, bytes) != OK) return;
    receipt_write(&writer, &receipt);
    CHECK(!writer.failed);
    CHECK(receipt_read(&again, writer_view(&writer)) == OK);
    CHECK(digest_equal(&again.digest, &receipt.digest));
    CHECK(again.index == receipt.index);
    CHECK(again.position == receipt.position);
    CHECK(again.level == receipt.level);
    CHECK(again.offset == receipt.offset);
}

static void check_summary(struct bytes bytes)
{
    uint8_t memory[SUMMARY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    struct summary summary, again;

    if (summary_read(&summary, bytes) != OK) return;
    summary_write(&writer, &summary);
    CHECK(!writer.failed);
    CHECK(summary_read(&again, writer_view(&writer)) == OK);
    CHECK(again.accepted == summary.accepted);
    CHECK(again.bytes == summary.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_receipt((struct bytes){data, size});
    check_summary((struct bytes){data, size});
    return 0;
}
