#include "tests/fuzz/corpus_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *root;

void corpus_set_folder(const char *folder)
{
    root = folder;
}

void corpus_save(const char *driver, const char *name, const void *data, size_t len)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, driver);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        perror(path);
        exit(1);
    }
    snprintf(path, sizeof path, "%s/%s/%s", root, driver, name);
    FILE *stream = fopen(path, "wb");
    if (stream == NULL || fwrite(data, 1, len, stream) != len || fclose(stream) != 0) {
        perror(path);
        exit(1);
    }
}

void corpus_save_text(const char *driver, const char *name, const char *text)
{
    corpus_save(driver, name, text, strlen(text));
}

void corpus_save_writer(const char *driver, const char *name, const struct writer *writer)
{
    CHECK(!writer->failed);
    corpus_save(driver, name, writer->data, writer->len);
}
