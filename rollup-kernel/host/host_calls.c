/* The host functions of smart_rollup_core (Tezos, wasm_2_0_0 up to revision 3), over the durable
 * tree and the level at hand. Codes and checks follow the machine's: memory is checked first, then
 * sizes, then paths. */
#include <stdlib.h>

#include "common/bytes.h"
#include "common/crypto.h"
#include "common/page.h"
#include "rollup-kernel/host/pvm_state.h"

#define OUTPUT_BYTES_MAX      4096u
#define REVEAL_PAGE_BYTES_MAX 4096u
#define METADATA_BYTES        24u

/* Tags of the generic reveal. */
#define REVEAL_PREIMAGE 0u
#define REVEAL_METADATA 1u

/* What the machine answers for a request that names no data: the page of the empty string is empty.
 */
#define REVEAL_NOTHING 0u

static struct pvm *machine(struct engine_call *call)
{
    return call->context;
}

static uint32_t code(int32_t value)
{
    return (uint32_t)value;
}

/* Memory of the kernel; strictly below its end, as the machine has it. NULL when it is not its own.
 */
static uint8_t *memory(struct engine_call *call, uint32_t at, uint32_t len)
{
    return (uint64_t)at + len < call->memory_bytes ? call->memory + at : NULL;
}

/* A path argument; 0 or the code that ends the call. */
static int32_t path_argument(struct bytes *ret_path,
                             struct engine_call *call,
                             uint32_t at,
                             uint32_t len,
                             bool write)
{
    if (len > DURABLE_PATH_BYTES_MAX) return DURABLE_KEY_TOO_LARGE;
    const uint8_t *text = memory(call, at, len);
    if (text == NULL) return DURABLE_MEMORY_ACCESS;
    *ret_path = (struct bytes){text, len};
    return write ? durable_check_writable(*ret_path) : durable_check_path(*ret_path);
}

static uint32_t call_read_input(struct engine_call *call, uint32_t info, uint32_t to, uint32_t max)
{
    struct pvm *pvm = machine(call);
    uint32_t capacity = max < PVM_MESSAGE_BYTES_MAX ? max : PVM_MESSAGE_BYTES_MAX;
    uint8_t *target = memory(call, to, capacity);
    uint8_t *fields = memory(call, info, 8);

    if (target == NULL || fields == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (pvm->next == pvm->inbox.count) return 0;
    struct bytes message = pvm->inbox.items[pvm->next];
    uint32_t len = message.len < capacity ? (uint32_t)message.len : capacity;
    struct writer writer = writer_make(fields, 8);
    writer_u32(&writer, (uint32_t)pvm->level);
    writer_u32(&writer, (uint32_t)pvm->next);
    memcpy(target, message.data, len);
    pvm->next++;
    return len;
}

static uint32_t call_write_output(struct engine_call *call, uint32_t from, uint32_t len)
{
    struct pvm *pvm = machine(call);

    if (len > OUTPUT_BYTES_MAX) return code(DURABLE_IO_TOO_LARGE);
    const uint8_t *data = memory(call, from, len);
    if (data == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (pvm->outbox.count == PVM_OUTBOX_MAX) return code(DURABLE_OUTBOX_FULL);
    message_list_add(&pvm->outbox, (struct bytes){data, len}, (struct bytes){NULL, 0});
    return 0;
}

static void call_write_debug(struct engine_call *call, uint32_t from, uint32_t len)
{
    struct pvm *pvm = machine(call);
    const uint8_t *text = memory(call, from, len);

    if (text != NULL && pvm->options.debug != NULL) {
        pvm->options.debug(pvm->options.context, (struct bytes){text, len});
    }
}

static uint32_t call_store_has(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, false);

    return code(refused != 0 ? refused : durable_has(machine(call)->durable, path));
}

static uint32_t call_store_exists(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, false);

    return code(refused != 0 ? refused : durable_has(machine(call)->durable, path) != 0);
}

static uint32_t call_store_delete(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, true);

    if (refused == 0) durable_delete(machine(call)->durable, path);
    return code(refused);
}

static uint32_t call_store_delete_value(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, true);

    if (refused == 0) durable_delete_value(machine(call)->durable, path);
    return code(refused);
}

static uint32_t call_store_copy(struct engine_call *call,
                                uint32_t from_at,
                                uint32_t from_len,
                                uint32_t to_at,
                                uint32_t to_len)
{
    struct bytes from, to;
    int32_t refused = path_argument(&from, call, from_at, from_len, false);

    if (refused == 0) refused = path_argument(&to, call, to_at, to_len, true);
    return code(refused != 0 ? refused : durable_copy(machine(call)->durable, from, to));
}

static uint32_t call_store_move(struct engine_call *call,
                                uint32_t from_at,
                                uint32_t from_len,
                                uint32_t to_at,
                                uint32_t to_len)
{
    struct bytes from, to;
    int32_t refused = path_argument(&from, call, from_at, from_len, true);

    if (refused == 0) refused = path_argument(&to, call, to_at, to_len, true);
    return code(refused != 0 ? refused : durable_move(machine(call)->durable, from, to));
}

static uint32_t call_store_value_size(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path, value;
    int32_t refused = path_argument(&path, call, at, len, false);

    if (refused != 0) return code(refused);
    if (!durable_value(&value, machine(call)->durable, path)) return code(DURABLE_NOT_A_VALUE);
    return (uint32_t)value.len;
}

static uint64_t call_store_list_size(struct engine_call *call, uint32_t at, uint32_t len)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, false);

    if (refused != 0) return (uint64_t)(int64_t)refused;
    return durable_list_size(machine(call)->durable, path);
}

static uint32_t call_store_get_nth_key(struct engine_call *call,
                                       uint32_t at,
                                       uint32_t len,
                                       uint64_t n,
                                       uint32_t to,
                                       uint32_t max)
{
    struct bytes path, name;
    int32_t refused = path_argument(&path, call, at, len, false);
    uint8_t *target = memory(call, to, max);

    if (refused != 0) return code(refused);
    if (target == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (!durable_nth_key(&name, machine(call)->durable, path, n)) return code(DURABLE_BAD_INDEX);
    uint32_t taken = name.len < max ? (uint32_t)name.len : max;
    if (taken > 0) memcpy(target, name.data, taken);
    return taken;
}

static uint32_t call_store_read(struct engine_call *call,
                                uint32_t at,
                                uint32_t len,
                                uint32_t offset,
                                uint32_t to,
                                uint32_t max)
{
    struct bytes path, value;
    int32_t refused = path_argument(&path, call, at, len, false);

    if (refused != 0) return code(refused);
    if (max > DURABLE_IO_BYTES_MAX) return code(DURABLE_IO_TOO_LARGE);
    uint8_t *target = memory(call, to, max);
    if (target == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (!durable_value(&value, machine(call)->durable, path)) return code(DURABLE_NOT_A_VALUE);
    if (offset >= value.len) return code(DURABLE_INVALID_ACCESS);
    uint32_t taken = value.len - offset < max ? (uint32_t)(value.len - offset) : max;
    if (taken > 0) memcpy(target, value.data + offset, taken);
    return taken;
}

static uint32_t call_store_write(struct engine_call *call,
                                 uint32_t at,
                                 uint32_t len,
                                 uint32_t offset,
                                 uint32_t from,
                                 uint32_t n)
{
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, true);

    if (refused != 0) return code(refused);
    if (n > DURABLE_IO_BYTES_MAX) return code(DURABLE_IO_TOO_LARGE);
    const uint8_t *data = memory(call, from, n);
    if (data == NULL) return code(DURABLE_MEMORY_ACCESS);
    return code(durable_write(machine(call)->durable, path, offset, (struct bytes){data, n}));
}

static uint32_t call_store_create(struct engine_call *call,
                                  uint32_t at,
                                  uint32_t len,
                                  uint32_t size)
{
    struct durable *durable = machine(call)->durable;
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, true);

    if (refused != 0) return code(refused);
    if (size > DURABLE_VALUE_BYTES_MAX) return code(DURABLE_VALUE_TOO_LARGE);
    if (durable_has(durable, path) % 2 == 1) return code(DURABLE_EXISTS);
    uint8_t *zeros = calloc(size > 0 ? size : 1, 1);
    if (zeros == NULL) return code(DURABLE_GENERIC);
    durable_set(durable, path, (struct bytes){zeros, size});
    free(zeros);
    return 0;
}

static uint32_t call_store_get_hash(struct engine_call *call,
                                    uint32_t at,
                                    uint32_t len,
                                    uint32_t to,
                                    uint32_t max)
{
    struct digest hash;
    struct bytes path;
    int32_t refused = path_argument(&path, call, at, len, false);
    uint32_t taken = max < sizeof hash.bytes ? max : (uint32_t)sizeof hash.bytes;
    uint8_t *target = memory(call, to, taken);

    if (refused != 0) return code(refused);
    if (target == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (durable_has(machine(call)->durable, path) == 0) return code(DURABLE_NOT_A_NODE);
    durable_hash(&hash, machine(call)->durable, path);
    memcpy(target, hash.bytes, taken);
    return taken;
}

/* The page of a hash (00 | digest) into the kernel. A page that cannot be had ends the run, to be
 * redone: the machine would wait inside of it. */
static uint32_t reveal_page(struct engine_call *call,
                            struct bytes hash,
                            uint8_t *target,
                            uint32_t max)
{
    struct pvm *pvm = machine(call);
    uint8_t page[REVEAL_PAGE_BYTES_MAX];
    struct digest wanted, got;

    if (hash.len != PAGE_HASH_BYTES || hash.data[0] != 0) return REVEAL_NOTHING;
    memcpy(wanted.bytes, hash.data + 1, sizeof wanted.bytes);
    size_t len = 0;
    if (pvm->options.reveal != NULL) len = pvm->options.reveal(pvm->options.context, page, &wanted);
    if (len > 0 && len <= sizeof page) {
        crypto_hash_one(&got, page, len);
        if (digest_equal(&got, &wanted)) {
            uint32_t taken = len < max ? (uint32_t)len : max;
            memcpy(target, page, taken);
            return taken;
        }
    }
    pvm->missing = wanted;
    longjmp(call->end, ENGINE_SUSPENDED);
}

static uint32_t call_reveal_preimage(struct engine_call *call,
                                     uint32_t hash,
                                     uint32_t len,
                                     uint32_t to,
                                     uint32_t max)
{
    const uint8_t *data = memory(call, hash, len);
    uint8_t *target = memory(call, to, max);

    if (data == NULL || target == NULL) return code(DURABLE_MEMORY_ACCESS);
    return reveal_page(call, (struct bytes){data, len}, target, max);
}

static uint32_t call_reveal_metadata(struct engine_call *call, uint32_t to, uint32_t max)
{
    const struct pvm_options *options = &machine(call)->options;
    uint8_t metadata[METADATA_BYTES];
    struct writer writer = writer_make(metadata, sizeof metadata);
    uint32_t taken = max < METADATA_BYTES ? max : METADATA_BYTES;
    uint8_t *target = memory(call, to, taken);

    if (target == NULL) return code(DURABLE_MEMORY_ACCESS);
    writer_copy(&writer, options->address, sizeof options->address);
    writer_u32_be(&writer, (uint32_t)options->origination_level);
    memcpy(target, metadata, taken);
    return taken;
}

/* Preimages and metadata; data availability slots do not exist here, and reveal nothing. */
static uint32_t call_reveal(struct engine_call *call,
                            uint32_t payload,
                            uint32_t len,
                            uint32_t to,
                            uint32_t max)
{
    const uint8_t *data = memory(call, payload, len);
    uint8_t *target = memory(call, to, max);

    if (data == NULL || target == NULL) return code(DURABLE_MEMORY_ACCESS);
    if (len == 1 && data[0] == REVEAL_METADATA) return call_reveal_metadata(call, to, max);
    if (len > 1 && data[0] == REVEAL_PREIMAGE) {
        return reveal_page(call, (struct bytes){data + 1, len - 1}, target, max);
    }
    return REVEAL_NOTHING;
}

const struct engine_host host_calls = {
    .read_input = call_read_input,
    .write_output = call_write_output,
    .write_debug = call_write_debug,
    .store_has = call_store_has,
    .store_exists = call_store_exists,
    .store_delete = call_store_delete,
    .store_delete_value = call_store_delete_value,
    .store_copy = call_store_copy,
    .store_move = call_store_move,
    .store_value_size = call_store_value_size,
    .store_list_size = call_store_list_size,
    .store_get_nth_key = call_store_get_nth_key,
    .store_read = call_store_read,
    .store_write = call_store_write,
    .store_create = call_store_create,
    .store_get_hash = call_store_get_hash,
    .reveal_preimage = call_reveal_preimage,
    .reveal_metadata = call_reveal_metadata,
    .reveal = call_reveal,
};
