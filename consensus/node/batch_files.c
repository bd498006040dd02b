#include "consensus/node/batch_files.h"

#include <errno.h>

void batch_files_init(struct batch_files *files, const char *directory)
{
    *files = (struct batch_files){.directory = directory};
}

void batch_files_close(struct batch_files *files)
{
    for (size_t i = 0; i < BATCH_FILES_MAX; i++) {
        if (files->open[i].number != 0) segment_close(&files->open[i]);
        files->open[i].number = 0;
    }
}

/* The slot of this segment, or else the one to be used for it. */
static size_t choose_slot(const struct batch_files *files, uint32_t number)
{
    size_t oldest = 0;

    for (size_t i = 0; i < BATCH_FILES_MAX; i++) {
        if (files->open[i].number == number) return i;
        if (files->used[i] < files->used[oldest]) oldest = i;
    }
    return oldest;
}

enum status batch_files_get(struct batch_files *files,
                            struct segment **ret_segment,
                            const struct segment *known)
{
    const size_t at = choose_slot(files, known->number);
    struct segment *segment = &files->open[at];

    if (segment->number != known->number) {
        struct segment opened = *known;
        opened.fd = -1;
        if (segment_reopen(&opened, files->directory) != OK)
            return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        if (segment->number != 0) segment_close(segment);
        *segment = opened;
    }
    segment->bytes = known->bytes;
    files->used[at] = ++files->clock;
    *ret_segment = segment;
    return OK;
}
