#include "rollup-kernel/kernel/storage.h"

#include "common/bytes.h"
#include "rollup-kernel/kernel/host.h"

#define DECIMAL_DIGITS_MAX 20u

static void path_add(struct path *path, const char *text)
{
    while (*text != '\0') {
        CHECK(path->len < PATH_BYTES_MAX);
        path->text[path->len++] = *text++;
    }
}

void path_set(struct path *ret_path, const char *text)
{
    ret_path->len = 0;
    path_add(ret_path, text);
}

void path_add_number(struct path *path, uint64_t number)
{
    char digits[DECIMAL_DIGITS_MAX + 2];
    char *first = digits + sizeof digits - 1;

    *first = '\0';
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    *--first = '/';
    path_add(path, first);
}

void path_add_digest(struct path *path, const struct digest *digest)
{
    char text[2 * sizeof digest->bytes + 2] = "/";

    hex_encode(text + 1, digest->bytes, sizeof digest->bytes);
    path_add(path, text);
}

bool storage_has(const struct path *path)
{
    return store_has(path->text, path->len) > 0;
}

uint32_t storage_size(const struct path *path)
{
    int32_t size = store_value_size(path->text, path->len);

    return size < 0 ? 0 : (uint32_t)size;
}

uint32_t storage_read_at(const struct path *path,
                         uint32_t offset,
                         void *ret_data,
                         uint32_t capacity)
{
    uint32_t done = 0;

    while (done < capacity) {
        uint32_t slice = capacity - done;
        if (slice > HOST_STORE_BYTES_MAX) slice = HOST_STORE_BYTES_MAX;
        int32_t got =
            store_read(path->text, path->len, offset + done, (uint8_t *)ret_data + done, slice);
        if (got <= 0) break;
        done += (uint32_t)got;
        if ((uint32_t)got < slice) break;
    }
    return done;
}

uint32_t storage_read(const char *text, void *ret_data, uint32_t capacity)
{
    struct path path;

    path_set(&path, text);
    return storage_read_at(&path, 0, ret_data, capacity);
}

void storage_write_at(const struct path *path, uint32_t offset, const void *data, uint32_t len)
{
    uint32_t done = 0;

    do {
        uint32_t slice = len - done;
        if (slice > HOST_STORE_BYTES_MAX) slice = HOST_STORE_BYTES_MAX;
        CHECK(store_write(path->text, path->len, offset + done, (const uint8_t *)data + done,
                          slice) == 0);
        done += slice;
    } while (done < len);
}

void storage_write(const char *text, const void *data, uint32_t len)
{
    struct path path;

    path_set(&path, text);
    storage_write_at(&path, 0, data, len);
}

void storage_delete(const struct path *path)
{
    store_delete(path->text, path->len);
}

void storage_delete_at(const char *text)
{
    struct path path;

    path_set(&path, text);
    storage_delete(&path);
}

void storage_copy(const char *from, const char *to)
{
    struct path source, target;

    path_set(&source, from);
    path_set(&target, to);
    CHECK(store_copy(source.text, source.len, target.text, target.len) == 0);
}

void storage_move(const char *from, const struct path *to)
{
    struct path source;

    path_set(&source, from);
    CHECK(store_move(source.text, source.len, to->text, to->len) == 0);
}

uint64_t storage_read_u64(const char *text)
{
    uint64_t value = 0;

    storage_read(text, &value, sizeof value);
    return __builtin_bswap64(value);
}

void storage_write_u64(const char *text, uint64_t value)
{
    value = __builtin_bswap64(value);
    storage_write(text, &value, sizeof value);
}

void storage_write_u32(const char *text, uint32_t value)
{
    value = __builtin_bswap32(value);
    storage_write(text, &value, sizeof value);
}

void debug_number(const char *text, uint64_t number)
{
    struct path line;

    path_set(&line, text);
    uint32_t at = line.len;
    path_add_number(&line, number);
    line.text[at] = ' '; /* where a path has its slash */
    path_add(&line, "\n");
    write_debug(line.text, line.len);
}
