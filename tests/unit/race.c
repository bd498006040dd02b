/* Shows that a build with the thread sanitizer sees a race between threads that meet in a mailbox: the sender
 * writes a value, posts it, and with --race writes it again while the receiver reads. Without, no race. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/mailbox.h"

#define ITEMS 1000

struct item {
    int value;
};

static struct mailbox *mailbox;
static struct item items[ITEMS];

static void *receive(void *argument)
{
    long *sum = argument;
    int left = ITEMS;

    while (left > 0) {
        const struct item *item = mailbox_take(mailbox);
        if (item == NULL) continue;
        *sum += item->value;
        left--;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const bool race = argc > 1 && strcmp(argv[1], "--race") == 0;
    pthread_t receiver;
    long sum = 0;

    CHECK(mailbox_open(&mailbox, ITEMS) == OK);
    CHECK(pthread_create(&receiver, NULL, receive, &sum) == 0);
    for (int i = 0; i < ITEMS; i++) {
        items[i].value = 1;
        CHECK(mailbox_post(mailbox, &items[i]));
        if (race) items[i].value = 2;
    }
    CHECK(pthread_join(receiver, NULL) == 0);
    mailbox_close(mailbox);
    printf("%ld\n", sum);
    return 0;
}
