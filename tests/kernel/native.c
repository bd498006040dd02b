/* Host functions for the native kernel: each copies its arguments into a small memory of the wasm kind, calls the
 * host library's function, and copies the result back. So both kernels meet the same host code. */
#include "tests/kernel/native.h"

#include <stdlib.h>

#include "rollup-kernel/host/pvm_state.h"
#include "rollup-kernel/kernel/host.h"

/* Where arguments lie: two paths, then data. */
#define AT_FIRST  0u
#define AT_SECOND 512u
#define AT_DATA   1024u

static uint8_t scratch[AT_DATA + 2 * HOST_MESSAGE_BYTES_MAX + 64];
static struct engine_call *active;

static uint32_t put(uint32_t at, const void *data, uint32_t len)
{
    CHECK(at + len < sizeof scratch);
    if (len > 0) memcpy(scratch + at, data, len);
    return at;
}

static int32_t take(void *to, uint32_t at, uint32_t result)
{
    if ((int32_t)result > 0) memcpy(to, scratch + at, result);
    return (int32_t)result;
}

int32_t read_input(struct host_message_info *ret_info, void *ret_message, uint32_t capacity)
{
    uint32_t len = active->host->read_input(active, AT_FIRST, AT_DATA, capacity);

    memcpy(ret_info, scratch + AT_FIRST, sizeof *ret_info);
    return take(ret_message, AT_DATA, len);
}

void write_debug(const char *text, uint32_t len)
{
    active->host->write_debug(active, put(AT_DATA, text, len), len);
}

int32_t store_has(const char *path, uint32_t len)
{
    return (int32_t)active->host->store_has(active, put(AT_FIRST, path, len), len);
}

int32_t store_delete(const char *path, uint32_t len)
{
    return (int32_t)active->host->store_delete(active, put(AT_FIRST, path, len), len);
}

int32_t store_copy(const char *from, uint32_t from_len, const char *to, uint32_t to_len)
{
    return (int32_t)active->host->store_copy(active, put(AT_FIRST, from, from_len), from_len,
                                             put(AT_SECOND, to, to_len), to_len);
}

int32_t store_move(const char *from, uint32_t from_len, const char *to, uint32_t to_len)
{
    return (int32_t)active->host->store_move(active, put(AT_FIRST, from, from_len), from_len,
                                             put(AT_SECOND, to, to_len), to_len);
}

int32_t store_value_size(const char *path, uint32_t len)
{
    return (int32_t)active->host->store_value_size(active, put(AT_FIRST, path, len), len);
}

int32_t store_read(const char *path,
                   uint32_t len,
                   uint32_t offset,
                   void *ret_data,
                   uint32_t capacity)
{
    put(AT_FIRST, path, len);
    return take(ret_data, AT_DATA,
                active->host->store_read(active, AT_FIRST, len, offset, AT_DATA, capacity));
}

int32_t store_write(const char *path,
                    uint32_t len,
                    uint32_t offset,
                    const void *data,
                    uint32_t data_len)
{
    put(AT_FIRST, path, len);
    put(AT_DATA, data, data_len);
    return (int32_t)active->host->store_write(active, AT_FIRST, len, offset, AT_DATA, data_len);
}

int32_t reveal_preimage(const void *hash, uint32_t hash_len, void *ret_page, uint32_t capacity)
{
    put(AT_FIRST, hash, hash_len);
    return take(ret_page, AT_DATA,
                active->host->reveal_preimage(active, AT_FIRST, hash_len, AT_DATA, capacity));
}

int32_t reveal_metadata(void *ret_metadata, uint32_t capacity)
{
    return take(ret_metadata, AT_DATA, active->host->reveal_metadata(active, AT_DATA, capacity));
}

static int native_entry(struct engine_call *call)
{
    call->memory = scratch;
    call->memory_bytes = sizeof scratch;
    active = call;
    int end = setjmp(call->end);
    if (end == ENGINE_RETURNED) kernel_run();
    return end;
}

engine_entry *const rig_entry = native_entry;
