/* The run. Each level starts with a run that only reads the inbox; further runs, asked for with the
 * reboot flag, apply what has become complete. The flag is set first and removed last, so that a
 * run that traps is followed by another one. */
#include "common/crypto.h"
#include "rollup-kernel/kernel/apply.h"
#include "rollup-kernel/kernel/config.h"
#include "rollup-kernel/kernel/host.h"
#include "rollup-kernel/kernel/inbox.h"
#include "rollup-kernel/kernel/storage.h"
#include "rollup-kernel/kernel/verify.h"

#define REBOOT_PATH "/kernel/env/reboot"

/* Messages of a level in the first run, one batch in the others. */
static _Alignas(16) uint8_t kernel_arena[INBOX_ARENA_BYTES];
_Static_assert(INBOX_ARENA_BYTES >= BATCH_BYTES_MAX, "the arena takes a batch");
_Static_assert(INBOX_ARENA_BYTES >= CONFIG_BYTES_MAX, "the arena takes the configuration");

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    (void)file;
    (void)line;
    (void)condition;
    __builtin_trap();
}

/* The configuration's body from the tail of the kernel into the arena; its length, 0 when there is
 * none. */
static uint32_t config_read(void)
{
    struct path path;
    uint32_t len;

    path_set(&path, "/kernel/boot.wasm");
    uint32_t size = storage_size(&path);
    if (size < sizeof len) return 0;
    storage_read_at(&path, size - (uint32_t)sizeof len, &len, sizeof len);
    if (len > CONFIG_BYTES_MAX || len > size - sizeof len) return 0;
    return storage_read_at(&path, size - (uint32_t)sizeof len - len, kernel_arena, len);
}

/* First run of all: the packed configuration becomes the state. */
static bool install(void)
{
    struct config_view config;
    struct accepted accepted = {0};
    struct path path;

    if (config_parse(&config, kernel_arena, config_read()) != OK) return false;
    path_set(&path, "/authorities");
    path_add_number(&path, config.epoch);
    storage_write_at(&path, 0, config.record.data, (uint32_t)config.record.len);
    storage_write_u64("/epoch", config.epoch);
    storage_write("/mode", &config.mode, sizeof config.mode);
    storage_write("/application", config.application.data, (uint32_t)config.application.len);
    crypto_hash_one(&accepted.digest, config.record.data, config.record.len);
    apply_install(&accepted.digest);
    accepted_write(&accepted); /* last: this says that all is there */
    return true;
}

static bool installed(void)
{
    struct path path;

    path_set(&path, "/accepted");
    return storage_has(&path) || install();
}

void kernel_run(void)
{
    bool more = false;

    storage_write(REBOOT_PATH, NULL, 0);
    if (!installed()) {
        debug_number("no config", 0);
    } else if (inbox_run(kernel_arena)) {
        more = apply_wanted();
    } else {
        more = apply_run(kernel_arena);
    }
    if (!more) storage_delete_at(REBOOT_PATH);
}
