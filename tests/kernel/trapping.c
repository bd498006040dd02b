/* Stands between the kernel and its applications in a kernel built for the tests: a transaction
 * that begins with "trap" makes a mess of memory and of /stage, and then traps; so does the end of
 * a pre-block whose leader digest begins with the byte TRAPPING_LEADER, an option of the build. */
#include "rollup-kernel/kernel/apps/application.h"
#include "rollup-kernel/kernel/storage.h"
#include "tests/kernel/budget.h"

/* The budget of a run, as the test wants it (rig_set_budget); for budget.h. */
uint32_t budget_of_test(void)
{
    uint64_t budget = storage_read_u64("/readonly/budget");

    return budget > 0 ? (uint32_t)budget : 8u * 1024u * 1024u;
}

extern const struct application inner_application_log;
extern const struct application inner_application_counter;

static const struct application *inner;

static void mess_and_trap(void)
{
    storage_write("/stage/app/mess", "mess", 4);
    storage_write("/stage/cursor", "mess", 4);
    __builtin_trap();
}

static void trapping_init_log(struct bytes config)
{
    inner = &inner_application_log;
    inner->init(config);
}

static void trapping_init_counter(struct bytes config)
{
    inner = &inner_application_counter;
    inner->init(config);
}

static void trapping_apply(struct bytes transaction, const struct application_context *context)
{
    inner->apply(transaction, context);
    if (transaction.len >= 4 && memcmp(transaction.data, "trap", 4) == 0) mess_and_trap();
}

static void trapping_end_block(const struct preblock *preblock)
{
    if (preblock->leader.bytes[0] == TRAPPING_LEADER) mess_and_trap();
    inner->end_block(preblock);
}

static void trapping_save(void)
{
    inner->save();
}

const struct application application_log = {trapping_init_log, trapping_apply, trapping_end_block,
                                            trapping_save};
const struct application application_counter = {trapping_init_counter, trapping_apply,
                                                trapping_end_block, trapping_save};
