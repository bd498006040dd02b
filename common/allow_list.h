/* The submitters that a node takes transactions from, by their Ed25519 keys. A file names them, one
 * per line, perhaps with limits of their own that hold instead of the node's:
 *
 *     # name    public key (64 hex digits)                                          limits per second
 *     wallet    d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
 *     bridge    3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c  transactions=500 bytes=1000000
 *
 * A limit of 0 is none. A list does not change; a new one takes its place. */
#ifndef COMMON_ALLOW_LIST_H
#define COMMON_ALLOW_LIST_H

#include "common/error_line.h"
#include "common/rate_limit.h"

#define ALLOW_ENTRIES_MAX    4096u
#define ALLOW_FILE_BYTES_MAX (1024u * 1024u)
#define ALLOW_NAME_BYTES_MAX 32u

struct allow_entry {
    struct public_key key;
    char name[ALLOW_NAME_BYTES_MAX + 1];
    struct rates rates;
    bool has_transactions; /* the line says so; else the node's limit holds */
    bool has_bytes;
};

struct allow_list {
    size_t count;
    struct allow_entry *entries; /* by key, ascending; distinct */
};

/* Reads a list from text; `path` is for the error line. ERR_MALFORMED; a list without a key would
 * lock everybody out and is refused. */
enum status allow_list_parse(struct allow_list **ret_list,
                             const char *path,
                             struct bytes text,
                             struct error_line *error);
enum status allow_list_load(struct allow_list **ret_list,
                            const char *path,
                            struct error_line *error);
void allow_list_free(struct allow_list *list); /* NULL is fine */

#endif
