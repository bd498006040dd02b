/* The worked example of docs/rollup.md: one pre-block with one batch of one transaction, certified
 * by a committee of one. The bytes are made here, run through the kernel, and looked for in the
 * page; with the argument `print` the block for the page is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/kernel/rig.h"

#define COLUMNS 48

static struct blob example; /* the text */

static void text(const char *line)
{
    blob_add(&example, line, strlen(line));
}

/* `label`, then the hex in indented lines. */
static void field(const char *label, const uint8_t *data, size_t len)
{
    char hex[2 * COLUMNS + 1];

    text("    ");
    text(label);
    text("\n");
    for (size_t at = 0; at < len; at += COLUMNS) {
        size_t part = len - at < COLUMNS ? len - at : COLUMNS;
        sodium_bin2hex(hex, sizeof hex, data + at, part);
        text("      ");
        text(hex);
        text("\n");
    }
}

static void add_state(struct rig *rig, const char *path)
{
    struct bytes value;
    char label[200];

    assert_true(durable_value(&value, pvm_durable(rig->pvm), durable_path(path)));
    snprintf(label, sizeof label, "%s", path);
    field(label, value.data, value.len);
}

static void build_example(void)
{
    static struct rig rig;
    struct chain chain;
    struct chain_batch batch = {0};
    struct blob message, config;
    uint8_t application = MODEL_LOG;
    char path[128], hex[65];

    chain_open(&chain, 1, 1);
    batch_add(&batch, "hello", 5);
    struct chain_preblock *preblock = chain_append(&chain, &batch, 1, 0);
    chain_config(&config, &chain, 0, &application, 1);
    field("configuration body (mode inbox, no contracts, application log):", config.data,
          config.len);
    field("committee digest, which is `previous` of pre-block 1:", chain.genesis, 32);
    field("batch of the transaction \"hello\":", preblock->batches[0].bytes.data,
          preblock->batches[0].bytes.len);
    field("its page:", preblock->pages[0].bytes.data, preblock->pages[0].bytes.len);
    field("the batch digest, which is the hash of that page:", preblock->batches[0].root, 32);
    field("the page of the manifest:", preblock->pages[1].bytes.data, preblock->pages[1].bytes.len);
    field("pre-block header:", preblock->header, sizeof preblock->header);
    field("its digest, which the committee signs:", preblock->digest, 32);

    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    message_segment_quorum(&message, &chain, 1, 1);
    field("segment message, as the external payload:", message.data, message.len);
    rig_add(&rig, &message, (struct model_message){MODEL_SEGMENT, 1, 1, NULL});
    message_page(&message, &chain, 1, 0, &preblock->pages[1].bytes);
    field("page message with the manifest, attempt 0:", message.data, message.len);
    rig_add(&rig, &message, (struct model_message){MODEL_PAGE, 1, 1, NULL});
    rig_page(&rig, 1, 0, 0);
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.applied, 1);

    text("    what the kernel has stored after that level and the page of the batch:\n");
    add_state(&rig, "/accepted");
    add_state(&rig, "/accepted/digest");
    add_state(&rig, "/index");
    add_state(&rig, "/head");
    add_state(&rig, "/blocks/1");
    add_state(&rig, "/state/cursor");
    add_state(&rig, "/state/app/root");
    sodium_bin2hex(hex, sizeof hex, preblock->pages[0].digest, 32);
    snprintf(path, sizeof path, "/pages/1/%s", hex);
    assert_int_equal(durable_has(pvm_durable(rig.pvm), durable_path(path)), 0);
    rig_close(&rig);
    chain_close(&chain);
    blob_free(&config);
}

static void the_manual_shows_the_bytes_of_today(void **state)
{
    static char page[256 * 1024];
    FILE *file = fopen(DOCS_PAGE, "rb");

    (void)state;
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    page[len] = '\0';
    assert_non_null(strstr(page, (const char *)example.data));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_manual_shows_the_bytes_of_today)};

    build_example();
    blob_u8(&example, 0);
    if (argc == 2 && strcmp(argv[1], "print") == 0) {
        fputs((const char *)example.data, stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
