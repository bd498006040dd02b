#include "tests/golden/dag_script_internal.h"

#include "common/crypto.h"

/* ---- names ----------------------------------------------------------------------------------- */

static struct script_vertex *script_find(struct dag_script *script,
                                         round_t round,
                                         authority_t author,
                                         bool twin)
{
    for (uint32_t i = 0; i < script->vertices_count; i++) {
        struct script_vertex *vertex = &script->vertices[i];
        if (vertex->header.round == round && vertex->header.author == author &&
            vertex->twin == twin)
            return vertex;
    }
    return NULL;
}

static const struct script_vertex *script_by_digest(const struct dag_script *script,
                                                    const struct digest *digest)
{
    for (uint32_t i = 0; i < script->vertices_count; i++)
        if (digest_equal(&script->vertices[i].digest, digest)) return &script->vertices[i];
    return NULL;
}

struct script_batch *script_batch(struct dag_script *script, const char *name, size_t len)
{
    for (uint32_t i = 0; i < script->batches_count; i++) {
        struct script_batch *batch = &script->batches[i];
        if (strlen(batch->name) == len && memcmp(batch->name, name, len) == 0) return batch;
    }
    CHECK(script->batches_count < SCRIPT_BATCHES_MAX);
    CHECK(len > 0 && len < SCRIPT_NAME_MAX);
    struct script_batch *batch = &script->batches[script->batches_count++];
    memcpy(batch->name, name, len);
    crypto_hash_one(&batch->digest, name, len);
    batch->size = (struct batch_size){1000, 10};
    return batch;
}

const struct script_batch *script_batch_by_digest(const struct dag_script *script,
                                                  const struct digest *digest)
{
    for (uint32_t i = 0; i < script->batches_count; i++)
        if (digest_equal(&script->batches[i].digest, digest)) return &script->batches[i];
    return NULL;
}

static bool script_is_author(const struct dag_script *script, char letter)
{
    return letter >= 'A' && letter < 'A' + (int)script->committee.count;
}

void script_add_parent(struct header *header, const struct digest *digest)
{
    CHECK(header->parents_count < AUTHORITIES_MAX);
    header->parents[header->parents_count++] = *digest;
}

/* "ABC'D": parents of the round before. Returns what follows, or NULL. */
static const char *script_read_parents(struct dag_script *script,
                                       struct header *header,
                                       const char *text)
{
    while (script_is_author(script, *text)) {
        authority_t author = (authority_t)(*text++ - 'A');
        bool twin = *text == '\'';
        const struct script_vertex *parent = script_find(script, header->round - 1, author, twin);
        if (parent == NULL) return NULL;
        text += twin;
        script_add_parent(header, &parent->digest);
    }
    return text;
}

/* "[x,y]". Returns what follows, or NULL. */
static const char *script_read_payload(struct dag_script *script,
                                       struct header *header,
                                       const char *text)
{
    if (*text != '[') return text;
    do {
        text++;
        size_t len = strcspn(text, ",]");
        if (len == 0 || header->payload_count == HEADER_BATCHES_MAX) return NULL;
        const struct script_batch *batch = script_batch(script, text, len);
        header->payload[header->payload_count++].digest = batch->digest;
        text += len;
    } while (*text == ',');
    return *text == ']' ? text + 1 : NULL;
}

static void script_name_genesis(const struct dag_script *script, struct header *header)
{
    for (uint32_t a = 0; a < script->committee.count; a++) {
        struct digest digest;
        committee_genesis(&digest, &script->committee, (authority_t)a);
        script_add_parent(header, &digest);
    }
}

struct script_vertex *script_add(struct dag_script *script,
                                 round_t round,
                                 authority_t author,
                                 bool twin)
{
    CHECK(script->vertices_count < SCRIPT_VERTICES_MAX);
    struct script_vertex *vertex = &script->vertices[script->vertices_count];
    memset(vertex, 0, sizeof *vertex);
    vertex->twin = twin;
    vertex->header.round = round;
    vertex->header.author = author;
    vertex->header.created_at = 1000 * round + author + (twin ? 500 : 0);
    if (round == 1) script_name_genesis(script, &vertex->header);
    return vertex;
}

void script_keep(struct dag_script *script, struct script_vertex *vertex)
{
    CHECK(vertex == &script->vertices[script->vertices_count]);
    test_header_finish(&vertex->header, &vertex->digest);
    script->vertices_count++;
}

struct script_vertex *script_read_vertex(struct dag_script *script, round_t round, const char *text)
{
    if (!script_is_author(script, *text)) return NULL;
    authority_t author = (authority_t)(*text++ - 'A');
    bool twin = *text == '\'';
    text += twin;

    struct script_vertex *known = script_find(script, round, author, twin);
    if (*text == 0 && (known != NULL || round > 1)) return known;

    struct script_vertex *vertex = script_add(script, round, author, twin);
    if (*text == '<') text = script_read_parents(script, &vertex->header, text + 1);
    if (text != NULL) text = script_read_payload(script, &vertex->header, text);
    if (text == NULL || *text != 0) return NULL;
    test_header_finish(&vertex->header, &vertex->digest);
    if (known == NULL) script->vertices_count++;
    if (known != NULL && !digest_equal(&known->digest, &vertex->digest)) return NULL;
    return known != NULL ? known : vertex;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void script_print_name(const struct dag_script *script, const struct vertex_ref *ref)
{
    const struct script_vertex *vertex = script_by_digest(script, &ref->digest);
    CHECK(vertex != NULL);
    fprintf(script->output, " %lu%c%s", (unsigned long)ref->round, 'A' + ref->author,
            vertex->twin ? "'" : "");
}

void script_print_set(const struct dag_script *script, const struct authority_set *set)
{
    for (uint32_t a = 0; a < script->committee.count; a++)
        if (authority_set_has(set, (authority_t)a)) fprintf(script->output, " %c", 'A' + (int)a);
}

void script_print_record(const struct dag_script *script,
                         const struct ordering_record *record,
                         enum commit_how how)
{
    static const char *const words[] = {"direct", "fast", "indirect"};
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;

    fprintf(script->output, "#%lu", (unsigned long)record->sequence);
    script_print_name(script, &record->anchor);
    fprintf(script->output, " %s:", words[how]);
    while (ordering_record_next(&cursor, &vertex))
        script_print_name(script, &vertex.ref);
    fputc('\n', script->output);
    if (record->skipped_count > 0) {
        fprintf(script->output, "   skipped");
        for (uint32_t i = 0; i < record->skipped_count; i++) {
            struct commit_slot slot = ordering_record_skipped(record, i);
            fprintf(script->output, " %lu%c", (unsigned long)slot.round, 'A' + slot.author);
        }
        fputc('\n', script->output);
    }
    if (!authority_set_is_empty(&record->excluded)) {
        fprintf(script->output, "   excluded");
        script_print_set(script, &record->excluded);
        fputc('\n', script->output);
    }
}

void script_print_cut(const struct dag_script *script, const struct preblock_cut *cut)
{
    struct ordering_cursor cursor = cut->cursor;
    struct ordering_vertex vertex;
    struct ordering_batch batch;

    fprintf(script->output, "   pre-block %lu at %lu, %lu bytes, %u transactions:",
            (unsigned long)cut->header.index, (unsigned long)cut->header.timestamp,
            (unsigned long)cut->header.bytes, cut->header.transactions);
    for (uint32_t v = 0; v < cut->vertices && ordering_record_next(&cursor, &vertex); v++) {
        script_print_name(script, &vertex.ref);
        for (uint32_t b = 0; ordering_record_next_batch(&cursor, &batch); b++)
            fprintf(script->output, "%c%s", b == 0 ? '[' : ',',
                    script_batch_by_digest(script, &batch.digest)->name);
        if (vertex.batches > 0) fputc(']', script->output);
    }
    fputc('\n', script->output);
}
