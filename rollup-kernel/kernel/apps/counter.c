#include "rollup-kernel/kernel/apps/application.h"

#include "rollup-kernel/kernel/storage.h"

#define COUNTER_ADD       1u
#define COUNTER_ADD_BYTES 9u

static uint64_t counter;

static void counter_init(struct bytes config)
{
    (void)config;
    counter = storage_read_u64("/state/app/counter");
}

static void counter_apply(struct bytes transaction, const struct application_context *context)
{
    struct reader reader = reader_make(transaction.data, transaction.len);

    (void)context;
    if (transaction.len == COUNTER_ADD_BYTES && reader_u8(&reader) == COUNTER_ADD) {
        counter += reader_u64(&reader);
    } else {
        counter++;
    }
}

static void counter_save(void)
{
    storage_write_u64("/stage/app/counter", counter);
}

static void counter_end_block(const struct preblock *preblock)
{
    (void)preblock;
    storage_write_u64("/counter", counter);
}

const struct application application_counter = {counter_init, counter_apply, counter_end_block,
                                                counter_save};
