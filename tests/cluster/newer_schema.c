/* newer_schema DATA_DIR: raises the schema number of a store that is not in use, as a newer version of
 * the program would have left it. */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base.h"

#define FAMILIES_MAX 32u

static void check_done(const char *error)
{
    if (error == NULL) return;
    fprintf(stderr, "newer_schema: %s\n", error);
    exit(EXIT_FAILURE);
}

static void raise_schema(rocksdb_t *db)
{
    rocksdb_readoptions_t *reading = rocksdb_readoptions_create();
    rocksdb_writeoptions_t *writing = rocksdb_writeoptions_create();
    char *error = NULL;
    size_t len = 0;
    char *row = rocksdb_get(db, reading, "identity", 8, &len, &error);

    check_done(error);
    CHECK(row != NULL);
    row[0]++; /* the schema number is first, little-endian */
    rocksdb_put(db, writing, "identity", 8, row, len, &error);
    check_done(error);
    rocksdb_free(row);
    rocksdb_readoptions_destroy(reading);
    rocksdb_writeoptions_destroy(writing);
}

int main(int argc, char **argv)
{
    char path[4096];
    char *error = NULL;
    size_t count = 0;
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *each[FAMILIES_MAX];
    rocksdb_column_family_handle_t *handles[FAMILIES_MAX];

    if (argc != 2) return 2;
    snprintf(path, sizeof path, "%s/meta", argv[1]);
    char **names = rocksdb_list_column_families(options, path, &count, &error);
    check_done(error);
    CHECK(count <= FAMILIES_MAX);
    for (size_t i = 0; i < count; i++)
        each[i] = options;
    rocksdb_t *db = rocksdb_open_column_families(options, path, (int)count,
                                                 (const char *const *)names, each, handles, &error);
    check_done(error);
    raise_schema(db);
    for (size_t i = 0; i < count; i++)
        rocksdb_column_family_handle_destroy(handles[i]);
    rocksdb_close(db);
    rocksdb_list_column_families_destroy(names, count);
    rocksdb_options_destroy(options);
    return EXIT_SUCCESS;
}
