/* The machine around kernels: host functions called one by one with good and bad arguments, and a kernel that does
 * what messages tell it (commands.wat), for runs, reboots, traps, upgrades and the outbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rollup-kernel/host/kernel_compile.h"
#include "rollup-kernel/host/pvm_state.h"
#include "tests/kernel/chain.h"

/* ---- host functions ---- */

#define MEMORY_BYTES 65536u
#define AT_PATH      100u
#define AT_OTHER     1000u
#define AT_DATA      4000u

static uint8_t memory[MEMORY_BYTES];
static struct pvm *machine;
static struct engine_call call;

static int open_machine(void **state)
{
    const struct pvm_options options = {.address = {9, 8, 7}, .origination_level = 77};

    (void)state;
    machine = pvm_new(&options, NULL, durable_new());
    call = (struct engine_call){
        .host = &host_calls, .context = machine, .memory = memory, .memory_bytes = sizeof memory};
    memset(memory, 0xaa, sizeof memory);
    return 0;
}

static int close_machine(void **state)
{
    (void)state;
    pvm_close(machine);
    return 0;
}

static uint32_t put_at(uint32_t at, const char *text)
{
    memcpy(memory + at, text, strlen(text));
    return (uint32_t)strlen(text);
}

static uint32_t path(const char *text)
{
    return put_at(AT_PATH, text);
}

static void assert_code(uint32_t result, int32_t expected)
{
    assert_int_equal((int32_t)result, expected);
}

static void reads_and_writes_move_2048_bytes_at_the_most(void **state)
{
    (void)state;
    uint32_t len = path("/a");
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 2049),
                DURABLE_IO_TOO_LARGE);
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 2048), 0);
    assert_code(host_calls.store_write(&call, AT_PATH, len, 2048, AT_DATA, 100), 0);
    assert_code(host_calls.store_write(&call, AT_PATH, len, 2149, AT_DATA, 1),
                DURABLE_INVALID_ACCESS);
    assert_code(host_calls.store_value_size(&call, AT_PATH, len), 2148);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 0, AT_DATA, 2049), DURABLE_IO_TOO_LARGE);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 2000, AT_DATA, 2048), 148);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 2148, AT_DATA, 1),
                DURABLE_INVALID_ACCESS);
    len = path("/b");
    assert_code(host_calls.store_read(&call, AT_PATH, len, 0, AT_DATA, 1), DURABLE_NOT_A_VALUE);
    assert_code(host_calls.store_value_size(&call, AT_PATH, len), DURABLE_NOT_A_VALUE);
    /* An empty value is there, but has nothing at offset 0. */
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 0), 0);
    assert_code(host_calls.store_has(&call, AT_PATH, len), 1);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 0, AT_DATA, 1), DURABLE_INVALID_ACCESS);
}

static void paths_are_checked(void **state)
{
    (void)state;
    uint32_t len = path("/readonly/x");
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 1), DURABLE_READONLY);
    assert_code(host_calls.store_delete(&call, AT_PATH, len), DURABLE_READONLY);
    assert_code(host_calls.store_create(&call, AT_PATH, len, 1), DURABLE_READONLY);
    assert_code(host_calls.store_has(&call, AT_PATH, len), 0);
    len = path("/a//b");
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 1), DURABLE_INVALID_KEY);
    assert_code(host_calls.store_has(&call, AT_PATH, len), DURABLE_INVALID_KEY);
    assert_int_equal((int64_t)host_calls.store_list_size(&call, AT_PATH, len), DURABLE_INVALID_KEY);
    assert_code(host_calls.store_has(&call, AT_PATH, 241), DURABLE_KEY_TOO_LARGE);
}

static void memory_ends_before_its_last_byte(void **state)
{
    (void)state;
    uint32_t len = path("/a");
    /* As in the machine, address + length must be below the size. */
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, MEMORY_BYTES - 10, 10),
                DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, MEMORY_BYTES - 11, 10), 0);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 0, MEMORY_BYTES - 10, 10),
                DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.store_read(&call, AT_PATH, len, 0, UINT32_MAX, 10),
                DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.store_has(&call, UINT32_MAX - 1, 2), DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.read_input(&call, 0, MEMORY_BYTES - 4096, 4096), DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.read_input(&call, MEMORY_BYTES - 4, 0, 4096), DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.write_output(&call, MEMORY_BYTES - 10, 10), DURABLE_MEMORY_ACCESS);
    host_calls.write_debug(&call, MEMORY_BYTES - 10, 10); /* nothing happens */
    assert_code(host_calls.reveal_metadata(&call, MEMORY_BYTES - 24, 24), DURABLE_MEMORY_ACCESS);
    assert_code(host_calls.reveal_preimage(&call, MEMORY_BYTES - 33, 33, 0, 10),
                DURABLE_MEMORY_ACCESS);
}

static void subtrees_copy_and_move(void **state)
{
    (void)state;
    uint32_t len = path("/a/b");
    uint32_t other = put_at(AT_OTHER, "/c");
    assert_code(host_calls.store_copy(&call, AT_PATH, len, AT_OTHER, other), DURABLE_NOT_A_NODE);
    assert_code(host_calls.store_write(&call, AT_PATH, len, 0, AT_DATA, 7), 0);
    len = path("/a");
    assert_code(host_calls.store_copy(&call, AT_PATH, len, AT_OTHER, other), 0);
    assert_code(host_calls.store_has(&call, AT_OTHER, other), 2);
    other = put_at(AT_OTHER, "/readonly");
    assert_code(host_calls.store_move(&call, AT_PATH, len, AT_OTHER, other), DURABLE_READONLY);
    other = put_at(AT_OTHER, "/c/b");
    assert_code(host_calls.store_move(&call, AT_PATH, len, AT_OTHER, other), 0);
    assert_code(host_calls.store_exists(&call, AT_PATH, len), 0);
    other = put_at(AT_OTHER, "/c/b/b");
    assert_code(host_calls.store_value_size(&call, AT_OTHER, other), 7);
    assert_code(host_calls.store_delete_value(&call, AT_OTHER, other), 0);
    assert_code(host_calls.store_exists(&call, AT_OTHER, put_at(AT_OTHER, "/c")), 0);
}

static void subkeys_hashes_and_creation(void **state)
{
    (void)state;
    uint32_t len = path("/a");
    assert_code(host_calls.store_create(&call, AT_PATH, len, 5), 0);
    assert_code(host_calls.store_create(&call, AT_PATH, len, 5), DURABLE_EXISTS);
    assert_code(host_calls.store_create(&call, AT_PATH, len, 0x80000000u), DURABLE_VALUE_TOO_LARGE);
    assert_code(host_calls.store_write(&call, AT_OTHER, put_at(AT_OTHER, "/a/kid"), 0, AT_DATA, 1),
                0);
    assert_int_equal(host_calls.store_list_size(&call, AT_PATH, len), 2);
    assert_code(host_calls.store_get_nth_key(&call, AT_PATH, len, 0, AT_DATA, 10), 0);
    assert_code(host_calls.store_get_nth_key(&call, AT_PATH, len, 1, AT_DATA, 10), 3);
    assert_memory_equal(memory + AT_DATA, "kid", 3);
    assert_code(host_calls.store_get_nth_key(&call, AT_PATH, len, 1, AT_DATA, 2), 2);
    assert_code(host_calls.store_get_nth_key(&call, AT_PATH, len, 2, AT_DATA, 10),
                DURABLE_BAD_INDEX);
    assert_code(host_calls.store_get_hash(&call, AT_PATH, len, AT_DATA, 32), 32);
    len = path("/none");
    assert_code(host_calls.store_get_hash(&call, AT_PATH, len, AT_DATA, 32), DURABLE_NOT_A_NODE);
}

static void metadata_and_reveals_of_nothing(void **state)
{
    static const uint8_t expected[24] = {9, 8, 7, [23] = 77};

    (void)state;
    assert_code(host_calls.reveal_metadata(&call, AT_DATA, 100), 24);
    assert_memory_equal(memory + AT_DATA, expected, 24);
    memory[AT_OTHER] = 1; /* the generic reveal of metadata */
    assert_code(host_calls.reveal(&call, AT_OTHER, 1, AT_DATA, 20), 20);
    memory[AT_OTHER] = 2; /* a page of a slot that is not attested */
    assert_code(host_calls.reveal(&call, AT_OTHER, 9, AT_DATA, 100), 0);
    assert_code(host_calls.reveal_preimage(&call, AT_OTHER, 32, AT_DATA, 100), 0); /* not a hash */
    memory[AT_OTHER] = 0;
    if (setjmp(call.end) == 0) {
        host_calls.reveal_preimage(&call, AT_OTHER, 33, AT_DATA, 100);
        fail_msg("a page that nobody has was revealed");
    }
    assert_memory_equal(pvm_missing(machine)->bytes, memory + AT_OTHER + 1, 32);
}

/* ---- the kernel of commands ---- */

static struct engine *engine;
static struct pvm *pvm;
static struct blob commands;

static void read_file(struct blob *ret, const char *name)
{
    FILE *file = fopen(name, "rb");
    uint8_t part[4096];
    size_t len;

    memset(ret, 0, sizeof *ret);
    assert_non_null(file);
    while ((len = fread(part, 1, sizeof part, file)) > 0) {
        blob_add(ret, part, len);
    }
    fclose(file);
}

static int open_kernel(void **state)
{
    const struct pvm_options options = {.origination_level = 1};

    (void)state;
    read_file(&commands, KERNEL_COMMANDS);
    engine = engine_new(KERNEL_CACHE);
    pvm = pvm_new(&options, engine, pvm_originate((struct bytes){commands.data, commands.len}));
    return 0;
}

static int close_kernel(void **state)
{
    (void)state;
    pvm_close(pvm);
    engine_close(engine);
    blob_free(&commands);
    return 0;
}

/* A level with one message for each letter. */
static enum pvm_result run_level(const char *letters)
{
    static int32_t level = 1;
    struct pvm_level begin = {.level = level++};
    struct bytes messages[32];
    size_t count = strlen(letters);

    for (size_t i = 0; i < count; i++) {
        messages[i] = (struct bytes){(const uint8_t *)letters + i, 1};
    }
    pvm_begin(pvm, &begin, messages, count);
    return pvm_finish(pvm);
}

static bool has(const char *text)
{
    return durable_has(pvm_durable(pvm), durable_path(text)) != 0;
}

static int32_t last_result(void)
{
    struct bytes value;
    int32_t result;

    assert_true(durable_value(&value, pvm_durable(pvm), durable_path("/result")));
    memcpy(&result, value.data, sizeof result);
    return result;
}

static void another_kernel_runs(void **state)
{
    (void)state;
    assert_int_equal(run_level("WN"), PVM_LEVEL_DONE);
    assert_true(has("/mark"));
    assert_int_equal(last_result(), 1);
    assert_int_equal(run_level("H"), PVM_LEVEL_DONE);
    assert_int_equal(last_result(), 32);
    assert_int_equal(run_level("M"), PVM_LEVEL_DONE);
    assert_int_equal(last_result(), 1 - 1); /* one page before, and no growth beyond the limit */
    assert_true(has("/readonly/kernel/boot.wasm"));
}

static void a_trap_keeps_what_was_written_and_drops_what_was_not_read(void **state)
{
    (void)state;
    for (const char *trap = "TBZID"; *trap != '\0'; trap++) {
        char letters[] = {'W', *trap, 'H', '\0'};
        durable_delete(pvm_durable(pvm), durable_path("/mark"));
        durable_delete(pvm_durable(pvm), durable_path("/result"));
        assert_int_equal(run_level(letters), PVM_LEVEL_DONE);
        assert_true(has("/mark"));
        assert_false(has("/result"));
        assert_true(has("/readonly/kernel/env/stuck"));
        assert_int_equal(run_level(""), PVM_LEVEL_DONE);
        assert_false(has("/readonly/kernel/env/stuck"));
    }
    assert_int_equal(pvm_traps(pvm), 5);
}

static void after_a_trap_a_run_that_was_asked_for_reads_on(void **state)
{
    (void)state;
    assert_int_equal(run_level("RTW"), PVM_LEVEL_DONE);
    assert_true(has("/mark"));
    assert_int_equal(pvm_runs(pvm), 2);
}

static void reboots_end_after_a_thousand(void **state)
{
    struct bytes counter;

    (void)state;
    assert_int_equal(run_level("R"), PVM_LEVEL_DONE);
    assert_int_equal(pvm_runs(pvm), 2);
    assert_true(durable_value(&counter, pvm_durable(pvm),
                              durable_path("/readonly/kernel/env/reboot_counter")));
    assert_int_equal(counter.data[0] | counter.data[1] << 8, 999);
    assert_int_equal(run_level("L"), PVM_LEVEL_DONE); /* from its next run on */
    assert_int_equal(pvm_runs(pvm), 3);
    assert_int_equal(run_level(""), PVM_LEVEL_DONE);
    assert_int_equal(pvm_runs(pvm), 3 + 1001);
    assert_true(has("/readonly/kernel/env/too_many_reboot"));
    durable_delete(pvm_durable(pvm), durable_path("/loop"));
    assert_int_equal(run_level(""), PVM_LEVEL_DONE);
    assert_false(has("/readonly/kernel/env/too_many_reboot"));
}

static void the_outbox_takes_a_hundred_messages_a_level(void **state)
{
    const struct bytes *messages;

    (void)state;
    assert_int_equal(run_level("O"), PVM_LEVEL_DONE);
    assert_int_equal(pvm_outbox(&messages, pvm), 60);
    assert_memory_equal(messages[59].data, "/mark", 5);
    assert_int_equal(last_result(), 0);
    assert_int_equal(run_level("OO"), PVM_LEVEL_DONE);
    assert_int_equal(pvm_outbox(&messages, pvm), PVM_OUTBOX_MAX);
    assert_int_equal(last_result(), DURABLE_OUTBOX_FULL);
    assert_int_equal(run_level(""), PVM_LEVEL_DONE);
    assert_int_equal(pvm_outbox(&messages, pvm), 0);
}

static void a_kernel_that_cannot_run_gives_way_to_the_last_one_that_did(void **state)
{
    struct bytes value;

    (void)state;
    assert_int_equal(run_level(""), PVM_LEVEL_DONE);
    durable_set(pvm_durable(pvm), durable_path("/upgrade"), durable_path("not a kernel"));
    assert_int_equal(run_level("U"), PVM_LEVEL_DONE);
    assert_true(durable_value(&value, pvm_durable(pvm), durable_path("/kernel/boot.wasm")));
    assert_int_equal(value.len, 12);
    assert_int_equal(run_level("W"), PVM_LEVEL_DONE);
    assert_true(has("/mark"));
    assert_true(has("/readonly/kernel/env/upgrade_error"));
    assert_true(durable_value(&value, pvm_durable(pvm), durable_path("/kernel/boot.wasm")));
    assert_int_equal(value.len, commands.len);

    /* One that can run takes over in the next run of the same level. */
    durable_set(pvm_durable(pvm), durable_path("/upgrade"), engine_builtin_wasm());
    assert_int_equal(run_level("UR"), PVM_LEVEL_DONE);
    assert_true(
        durable_value(&value, pvm_durable(pvm), durable_path("/readonly/kernel/boot.wasm")));
    assert_int_equal(value.len, engine_builtin_wasm().len);
    assert_int_equal(run_level(""), PVM_LEVEL_DONE);
    assert_false(has("/readonly/kernel/env/upgrade_error"));
}

static void a_rollup_whose_first_kernel_cannot_run_is_broken_and_says_so(void **state)
{
    const struct pvm_options options = {.origination_level = 1};
    struct digest before, after;

    (void)state;
    pvm_close(pvm);
    pvm = pvm_new(&options, engine, pvm_originate(durable_path("not a kernel")));
    durable_hash(&before, pvm_durable(pvm), durable_path(""));
    assert_int_equal(run_level("W"), PVM_BROKEN);
    assert_non_null(strstr(pvm_error(pvm), "wasm"));
    durable_hash(&after, pvm_durable(pvm), durable_path(""));
    assert_true(digest_equal(&before, &after));
}

/* What kernel_compile must refuse, each with a word of its one line. */
static void kernels_that_the_engines_refuse_are_refused(void **state)
{
    static const struct {
        const char *path;
        const char *word;
    } refused[] = {{KERNEL_FLOAT, "floating point"},
                   {KERNEL_IMPORT, "imports env.puts"},
                   {KERNEL_NO_RUN, "does not export kernel_run"}};
    char error[512];

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct blob wasm;
        const char *output = KERNEL_CACHE "/refused.so";
        read_file(&wasm, refused[i].path);
        enum status status =
            kernel_compile(output, (struct bytes){wasm.data, wasm.len}, error, sizeof error);
        assert_int_equal(status, ERR_MALFORMED);
        assert_non_null(strstr(error, refused[i].word));
        assert_int_not_equal(access(output, F_OK), 0);
        blob_free(&wasm);
    }
}

#define HOST(name)   cmocka_unit_test_setup_teardown(name, open_machine, close_machine)
#define KERNEL(name) cmocka_unit_test_setup_teardown(name, open_kernel, close_kernel)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST(reads_and_writes_move_2048_bytes_at_the_most),
        HOST(paths_are_checked),
        HOST(memory_ends_before_its_last_byte),
        HOST(subtrees_copy_and_move),
        HOST(subkeys_hashes_and_creation),
        HOST(metadata_and_reveals_of_nothing),
        KERNEL(another_kernel_runs),
        KERNEL(a_trap_keeps_what_was_written_and_drops_what_was_not_read),
        KERNEL(after_a_trap_a_run_that_was_asked_for_reads_on),
        KERNEL(reboots_end_after_a_thousand),
        KERNEL(the_outbox_takes_a_hundred_messages_a_level),
        KERNEL(a_kernel_that_cannot_run_gives_way_to_the_last_one_that_did),
        KERNEL(a_rollup_whose_first_kernel_cannot_run_is_broken_and_says_so),
        cmocka_unit_test(kernels_that_the_engines_refuse_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
