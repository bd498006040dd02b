#include "common/http_head.h"

#include <stdio.h>
#include <strings.h>

static bool is_token(const char *text, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    if (len == 0) return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr(others, c) == NULL)) return false;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes %XX (and + in queries) in place; false on bad digits or a zero byte. */
static bool decode_percent(char *text, bool plus)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '+' && plus) {
            *to++ = ' ';
        } else if (*from == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || high + low == 0) return false;
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}

static bool parse_query(struct http_head *head, char *text)
{
    for (char *rest = text; rest != NULL && *rest != '\0';) {
        char *pair = rest;
        rest = strchr(rest, '&');
        if (rest != NULL) *rest++ = '\0';
        if (*pair == '\0') continue;

        char *value = strchr(pair, '=');
        if (value != NULL) *value++ = '\0';
        if (head->query_count == HTTP_QUERY_MAX) return false;
        if (!decode_percent(pair, true)) return false;
        if (value != NULL && !decode_percent(value, true)) return false;
        head->query[head->query_count++] = (struct http_pair){pair, value == NULL ? "" : value};
    }
    return true;
}

static bool parse_target(struct http_head *head, char *target)
{
    static const char scheme[] = "http://";

    if (strncasecmp(target, scheme, sizeof scheme - 1) == 0) {
        target = strchr(target + sizeof scheme - 1, '/');
        if (target == NULL) return false;
    }
    if (target[0] != '/') return false;
    target[strcspn(target, "#")] = '\0';
    char *query = strchr(target, '?');
    if (query != NULL) *query++ = '\0';
    head->path = target;
    /* The path is decoded segment by segment once its route is looked for. */
    return query == NULL || parse_query(head, query);
}

static int parse_request_line(struct http_head *head, char *line)
{
    char *target = strchr(line, ' ');
    if (target == NULL) return 400;
    *target++ = '\0';
    char *version = strchr(target, ' ');
    if (version == NULL) return 400;
    *version++ = '\0';

    if (!is_token(line, strlen(line))) return 400;
    if (strncmp(version, "HTTP/", 5) != 0) return 400;
    head->version_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (!head->version_1_0 && strcmp(version, "HTTP/1.1") != 0) return 505;
    head->method = line;
    head->keep_alive = !head->version_1_0;
    return parse_target(head, target) ? 0 : 400;
}

static bool parse_length(struct http_head *head, const char *value)
{
    size_t length = 0;

    if (head->has_length || *value == '\0') return false;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') return false;
        if (length > SIZE_MAX / 16) return false;
        length = length * 10 + (size_t)(*c - '0');
    }
    head->has_length = true;
    head->length = length;
    return true;
}

/* True when a comma-separated value names `word`. */
static bool has_word(const char *value, const char *word)
{
    size_t len = strlen(word);
    while (*value != '\0') {
        value += strspn(value, ", \t");
        size_t part = strcspn(value, ", \t");
        if (part == len && strncasecmp(value, word, len) == 0) return true;
        value += part;
    }
    return false;
}

static int parse_header(struct http_head *head, char *line)
{
    char *value = strchr(line, ':');
    if (value == NULL || !is_token(line, (size_t)(value - line))) return 400;
    *value++ = '\0';
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        value[--len] = '\0';
    }
    if (head->headers_count == HTTP_HEADERS_MAX) return 431;
    head->headers[head->headers_count++] = (struct http_pair){line, value};

    if (strcasecmp(line, "content-length") == 0) return parse_length(head, value) ? 0 : 400;
    if (strcasecmp(line, "transfer-encoding") == 0) return 411;
    if (strcasecmp(line, "connection") == 0) {
        if (has_word(value, "close")) head->keep_alive = false;
        if (head->version_1_0 && has_word(value, "keep-alive")) head->keep_alive = true;
    }
    if (strcasecmp(line, "expect") == 0 && strcasecmp(value, "100-continue") == 0) {
        head->expect_continue = !head->version_1_0;
    }
    return 0;
}

int http_head_parse(struct http_head *ret, char *text, size_t len)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) return 400;
    }

    int refused = 0;
    bool first = true;
    for (char *line = text; line < text + len && refused == 0; first = false) {
        char *end = memchr(line, '\n', (size_t)(text + len - line));
        char *next = end == NULL ? text + len : end + 1;
        if (end == NULL) end = text + len;
        if (end > line && end[-1] == '\r') end--;
        *end = '\0';
        if (strchr(line, '\r') != NULL) return 400;
        refused = first ? parse_request_line(ret, line) : parse_header(ret, line);
        line = next;
    }
    return first ? 400 : refused;
}

const char *http_head_header(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->headers_count; i++) {
        if (strcasecmp(head->headers[i].name, name) == 0) return head->headers[i].value;
    }
    return NULL;
}

static bool add_parameter(struct http_head *head, const char *name, const char *value)
{
    CHECK(head->parameters_count < HTTP_PARAMETERS_MAX);
    head->parameters[head->parameters_count++] = (struct http_pair){name, value};
    return true;
}

/* One segment of a path, decoded, against one of a pattern. */
static bool match_segment(struct http_head *head, char *segment, const char *want, size_t want_len)
{
    if (!decode_percent(segment, false)) return false;
    if (want[0] == ':') return *segment != '\0' && add_parameter(head, want + 1, segment);
    return strlen(segment) == want_len && memcmp(segment, want, want_len) == 0;
}

/* Compares the path with a pattern; parameters are cut out of `segments`. */
static bool match_path(struct http_head *head, char *segments, const char *pattern)
{
    char *at = segments + 1;
    const char *want = pattern + 1;

    memcpy(segments, head->path, strlen(head->path) + 1);
    head->parameters_count = 0;
    for (;;) {
        if (*want == '*') return decode_percent(at, false) && add_parameter(head, want + 1, at);
        size_t len = strcspn(at, "/");
        size_t want_len = strcspn(want, "/");
        bool last = at[len] == '\0';
        if (last != (want[want_len] == '\0')) return false;
        at[len] = '\0';
        if (!match_segment(head, at, want, want_len)) return false;
        if (last) return true;
        at += len + 1;
        want += want_len + 1;
    }
}

static bool match_method(const char *asked, const char *method)
{
    return strcmp(asked, method) == 0 || (strcmp(asked, "HEAD") == 0 && strcmp(method, "GET") == 0);
}

#define ALLOW_BYTES 128u

int http_head_route(struct http_head *head,
                    char *segments,
                    const struct http_route *routes,
                    size_t routes_count,
                    const struct http_route **ret_route,
                    char *ret_allow)
{
    size_t len = 0;

    ret_allow[0] = '\0';
    for (size_t i = 0; i < routes_count; i++) {
        if (!match_path(head, segments, routes[i].path)) continue;
        if (match_method(head->method, routes[i].method)) {
            *ret_route = &routes[i];
            return 0;
        }
        if (len < ALLOW_BYTES) {
            len += (size_t)snprintf(ret_allow + len, ALLOW_BYTES - len, "%s%s",
                                    len == 0 ? "" : ", ", routes[i].method);
        }
    }
    return len == 0 ? 404 : 405;
}
