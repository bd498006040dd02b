/* Where reveals come from: files named by 66 hex digits (00 | digest) in a directory, and behind it
 * an endpoint that is asked with GET URL/<66 hex digits>; what it gives is kept in the directory.
 * Blocking, as the machine's run waits for the page; an answer that takes longer than a few seconds
 * is none. */
#ifndef HOST_PREIMAGES_H
#define HOST_PREIMAGES_H

#include "common/address.h"
#include "common/error_line.h"

struct preimages;

/* `directory` is made when missing. `endpoint` NULL or "http://host:port[/path]". ERR_CONFIG or
 * ERR_IO with a line. */
enum status preimages_open(struct preimages **ret_preimages,
                           const char *directory,
                           const char *endpoint,
                           struct error_line *error);
void preimages_close(struct preimages *preimages); /* NULL is fine */

/* The page into `ret_page` (4,096 bytes); its length, 0 when it cannot be had now. */
size_t preimages_get(struct preimages *preimages, uint8_t *ret_page, const struct digest *digest);

/* Stores a page under its hash. False when it cannot be written. */
bool preimages_put(struct preimages *preimages, const uint8_t *page, size_t len);

/* The page in a whole answer of the endpoint (HTTP, up to the end of the connection), at most 4,096 bytes; empty when
 * it is not one of status 200. What its hash is, is not looked at. */
struct bytes preimages_answer_page(const char *answer, size_t len);

#endif
