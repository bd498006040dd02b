/* A bounded queue between threads: any number of senders, one receiver that sleeps in its event
 * loop on a file descriptor. The only place where threads of a node meet.
 *
 * The descriptor becomes readable when an item arrives in an empty mailbox, not once for each item:
 * the receiver first calls mailbox_drain_fd and then takes until NULL. A receiver that stops
 * earlier comes back by itself. Items are pointers; whoever takes one owns what it points to. */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include "common/base.h"

struct mailbox;

/* A mailbox for up to `capacity` >= 1 items. ERR_IO when no descriptor is to be had. */
enum status mailbox_open(struct mailbox **ret, size_t capacity);

/* Hands over an item (not NULL). False when full: the item stays the caller's. Any thread. */
bool mailbox_post(struct mailbox *mailbox, void *item);

/* The oldest item, NULL when there is none. Receiver only. */
void *mailbox_take(struct mailbox *mailbox);

/* Items waiting now. Any thread; for metrics and back-pressure. */
size_t mailbox_count(struct mailbox *mailbox);

/* Readable when something may be there. */
int mailbox_fd(const struct mailbox *mailbox);

/* Makes the descriptor unreadable again. Receiver only. */
void mailbox_drain_fd(struct mailbox *mailbox);

/* NULL is fine. Items left in the mailbox stay the caller's: take them first. */
void mailbox_close(struct mailbox *mailbox);

#endif
