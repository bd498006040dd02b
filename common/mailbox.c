#include "common/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Invariants, under the lock: count <= capacity; the items are ring[first .. first + count - 1],
 * wrapping. */
struct mailbox {
    pthread_mutex_t lock;
    int fd;
    size_t capacity;
    size_t first;
    size_t count;
    void *ring[];
};

enum status mailbox_open(struct mailbox **ret, size_t capacity)
{
    CHECK(capacity >= 1);

    struct mailbox *mailbox = malloc(sizeof *mailbox + capacity * sizeof mailbox->ring[0]);
    CHECK(mailbox != NULL);
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->fd < 0) {
        free(mailbox);
        return ERR_IO;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->capacity = capacity;
    mailbox->first = 0;
    mailbox->count = 0;
    *ret = mailbox;
    return OK;
}

bool mailbox_post(struct mailbox *mailbox, void *item)
{
    CHECK(item != NULL);

    pthread_mutex_lock(&mailbox->lock);
    bool room = mailbox->count < mailbox->capacity;
    bool wake = mailbox->count == 0;
    if (room) {
        mailbox->ring[(mailbox->first + mailbox->count) % mailbox->capacity] = item;
        mailbox->count++;
    }
    pthread_mutex_unlock(&mailbox->lock);

    /* Cannot fail: the counter would need 2^64 - 1 wake-ups that nobody drained. */
    if (room && wake) CHECK(eventfd_write(mailbox->fd, 1) == 0);
    return room;
}

void *mailbox_take(struct mailbox *mailbox)
{
    void *item = NULL;

    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count > 0) {
        item = mailbox->ring[mailbox->first];
        mailbox->first = (mailbox->first + 1) % mailbox->capacity;
        mailbox->count--;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return item;
}

size_t mailbox_count(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    size_t count = mailbox->count;
    pthread_mutex_unlock(&mailbox->lock);
    return count;
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

void mailbox_drain_fd(struct mailbox *mailbox)
{
    eventfd_t value;
    /* Nothing to read is fine: somebody drained it already. */
    if (eventfd_read(mailbox->fd, &value) != 0) CHECK(errno == EAGAIN);
}

void mailbox_close(struct mailbox *mailbox)
{
    if (mailbox == NULL) return;
    close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}
