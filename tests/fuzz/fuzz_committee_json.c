#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/committee_file.h"

static struct committee_file file;
static struct committee_file again;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error_line error = {""};
    enum status status =
        committee_file_parse(&file, "committee.json", (const char *)data, size, &error);

    /* A refusal is one line that begins with the file. */
    CHECK((status == OK) == (error.text[0] == '\0'));
    if (status != OK) {
        CHECK(strncmp(error.text, "committee.json:", 15) == 0);
        CHECK(strchr(error.text, '\n') == NULL);
        return 0;
    }
    char *text = committee_file_text(&file);
    CHECK(committee_file_parse(&again, "again", text, strlen(text), &error) == OK);
    CHECK(digest_equal(&again.committee.digest, &file.committee.digest));
    char *text_again = committee_file_text(&again);
    CHECK(strcmp(text, text_again) == 0);
    free(text_again);
    free(text);
    return 0;
}
