#include "consensus/tools/saved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"

struct saved {
    FILE *file;
    uint8_t *item;
    size_t capacity;
};

static enum status open_file(struct saved **ret_saved,
                             const char *path,
                             const char *mode,
                             struct error_line *error)
{
    FILE *file = fopen(path, mode);
    struct saved *saved;

    if (file == NULL) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    saved = calloc(1, sizeof *saved);
    CHECK(saved != NULL);
    saved->file = file;
    *ret_saved = saved;
    return OK;
}

enum status saved_open(struct saved **ret_saved, const char *path, struct error_line *error)
{
    return open_file(ret_saved, path, "rb", error);
}

enum status saved_create(struct saved **ret_saved, const char *path, struct error_line *error)
{
    return open_file(ret_saved, path, "wb", error);
}

void saved_close(struct saved *saved)
{
    if (saved == NULL) return;
    fclose(saved->file);
    free(saved->item);
    free(saved);
}

enum status saved_read(struct saved *saved, struct bytes *ret_subdag)
{
    uint8_t prefix[4];
    size_t got = fread(prefix, 1, sizeof prefix, saved->file);
    struct reader reader = reader_make(prefix, sizeof prefix);
    uint32_t len = reader_u32(&reader);

    if (got == 0) return ERR_NOT_FOUND;
    if (got < sizeof prefix || len > SAVED_ITEM_BYTES_MAX) return ERR_CORRUPT;
    if (len > saved->capacity) {
        free(saved->item);
        saved->item = malloc(len);
        CHECK(saved->item != NULL);
        saved->capacity = len;
    }
    if (fread(saved->item, 1, len, saved->file) != len) return ERR_CORRUPT;
    *ret_subdag = (struct bytes){saved->item, len};
    return OK;
}

enum status saved_write(struct saved *saved, struct bytes subdag)
{
    uint8_t prefix[4];
    struct writer writer = writer_make(prefix, sizeof prefix);

    CHECK(subdag.len <= SAVED_ITEM_BYTES_MAX);
    writer_u32(&writer, (uint32_t)subdag.len);
    if (fwrite(prefix, 1, sizeof prefix, saved->file) != sizeof prefix) return ERR_IO;
    if (fwrite(subdag.data, 1, subdag.len, saved->file) != subdag.len) return ERR_IO;
    return fflush(saved->file) == 0 ? OK : ERR_IO;
}
