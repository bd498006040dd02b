#include "tests/fuzz/fuzz.h"

#include "rollup-kernel/host/preimages.h"

/* The answer of a preimages endpoint that may be anything: the page is the end of it, and fits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes page = preimages_answer_page((const char *)data, size);

    if (page.len == 0) return 0;
    CHECK(page.len <= 4096);
    CHECK(page.data + page.len == data + size);
    CHECK((size_t)(page.data - data) >= 16);
    CHECK(memcmp(page.data - 4, "\r\n\r\n", 4) == 0);
    return 0;
}
