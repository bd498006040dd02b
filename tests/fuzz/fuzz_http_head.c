#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/http_head.h"

static void handle(void *context, struct http_request *request)
{
    (void)context;
    (void)request;
}

static const struct http_route routes[] = {
    {"GET", "/", handle, 0},
    {"GET", "/block/:id/durable/*rest", handle, 0},
    {"POST", "/block/:id/:other", handle, 100},
    {"GET", "/block/:id/:other", handle, 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';

    int code = http_head_parse(&head, text, size);
    CHECK(code == 0 || code == 400 || code == 411 || code == 431 || code == 505);
    if (code == 0) {
        char allow[128];
        const struct http_route *route = NULL;
        char *segments = malloc(strlen(head.path) + 1);
        CHECK(head.path[0] == '/');
        code = http_head_route(&head, segments, routes, sizeof routes / sizeof routes[0], &route,
                               allow);
        CHECK((code == 0) == (route != NULL));
        CHECK((code == 405) == (allow[0] != '\0') || code == 0);
        free(segments);
    }
    free(text);
    return 0;
}
