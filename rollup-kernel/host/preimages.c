#include "rollup-kernel/host/preimages.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crypto.h"

#define PAGE_BYTES 4096u
#define NAME_BYTES 66u

/* A whole answer: a page and generous headers. */
#define ANSWER_BYTES_MAX (PAGE_BYTES + 8192u)

/* The endpoint is a sequencer or a mirror nearby. */
#define ANSWER_SECONDS_MAX 5

struct preimages {
    char *directory;
    bool has_endpoint;
    struct address address;
    char *path; /* of the endpoint, without a last slash */
};

static enum status parse_endpoint(struct preimages *preimages,
                                  const char *endpoint,
                                  struct error_line *error)
{
    static const char scheme[] = "http://";
    const size_t scheme_len = sizeof scheme - 1;
    char authority[ADDRESS_TEXT_BYTES_MAX];

    if (strncmp(endpoint, scheme, scheme_len) != 0) {
        return error_line_set(error, ERR_CONFIG, "--preimages-endpoint: expected http://host:port");
    }
    const char *start = endpoint + scheme_len;
    size_t len = strcspn(start, "/");
    if (len >= sizeof authority) {
        return error_line_set(error, ERR_CONFIG, "--preimages-endpoint: address too long");
    }
    memcpy(authority, start, len);
    authority[len] = '\0';
    if (address_parse(&preimages->address, authority) != OK) {
        return error_line_set(error, ERR_CONFIG, "--preimages-endpoint: expected http://host:port");
    }
    preimages->path = strdup(start + len);
    CHECK(preimages->path != NULL);
    size_t path_len = strlen(preimages->path);
    while (path_len > 0 && preimages->path[path_len - 1] == '/') {
        preimages->path[--path_len] = '\0';
    }
    preimages->has_endpoint = true;
    return OK;
}

enum status preimages_open(struct preimages **ret_preimages,
                           const char *directory,
                           const char *endpoint,
                           struct error_line *error)
{
    struct preimages *preimages = calloc(1, sizeof *preimages);

    CHECK(preimages != NULL);
    preimages->directory = strdup(directory);
    CHECK(preimages->directory != NULL);
    enum status status = OK;
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        status = error_line_set(error, ERR_IO, "%s: %s", directory, strerror(errno));
    }
    if (status == OK && endpoint != NULL) status = parse_endpoint(preimages, endpoint, error);
    if (status != OK) {
        preimages_close(preimages);
        return status;
    }
    *ret_preimages = preimages;
    return OK;
}

void preimages_close(struct preimages *preimages)
{
    if (preimages == NULL) return;
    free(preimages->directory);
    free(preimages->path);
    free(preimages);
}

static void page_name(char ret[NAME_BYTES + 1], const struct digest *digest)
{
    ret[0] = ret[1] = '0';
    hex_encode(ret + 2, digest->bytes, sizeof digest->bytes);
}

static bool page_is(const uint8_t *page, size_t len, const struct digest *digest)
{
    struct digest got;

    crypto_hash_one(&got, page, len);
    return digest_equal(&got, digest);
}

static size_t read_page(const struct preimages *preimages,
                        uint8_t *ret_page,
                        const struct digest *digest)
{
    char path[4096], name[NAME_BYTES + 1];

    page_name(name, digest);
    snprintf(path, sizeof path, "%s/%s", preimages->directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    size_t len = fread(ret_page, 1, PAGE_BYTES, file);
    fclose(file);
    return len > 0 && page_is(ret_page, len, digest) ? len : 0;
}

bool preimages_put(struct preimages *preimages, const uint8_t *page, size_t len)
{
    char path[4096], part[4096 + 16], name[NAME_BYTES + 1];
    struct digest digest;

    crypto_hash_one(&digest, page, len);
    page_name(name, &digest);
    snprintf(path, sizeof path, "%s/%s", preimages->directory, name);
    snprintf(part, sizeof part, "%s.%ld", path, (long)getpid());
    FILE *file = fopen(part, "wb");
    if (file == NULL) return false;
    bool written = fwrite(page, 1, len, file) == len;
    if (fclose(file) != 0) written = false;
    if (written && rename(part, path) == 0) return true;
    unlink(part);
    return false;
}

/* Connected, with a limit on every send and receive; -1 when nobody answers. */
static int connect_endpoint(const struct preimages *preimages)
{
    struct sockaddr_storage address;
    socklen_t len;
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS_MAX};

    if (address_resolve(&address, &len, &preimages->address) != OK) return -1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* bounds connect, too */
    if (connect(fd, (const struct sockaddr *)&address, len) == 0) return fd;
    close(fd);
    return -1;
}

/* Sends the request (HTTP/1.0: the answer ends with the connection) and reads all of the answer. */
static size_t exchange(int fd, char *answer, const struct preimages *preimages, const char *name)
{
    char request[1024];
    size_t len = 0;

    int request_len = snprintf(request, sizeof request, "GET %s/%s HTTP/1.0\r\nHost: %s\r\n\r\n",
                               preimages->path, name, preimages->address.host);
    if (request_len < 0 || (size_t)request_len >= sizeof request) return 0;
    if (send(fd, request, (size_t)request_len, MSG_NOSIGNAL) != request_len) return 0;
    while (len < ANSWER_BYTES_MAX) {
        ssize_t got = recv(fd, answer + len, ANSWER_BYTES_MAX - len, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        len += (size_t)got;
    }
    return len;
}

struct bytes preimages_answer_page(const char *answer, size_t len)
{
    static const char separator[] = "\r\n\r\n";
    const struct bytes none = {NULL, 0};
    const char *end = memmem(answer, len, separator, sizeof separator - 1);

    if (end == NULL || end - answer < 12 || memcmp(answer + 8, " 200", 4) != 0) return none;
    const char *body = end + sizeof separator - 1;
    size_t body_len = len - (size_t)(body - answer);
    if (body_len == 0 || body_len > PAGE_BYTES) return none;
    return (struct bytes){(const uint8_t *)body, body_len};
}

static size_t fetch_page(struct preimages *preimages,
                         uint8_t *ret_page,
                         const struct digest *digest)
{
    char answer[ANSWER_BYTES_MAX], name[NAME_BYTES + 1];

    page_name(name, digest);
    int fd = connect_endpoint(preimages);
    if (fd < 0) return 0;
    size_t len = exchange(fd, answer, preimages, name);
    close(fd);
    struct bytes page = preimages_answer_page(answer, len);
    if (page.len == 0) return 0;
    memcpy(ret_page, page.data, page.len);
    if (!page_is(ret_page, page.len, digest)) return 0;
    preimages_put(preimages, ret_page, page.len); /* if not, it will be fetched again */
    return page.len;
}

size_t preimages_get(struct preimages *preimages, uint8_t *ret_page, const struct digest *digest)
{
    size_t len = read_page(preimages, ret_page, digest);

    if (len == 0 && preimages->has_endpoint) len = fetch_page(preimages, ret_page, digest);
    return len;
}
