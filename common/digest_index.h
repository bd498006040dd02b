/* A map from digests to pointers, for the hosted half. Digests are uniform, so their first bytes
 * are the hash; keys that peers chose are digests of something and cannot be aimed. The map does
 * not own its values and does not bound itself: its user does both. */
#ifndef COMMON_DIGEST_INDEX_H
#define COMMON_DIGEST_INDEX_H

#include "common/base.h"

struct digest_index;

/* Never NULL. */
struct digest_index *digest_index_new(void);
void digest_index_free(struct digest_index *map); /* NULL is fine; values are not touched */

/* The value of a digest, or NULL. */
void *digest_index_get(const struct digest_index *map, const struct digest *digest);

/* Adds a digest that is not in the map (checked); `value` is not NULL. */
void digest_index_add(struct digest_index *map, const struct digest *digest, void *value);

/* Takes a digest out and returns its value, or NULL. */
void *digest_index_remove(struct digest_index *map, const struct digest *digest);

size_t digest_index_count(const struct digest_index *map);

/* Calls `visit` for every entry, in no particular order. The map must not change meanwhile. */
void digest_index_each(const struct digest_index *map,
                       void (*visit)(void *context, void *value),
                       void *context);

#endif
