/* A stream kept in a file: for each item its length (u32 LE) and the encoded exporter.SubDag.
 * Written by dsn-listener --save, read by dsn verify and the tests. */
#ifndef CONSENSUS_TOOLS_SAVED_H
#define CONSENSUS_TOOLS_SAVED_H

#include "common/error_line.h"

/* An item is at most this long: the gRPC message limit and some slack. */
#define SAVED_ITEM_BYTES_MAX (8u * 1024u * 1024u)

struct saved;

/* For reading. ERR_IO with a line. */
enum status saved_open(struct saved **ret_saved, const char *path, struct error_line *error);

/* For writing, from the beginning. ERR_IO with a line. */
enum status saved_create(struct saved **ret_saved, const char *path, struct error_line *error);

void saved_close(struct saved *saved); /* NULL is fine */

/* The next item; its view is valid until the next call. ERR_NOT_FOUND at the end, ERR_CORRUPT in
 * the middle of an item. */
enum status saved_read(struct saved *saved, struct bytes *ret_subdag);

/* ERR_IO when it cannot be written whole. */
enum status saved_write(struct saved *saved, struct bytes subdag);

#endif
