/* committee.json: the committee record of common/committee.h with names and addresses, as people
 * edit it.
 *
 *   { "network": 64 hex digits, "epoch": 0,
 *     "authorities": [ { "name": "node-1", "key": 64 hex, "network_key": 64 hex, "stake": 1,
 *         "primary_address": "127.0.0.1:64010",       mesh, control plane
 *         "export_address": "127.0.0.1:64011",        gRPC, pre-blocks
 *         "transactions_address": "127.0.0.1:64012",  gRPC, transactions
 *         "worker_address": "127.0.0.1:64013",        mesh, batches
 *         "http_address": "127.0.0.1:64014" }, ... ] }
 *
 * Every field is required and no other is allowed. The order of the list is the order of the
 * indexes. */
#ifndef COMMON_COMMITTEE_FILE_H
#define COMMON_COMMITTEE_FILE_H

#include "common/address.h"
#include "common/committee.h"
#include "common/error_line.h"

#define AUTHORITY_NAME_BYTES_MAX 64u

struct authority_entry {
    char name[AUTHORITY_NAME_BYTES_MAX]; /* letters, digits, '-', '_', '.'; distinct */
    struct address primary;
    struct address exporter;
    struct address transactions;
    struct address worker;
    struct address http;
};

/* About 140 KB: keep it on the heap or static. */
struct committee_file {
    struct committee committee;
    struct authority_entry entries[AUTHORITIES_MAX];
};

/* Reads a file. ERR_IO, ERR_MALFORMED (not JSON) or ERR_CONFIG, with a line that names file and
 * field. */
enum status committee_file_load(struct committee_file *ret,
                                const char *path,
                                struct error_line *error);

/* The same from memory; `name` stands for the file in error lines. */
enum status committee_file_parse(struct committee_file *ret,
                                 const char *name,
                                 const char *text,
                                 size_t len,
                                 struct error_line *error);

/* The file's text, two spaces of indentation, with a final newline. To be freed with free(). */
char *committee_file_text(const struct committee_file *file);

/* Replaces the file as a whole, or leaves it as it was. ERR_IO. */
enum status committee_file_save(const struct committee_file *file,
                                const char *path,
                                struct error_line *error);

/* True, with a line to log, when one stake alone exceeds F: that member can stop the network. */
bool committee_file_warning(struct error_line *ret, const struct committee_file *file);

/* Index of the member that signs with `key`. ERR_NOT_FOUND. */
enum status committee_file_find(authority_t *ret,
                                const struct committee_file *file,
                                const struct public_key *key);

#endif
