/* Memory handed out once, at start: a module takes its arrays from a region and keeps them for
 * ever. The memory is zero-filled by its owner (fresh pages from the system cost nothing until they
 * are used). The same placing code runs twice, first over a region without memory to measure, then
 * over the real one, so size and layout cannot disagree. */
#ifndef CONSENSUS_CORE_REGION_H
#define CONSENSUS_CORE_REGION_H

#include "common/base.h"

#define REGION_ALIGN 64u

struct region {
    uint8_t *base; /* NULL while measuring */
    size_t used;
    size_t capacity; /* ignored while measuring */
};

static inline struct region region_make(void *memory, size_t capacity)
{
    return (struct region){.base = memory, .used = 0, .capacity = capacity};
}

/* `bytes` of memory aligned to REGION_ALIGN, zero-filled; NULL while measuring. Running over the
 * capacity is a failed CHECK: the capacity came from measuring the same calls. */
static inline void *region_take(struct region *region, size_t bytes)
{
    size_t size = (bytes + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
    uint8_t *memory = region->base == NULL ? NULL : region->base + region->used;

    CHECK(size >= bytes);
    CHECK(region->base == NULL || size <= region->capacity - region->used);
    region->used += size;
    return memory;
}

#endif
