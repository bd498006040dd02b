#include "common/digest_index.h"

#include <stdlib.h>

struct node {
    struct digest digest;
    void *value;
    struct node *next;
};

struct digest_index {
    struct node **buckets;
    size_t buckets_count; /* power of two */
    size_t count;
};

struct digest_index *digest_index_new(void)
{
    struct digest_index *map = calloc(1, sizeof *map);
    CHECK(map != NULL);
    map->buckets_count = 64;
    map->buckets = calloc(map->buckets_count, sizeof(struct node *));
    CHECK(map->buckets != NULL);
    return map;
}

void digest_index_free(struct digest_index *map)
{
    if (map == NULL) return;
    for (size_t i = 0; i < map->buckets_count; i++) {
        struct node *next;
        for (struct node *node = map->buckets[i]; node != NULL; node = next) {
            next = node->next;
            free(node);
        }
    }
    free(map->buckets);
    free(map);
}

static size_t bucket_of(const struct digest *digest, size_t buckets_count)
{
    uint64_t hash;
    memcpy(&hash, digest->bytes, sizeof hash);
    return (size_t)(hash & (buckets_count - 1));
}

/* The link that points at the digest's node, or at NULL where it would be. */
static struct node **map_find(const struct digest_index *map, const struct digest *digest)
{
    struct node **link = &map->buckets[bucket_of(digest, map->buckets_count)];
    while (*link != NULL && !digest_equal(&(*link)->digest, digest))
        link = &(*link)->next;
    return link;
}

static void map_grow(struct digest_index *map)
{
    size_t buckets_count = map->buckets_count * 2;
    struct node **buckets = calloc(buckets_count, sizeof(struct node *));
    CHECK(buckets != NULL);
    for (size_t i = 0; i < map->buckets_count; i++) {
        struct node *next;
        for (struct node *node = map->buckets[i]; node != NULL; node = next) {
            struct node **head = &buckets[bucket_of(&node->digest, buckets_count)];
            next = node->next;
            node->next = *head;
            *head = node;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->buckets_count = buckets_count;
}

void *digest_index_get(const struct digest_index *map, const struct digest *digest)
{
    struct node *node = *map_find(map, digest);
    return node == NULL ? NULL : node->value;
}

void digest_index_add(struct digest_index *map, const struct digest *digest, void *value)
{
    struct node **link = map_find(map, digest);
    struct node *node = malloc(sizeof *node);
    CHECK(*link == NULL);
    CHECK(value != NULL);
    CHECK(node != NULL);
    *node = (struct node){.digest = *digest, .value = value};
    *link = node;
    map->count++;
    if (map->count > map->buckets_count) map_grow(map);
}

void *digest_index_remove(struct digest_index *map, const struct digest *digest)
{
    struct node **link = map_find(map, digest);
    struct node *node = *link;
    void *value;
    if (node == NULL) return NULL;
    value = node->value;
    *link = node->next;
    free(node);
    map->count--;
    return value;
}

size_t digest_index_count(const struct digest_index *map)
{
    return map->count;
}

void digest_index_each(const struct digest_index *map,
                       void (*visit)(void *context, void *value),
                       void *context)
{
    for (size_t i = 0; i < map->buckets_count; i++)
        for (const struct node *node = map->buckets[i]; node != NULL; node = node->next)
            visit(context, node->value);
}
