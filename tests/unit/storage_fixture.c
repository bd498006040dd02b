#include "tests/unit/storage_fixture.h"

#include <poll.h>
#include <stdlib.h>

#include "consensus/core/records.h"

#define DEADLINE_MS 20000

size_t fixture_found_count;

static void count_found(void *context, const struct batch_record *record)
{
    (void)context;
    assert_true(record->bytes > 0);
    fixture_found_count++;
}

struct storage_options fixture_options(const struct world *world, enum store_mode mode)
{
    return (struct storage_options){.store = world_store_options(world, mode),
                                    .segment_bytes = SEGMENT_BYTES,
                                    .ring_bytes = 4 * 65536,
                                    .found = count_found};
}

void fixture_start(struct fixture *fixture, enum store_mode mode)
{
    const struct storage_options options = fixture_options(fixture->world, mode);

    fixture_found_count = 0;
    if (storage_open(&fixture->storage, fixture->world->error, &options) != OK) {
        fail_msg("%s", fixture->world->error);
    }
    assert_int_equal(storage_client_open(&fixture->client, fixture->storage, IN_FLIGHT), OK);
}

void fixture_stop(struct fixture *fixture)
{
    storage_close(fixture->storage);
    storage_client_close(fixture->client);
}

struct fixture fixture_open(void)
{
    struct fixture fixture = {.world = world_open()};

    fixture_start(&fixture, STORE_INIT);
    return fixture;
}

void fixture_restart(struct fixture *fixture)
{
    fixture_stop(fixture);
    fixture_start(fixture, STORE_EXISTING);
}

void fixture_close(struct fixture *fixture)
{
    fixture_stop(fixture);
    world_close(fixture->world);
}

struct storage_request *fixture_take(struct storage_client *client)
{
    for (;;) {
        struct storage_request *request = storage_client_take(client);
        if (request != NULL) return request;
        struct pollfd poll_fd = {.fd = storage_client_fd(client), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
        storage_client_drain_fd(client);
    }
}

enum status fixture_take_status(struct storage_client *client)
{
    struct storage_request *request = fixture_take(client);
    const enum status status = request->status;

    storage_request_free(request);
    return status;
}

struct storage_request *fixture_ask(struct fixture *fixture, struct storage_request *request)
{
    assert_true(storage_submit(fixture->client, request));
    struct storage_request *answer = fixture_take(fixture->client);
    assert_ptr_equal(answer, request);
    return answer;
}

void fixture_append(struct fixture *fixture, uint64_t number)
{
    struct batch_log_item item = world_batch(number, BATCH_BYTES);

    assert_true(storage_submit_append(fixture->client, item.buffer, &item.record, NULL));
    buffer_unref(item.buffer);
    assert_int_equal(fixture_take_status(fixture->client), OK);
}

struct bytes fixture_key(uint8_t *memory, uint64_t number)
{
    return (struct bytes){memory, key_of_number(memory, number)};
}

void fixture_put(struct store_batch *batch, enum core_table table, uint64_t key, uint64_t value)
{
    uint8_t key_memory[CORE_KEY_BYTES_MAX];
    uint8_t value_memory[8];
    struct writer writer = writer_make(value_memory, sizeof value_memory);

    writer_u64(&writer, value);
    store_batch_put(batch, table, fixture_key(key_memory, key), writer_view(&writer));
}

void fixture_commit(struct fixture *fixture, struct store_batch *batch)
{
    assert_true(storage_submit_commit(fixture->client, batch, 1));
    assert_int_equal(fixture_take_status(fixture->client), OK);
}

bool fixture_has_row(struct fixture *fixture, enum core_table table, struct bytes key)
{
    uint8_t *value = NULL;
    size_t len = 0;
    const enum status status = store_get(storage_store(fixture->storage), &value, &len, table, key);

    if (status == OK) free(value);
    return status == OK;
}
