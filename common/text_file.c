#include "common/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/utils.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading --------------------------------------------------------------------------------- */

static enum status judge(struct error_line *error,
                         const char *path,
                         const struct stat *stat,
                         size_t bytes_max,
                         bool secret)
{
    if (!S_ISREG(stat->st_mode)) {
        return error_line_set(error, ERR_CONFIG, "%s: not a regular file", path);
    }
    if (secret && (stat->st_mode & 077) != 0) {
        return error_line_set(error, ERR_CONFIG, "%s: mode %03o lets others read it; make it 600",
                              path, (unsigned)(stat->st_mode & 0777));
    }
    if ((uint64_t)stat->st_size > bytes_max) {
        return error_line_set(error, ERR_CONFIG, "%s: %llu bytes, expected at most %zu", path,
                              (unsigned long long)stat->st_size, bytes_max);
    }
    return OK;
}

/* Fills `file->text`, which has `capacity` bytes; what is longer was written to meanwhile and is
 * cut. False with errno. */
static bool fill(struct text_file *file, int fd, size_t capacity)
{
    while (file->len < capacity) {
        ssize_t part = read(fd, file->text + file->len, capacity - file->len);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return false;
        if (part == 0) break;
        file->len += (size_t)part;
    }
    file->text[file->len] = '\0';
    return true;
}

enum status text_file_read(struct text_file *ret_file,
                           const char *path,
                           size_t bytes_max,
                           bool secret,
                           struct error_line *error)
{
    struct stat stat;
    struct text_file file = {NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    enum status status = OK;
    if (fstat(fd, &stat) != 0)
        status = error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    if (status == OK) status = judge(error, path, &stat, bytes_max, secret);
    if (status == OK) {
        file.text = malloc(bytes_max + 1);
        CHECK(file.text != NULL);
        if (!fill(&file, fd, bytes_max))
            status = error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    }
    close(fd);
    if (status == OK) {
        *ret_file = file;
    } else {
        text_file_free(&file);
    }
    return status;
}

void text_file_free(struct text_file *file)
{
    if (file->text == NULL) return;
    sodium_memzero(file->text, file->len);
    free(file->text);
    *file = (struct text_file){NULL, 0};
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Cuts the first line off, without its end. */
static struct bytes cut_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct bytes line = {rest->data, end == NULL ? rest->len : (size_t)(end - rest->data)};
    size_t taken = end == NULL ? line.len : line.len + 1;

    rest->data += taken;
    rest->len -= taken;
    if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
    return line;
}

static bool is_text(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!is_blank(line.data[i]) && (line.data[i] <= ' ' || line.data[i] > '~')) return false;
    return true;
}

/* Words up to a comment; false when there are too many. */
static bool split(struct text_line *ret_line, struct bytes line)
{
    size_t at = 0;

    ret_line->count = 0;
    for (;;) {
        while (at < line.len && is_blank(line.data[at]))
            at++;
        if (at == line.len || line.data[at] == '#') return true;
        if (ret_line->count == TEXT_WORDS_MAX) return false;
        size_t begin = at;
        while (at < line.len && !is_blank(line.data[at]) && line.data[at] != '#')
            at++;
        ret_line->words[ret_line->count++] = (struct bytes){line.data + begin, at - begin};
    }
}

enum status text_lines_next(struct text_line *ret_line, struct text_lines *lines)
{
    while (lines->rest.len > 0) {
        struct bytes line = cut_line(&lines->rest);

        lines->number++;
        if (!is_text(line) || !split(ret_line, line)) return ERR_MALFORMED;
        if (ret_line->count > 0) return OK;
    }
    return ERR_NOT_FOUND;
}

enum status text_lines_error(struct error_line *error,
                             const char *path,
                             const struct text_lines *lines,
                             const char *text)
{
    return error_line_set(error, ERR_MALFORMED, "%s:%u: %s", path, lines->number, text);
}

bool text_is_name(struct bytes word, size_t bytes_max)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (word.len == 0 || word.len > bytes_max) return false;
    for (size_t i = 0; i < word.len; i++)
        if (memchr(allowed, word.data[i], sizeof allowed - 1) == NULL) return false;
    return true;
}
