#include "common/bytes.h"
#include "consensus/core/core.h"

/* A bounded line under construction; what does not fit is cut. */
struct line {
    char *data;
    size_t len;
    size_t capacity; /* without the terminator */
};

static void line_char(struct line *line, char c)
{
    if (line->len < line->capacity) line->data[line->len++] = c;
}

static void line_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++)
        line_char(line, *text);
}

static void line_number(struct line *line, uint64_t number, unsigned digits_min)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count < digits_min)
        digits[count++] = '0';
    while (count > 0)
        line_char(line, digits[--count]);
}

static const char *trace_words(enum core_trace_kind kind)
{
    static const char *const words[CORE_TRACES] = {
#define CORE_TRACE_WORDS(name, text) text,
        CORE_TRACE_TABLE(CORE_TRACE_WORDS)
#undef CORE_TRACE_WORDS
    };

    CHECK((unsigned)kind < CORE_TRACES);
    return words[kind];
}

void core_trace_text(char *ret, size_t len, const struct core_trace *trace)
{
    struct line line = {.data = ret, .len = 0, .capacity = len - 1};
    char hex[9];

    CHECK(len >= 1);
    hex_encode(hex, trace->digest.bytes, 4);
    line_number(&line, trace->now_us / 1000, 1);
    line_char(&line, '.');
    line_number(&line, trace->now_us % 1000, 3);
    line_char(&line, ' ');
    line_text(&line, trace_words(trace->kind));
    line_char(&line, ' ');
    line_number(&line, trace->author, 1);
    line_char(&line, '@');
    line_number(&line, trace->round, 1);
    line_char(&line, ' ');
    line_number(&line, trace->value, 1);
    line_char(&line, ' ');
    line_text(&line, hex);
    ret[line.len] = '\0';
}
