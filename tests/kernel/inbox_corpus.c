/* inbox_corpus DIRECTORY: inputs for tests/fuzz/fuzz_inbox.c, made of what is valid on its chain. Run by hand when the
 * formats change:  ninja tests/kernel/inbox_corpus && tests/kernel/inbox_corpus tests/fuzz/corpus/inbox */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kernel/chain.h"

#define FRAME 22 /* 00, address, tag */

static void save(const char *directory, const char *name, const struct blob *input)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(input->data, 1, input->len, file) != input->len ||
        fclose(file) != 0) {
        fprintf(stderr, "inbox_corpus: cannot write %s\n", path);
        exit(1);
    }
}

/* A framed message as the driver reads it: length, tag, body. */
static void add(struct blob *input, struct blob *message)
{
    blob_little(input, message->len - FRAME + 1, 2);
    blob_add(input, message->data + FRAME - 1, message->len - FRAME + 1);
    blob_free(message);
}

static void add_segment(struct blob *input,
                        const struct chain *chain,
                        uint64_t first,
                        uint64_t last)
{
    struct blob message;

    message_segment_quorum(&message, chain, first, last);
    add(input, &message);
}

static void add_pages(struct blob *input, const struct chain *chain, uint64_t index)
{
    const struct chain_preblock *preblock = &chain->preblocks[index - 1];
    struct blob message;

    for (int page = preblock->pages_count; page-- > 0;) {
        message_page(&message, chain, index, 0, &preblock->pages[page].bytes);
        add(input, &message);
    }
}

int main(int argc, char **argv)
{
    struct chain chain;
    uint64_t random = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: inbox_corpus DIRECTORY\n");
        return 2;
    }
    /* The same chain as the driver's. */
    chain_open(&chain, 99, 4);
    for (int i = 0; i < 4; i++) {
        struct chain_batch batches[2];
        batch_random(&batches[0], &random, 3, 60);
        batch_random(&batches[1], &random, 40, 300);
        chain_append(&chain, batches, 2, 0);
    }
    struct blob pages = {0}, segments = {0}, both = {0}, old = {0};
    add_pages(&pages, &chain, 2);
    save(argv[1], "pages", &pages);
    add_segment(&segments, &chain, 4, 4);
    add_segment(&segments, &chain, 2, 3);
    save(argv[1], "segments", &segments);
    add_segment(&both, &chain, 3, 4);
    add_pages(&both, &chain, 2);
    add_pages(&both, &chain, 3);
    save(argv[1], "all", &both);
    add_segment(&old, &chain, 1, 1);
    add_segment(&old, &chain, 1, 2);
    save(argv[1], "old", &old);
    blob_free(&pages);
    blob_free(&segments);
    blob_free(&both);
    blob_free(&old);
    chain_close(&chain);
    return 0;
}
