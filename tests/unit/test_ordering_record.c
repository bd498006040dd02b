/* Goal: the bytes of an ordering record are read back as they were written, and nothing else is
 * taken for one. Method: a record by hand; every truncation, every flipped bit, and each rule
 * broken once. */
#include "tests/unit/unit.h"

#include "consensus/core/ordering_record.h"

static struct vertex_ref ref_of(round_t round, authority_t author)
{
    struct vertex_ref ref = {round, author, {{0}}};
    memset(ref.digest.bytes, (int)(16 * round + author), sizeof ref.digest.bytes);
    return ref;
}

static struct ordering_batch batch_of(uint8_t name)
{
    struct ordering_batch batch = {{{0}}, name};
    memset(batch.digest.bytes, name, sizeof batch.digest.bytes);
    return batch;
}

struct recipe {
    struct ordering_record head;
    struct commit_slot skipped[3];
    struct vertex_ref vertices[4];
    uint8_t memory[2000];
};

static struct recipe recipe_make(void)
{
    struct recipe recipe = {
        .head = {.sequence = 9, .previous_round = 4, .created_at = 1234, .excluded = {{5, 6}}},
        .skipped = {{5, 1}, {7, 2}},
        .vertices = {ref_of(5, 0), ref_of(5, 3), ref_of(8, 1), ref_of(9, 2)},
    };
    memset(&recipe.head.previous, 0xab, sizeof recipe.head.previous);
    recipe.head.anchor = recipe.vertices[3];
    recipe.head.skipped_count = 2;
    recipe.head.vertices_count = 4;
    return recipe;
}

/* Vertex 1 has two new batches, the anchor one. */
static struct bytes recipe_encode(struct recipe *recipe)
{
    struct ordering_encoder encoder;
    struct ordering_batch batches[] = {batch_of(1), batch_of(2), batch_of(3)};

    ordering_encoder_begin(&encoder, recipe->memory, sizeof recipe->memory, &recipe->head,
                           recipe->skipped);
    ordering_encoder_vertex(&encoder, &recipe->vertices[0], NULL, 0);
    ordering_encoder_vertex(&encoder, &recipe->vertices[1], batches, 2);
    ordering_encoder_vertex(&encoder, &recipe->vertices[2], NULL, 0);
    ordering_encoder_vertex(&encoder, &recipe->vertices[3], batches + 2, 1);
    return ordering_encoder_finish(&encoder);
}

static enum status open_recipe(struct recipe *recipe)
{
    struct ordering_record record;
    return ordering_record_open(&record, recipe_encode(recipe));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct recipe recipe = recipe_make();
    struct ordering_record record;
    struct ordering_vertex vertex;
    struct ordering_batch batch;
    assert_int_equal(ordering_record_open(&record, recipe_encode(&recipe)), OK);
    assert_int_equal(record.sequence, 9);
    assert_int_equal(record.previous_round, 4);
    assert_int_equal(record.created_at, 1234);
    assert_memory_equal(&record.previous, &recipe.head.previous, 32);
    assert_memory_equal(&record.excluded, &recipe.head.excluded, sizeof record.excluded);
    assert_int_equal(record.batches_count, 3);
    assert_int_equal(record.anchor.author, 2);
    assert_int_equal(ordering_record_skipped(&record, 1).round, 7);
    assert_int_equal(ordering_record_skipped(&record, 1).author, 2);

    struct ordering_cursor cursor = ordering_record_begin(&record);
    for (int i = 0; i < 4; i++) {
        assert_true(ordering_record_next(&cursor, &vertex));
        assert_int_equal(vertex.ref.round, recipe.vertices[i].round);
        assert_int_equal(vertex.ref.author, recipe.vertices[i].author);
        assert_memory_equal(&vertex.ref.digest, &recipe.vertices[i].digest, 32);
        assert_int_equal(vertex.batches, i == 1 ? 2 : i == 3);
        /* The second batch of vertex 1 is passed over. */
        assert_int_equal(ordering_record_next_batch(&cursor, &batch), vertex.batches > 0);
        if (vertex.batches > 0) assert_int_equal(batch.worker, i == 1 ? 1 : 3);
    }
    assert_false(ordering_record_next_batch(&cursor, &batch));
    assert_false(ordering_record_next(&cursor, &vertex));
}

static void truncated_or_longer_is_corrupt(void **state)
{
    (void)state;
    struct recipe recipe = recipe_make();
    struct ordering_record record;
    struct bytes bytes = recipe_encode(&recipe);
    size_t len = bytes.len;
    for (bytes.len = 0; bytes.len < len; bytes.len++)
        assert_int_equal(ordering_record_open(&record, bytes), ERR_CORRUPT);
    bytes.len = len + 1;
    assert_int_equal(ordering_record_open(&record, bytes), ERR_CORRUPT);
}

/* A flipped bit is refused, or gives another digest; either way the chain notices. */
static void flipped_bits_never_crash(void **state)
{
    (void)state;
    struct recipe recipe = recipe_make();
    struct bytes bytes = recipe_encode(&recipe);
    struct ordering_record record;
    struct digest original;
    struct digest digest;
    assert_int_equal(ordering_record_open(&record, bytes), OK);
    ordering_record_digest(&original, &record);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        recipe.memory[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (ordering_record_open(&record, bytes) == OK) {
            struct ordering_cursor cursor = ordering_record_begin(&record);
            struct ordering_vertex vertex;
            uint32_t batches = 0;
            while (ordering_record_next(&cursor, &vertex))
                batches += vertex.batches;
            assert_int_equal(batches, record.batches_count);
            ordering_record_digest(&digest, &record);
            assert_memory_not_equal(&digest, &original, sizeof digest);
        }
        recipe.memory[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void each_rule_is_checked(void **state)
{
    (void)state;
    struct recipe recipe = recipe_make();
    assert_int_equal(open_recipe(&recipe), OK);
    recipe.skipped[1].round = 5; /* not ascending */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.skipped[1].round = 9; /* the anchor's */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.skipped[0].round = 4; /* the previous anchor's */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.vertices[1] = ref_of(5, 0); /* twice */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.vertices[2] = ref_of(4, 1); /* rounds descend */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.vertices[3].digest.bytes[0] ^= 1; /* the last is not the anchor */
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.head.previous_round = 9; /* not before the anchor */
    recipe.head.skipped_count = 0;
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.head.vertices_count = 3;
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
    recipe = recipe_make();
    recipe.head.vertices_count = 5;
    assert_int_equal(open_recipe(&recipe), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(truncated_or_longer_is_corrupt),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(each_rule_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
