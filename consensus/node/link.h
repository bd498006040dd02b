/* Doubly linked rings threaded through the items themselves: an item joins and leaves in constant
 * time and without memory. A head is a link that belongs to no item; an item that is in no ring
 * points to itself, so leaving twice is harmless. Links must not be moved or copied while they are
 * in a ring. */
#ifndef CONSENSUS_NODE_LINK_H
#define CONSENSUS_NODE_LINK_H

#include "common/base.h"

struct link {
    struct link *next;
    struct link *previous;
};

/* The item of type `type` whose member `member` is `link`. */
#define LINK_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void link_init(struct link *link)
{
    link->next = link;
    link->previous = link;
}

static inline bool link_is_alone(const struct link *link)
{
    return link->next == link;
}

/* Takes the link out of whatever ring it is in. */
static inline void link_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

/* Puts a link that is in no ring at the end of the ring of `head`. */
static inline void link_append(struct link *head, struct link *link)
{
    CHECK(link_is_alone(link));
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

#endif
