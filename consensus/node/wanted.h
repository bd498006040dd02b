/* Batches that the core or a repair (repairs.h) asked peers for: an answer to anything else is refused, so that
 * nobody can make this node store what it likes under the name of an answer.
 *
 * Bounded, oldest forgotten first. A batch that never comes must not take the place of one that may: a
 * member can name batches that never were, and each is asked for. What is forgotten here and still
 * missing is asked for again by the timer of who asked, which notes it again. Loop thread only. */
#ifndef CONSENSUS_NODE_WANTED_H
#define CONSENSUS_NODE_WANTED_H

#include "common/base.h"

/* Batches remembered: the core asks for some tens at a time, again every 200 ms. */
#define WANTED_MAX 4096u

struct wanted;

/* Never NULL. */
struct wanted *wanted_open(void);
void wanted_close(struct wanted *wanted); /* NULL is fine */

/* The batch is asked for. */
void wanted_add(struct wanted *wanted, const struct digest *digest);

/* It came, or nobody waits for it any more. True when it was asked for. */
bool wanted_remove(struct wanted *wanted, const struct digest *digest);

size_t wanted_count(const struct wanted *wanted);

#endif
