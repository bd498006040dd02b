#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/bytes.h"
#include "consensus/node/store_internal.h"

#define IDENTITY_KEY "identity"

enum status store_refuse_rocksdb(char *ret_error, const char *path, char *error)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%s", error);
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\n') *at = ' ';
    }
    const enum status status = store_status_of(error);
    if (status == ERR_CORRUPT) {
        return store_refuse(ret_error, status, "%s: corrupt store, start with --rejoin: %s", path,
                            text);
    }
    return store_refuse(ret_error, status, "%s: %s", path, text);
}

enum status store_identity_write(struct store *store, bool sync)
{
    uint8_t memory[STORE_IDENTITY_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);

    store_identity_encode(&writer, &store->identity);
    CHECK(!writer.failed);
    CHECK(writer.len == sizeof memory);

    char *error = NULL;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(options, sync);
    rocksdb_put_cf(store->db, options, store->default_family, IDENTITY_KEY, strlen(IDENTITY_KEY),
                   (const char *)memory, writer.len, &error);
    rocksdb_writeoptions_destroy(options);
    return store_status_of(error);
}

enum status store_identity_read(struct store *store, char *ret_error)
{
    char *error = NULL;
    size_t len = 0;
    char *value = rocksdb_get_cf(store->db, store->read_options, store->default_family,
                                 IDENTITY_KEY, strlen(IDENTITY_KEY), &len, &error);

    if (error != NULL) return store_refuse_rocksdb(ret_error, store->path, error);
    const struct bytes row = {(const uint8_t *)value, value == NULL ? 0 : len};
    const enum status status = store_identity_decode(&store->identity, row);
    rocksdb_free(value);

    if (status == ERR_VERSION) {
        const bool newer = store->identity.schema > STORE_SCHEMA;
        return store_refuse(ret_error, ERR_VERSION,
                            "%s: schema %u is %s than this program's %u, %s", store->path,
                            store->identity.schema, newer ? "newer" : "older", STORE_SCHEMA,
                            newer ? "use the newer program" : "start with --rejoin");
    }
    if (status != OK) {
        return store_refuse(ret_error, ERR_CORRUPT,
                            "%s: corrupt store, start with --rejoin: no valid identity row",
                            store->path);
    }
    return OK;
}

/* Is this store ours, and is what it says true? */
enum status store_identity_check(const struct store *store,
                                 char *ret_error,
                                 const struct store_options *options,
                                 const char *boot_id)
{
    const struct store_identity *identity = &store->identity;

    if (!digest_equal(&identity->committee, &options->committee->digest)) {
        char theirs[17];
        char ours[17];
        hex_encode(theirs, identity->committee.bytes, 8);
        hex_encode(ours, options->committee->digest.bytes, 8);
        return store_refuse(
            ret_error, ERR_CONFLICT,
            "%s: belongs to committee %s..., not %s...; name another data directory "
            "(and --init there)",
            store->path, theirs, ours);
    }
    if (identity->self != options->self ||
        memcmp(&identity->key, &options->committee->members[options->self].key,
               sizeof identity->key) != 0) {
        return store_refuse(ret_error, ERR_CONFLICT,
                            "%s: belongs to member %u, not %u; name another data directory",
                            store->path, identity->self + 1u, options->self + 1u);
    }
    if (identity->unsynced && strcmp(identity->boot_id, boot_id) != 0) {
        return store_refuse(
            ret_error, ERR_STALE,
            "%s: was written with sync=process before the last reboot and may have lost its "
            "latest votes, start with --rejoin",
            store->path);
    }
    return OK;
}

enum status store_read_boot_id(char *ret_boot_id,
                               char *ret_error,
                               const struct store_options *options)
{
    if (options->boot_id != NULL) {
        CHECK(strlen(options->boot_id) == STORE_BOOT_ID_BYTES - 1);
        memcpy(ret_boot_id, options->boot_id, STORE_BOOT_ID_BYTES);
        return OK;
    }
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd < 0 ? -1 : read(fd, ret_boot_id, STORE_BOOT_ID_BYTES - 1);

    if (fd >= 0) (void)close(fd);
    if (len != (ssize_t)STORE_BOOT_ID_BYTES - 1) {
        return store_refuse(ret_error, ERR_IO, "%s: can not be read", path);
    }
    ret_boot_id[STORE_BOOT_ID_BYTES - 1] = '\0';
    return OK;
}

/* Says in the store how it is going to be written from now on. Data of an earlier run with
 * SYNC_PROCESS in this boot may still be in the page cache only: it is synced before the store
 * claims to be. */
enum status store_identity_renew(struct store *store, char *ret_error, const char *boot_id)
{
    if (store->identity.unsynced && store->sync == SYNC_ALWAYS && syncfs(store->lock_fd) != 0) {
        return store_refuse(ret_error, ERR_IO, "%s: sync: %s", store->path, strerror(errno));
    }
    store->identity.unsynced = store->sync == SYNC_PROCESS;
    memcpy(store->identity.boot_id, boot_id, STORE_BOOT_ID_BYTES);
    if (store_identity_write(store, true) != OK) {
        return store_refuse(ret_error, ERR_IO, "%s: can not be written", store->path);
    }
    return OK;
}
