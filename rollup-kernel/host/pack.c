#include "rollup-kernel/host/pack.h"

#include <stdlib.h>

#include "common/bcs.h"

#define SECTION_CUSTOM     0u
#define SECTION_NAME       "config"
#define SECTION_NAME_BYTES 6u

/* The body ends with its length, so the section is little more than the configuration. */
#define SECTION_BYTES_MAX (CONFIG_BYTES_MAX + 32u)

static const uint8_t module_magic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};

/* Walks the sections; views the content of the one named `config`, if any. */
static enum status find_section(struct bytes *ret_body, bool *ret_found, struct bytes wasm)
{
    struct reader reader = reader_make(wasm.data, wasm.len);
    struct bytes magic = reader_view(&reader, sizeof module_magic);

    *ret_found = false;
    if (reader.failed || memcmp(magic.data, module_magic, sizeof module_magic) != 0) {
        return ERR_MALFORMED;
    }
    while (!reader.failed && reader.left > 0) {
        uint8_t kind = reader_u8(&reader);
        struct bytes content = reader_view(&reader, bcs_read_length(&reader, UINT32_MAX));
        if (kind != SECTION_CUSTOM || *ret_found) continue;
        struct reader custom = reader_make(content.data, content.len);
        struct bytes name = reader_view(&custom, bcs_read_length(&custom, UINT32_MAX));
        if (custom.failed || name.len != SECTION_NAME_BYTES) continue;
        *ret_found = memcmp(name.data, SECTION_NAME, SECTION_NAME_BYTES) == 0;
        if (*ret_found) *ret_body = (struct bytes){custom.next, custom.left};
    }
    return reader.failed ? ERR_MALFORMED : OK;
}

enum status pack_kernel(uint8_t **ret_packed,
                        size_t *ret_len,
                        struct bytes wasm,
                        const struct config *config)
{
    uint8_t body[CONFIG_BYTES_MAX], again[CONFIG_BYTES_MAX];
    struct writer encoded = writer_make(body, sizeof body);
    static struct config decoded;
    struct bytes section;
    bool found;

    enum status status = find_section(&section, &found, wasm);
    if (status != OK) return status;
    if (found) return ERR_CONFLICT;
    config_encode(&encoded, config);
    if (encoded.failed) return ERR_CONFIG;
    memcpy(again, body, encoded.len); /* decoding uses its input as scratch */
    status = config_decode(&decoded, again, encoded.len);
    if (status != OK) return status;

    uint8_t *packed = malloc(wasm.len + SECTION_BYTES_MAX);
    CHECK(packed != NULL);
    struct writer writer = writer_make(packed, wasm.len + SECTION_BYTES_MAX);
    writer_copy(&writer, wasm.data, wasm.len);
    writer_u8(&writer, SECTION_CUSTOM);
    bcs_write_length(&writer, (uint32_t)(1 + SECTION_NAME_BYTES + encoded.len + sizeof(uint32_t)));
    bcs_write_length(&writer, SECTION_NAME_BYTES);
    writer_copy(&writer, SECTION_NAME, SECTION_NAME_BYTES);
    writer_copy(&writer, body, encoded.len);
    writer_u32(&writer, (uint32_t)encoded.len);
    CHECK(!writer.failed);
    *ret_packed = packed;
    *ret_len = writer.len;
    return OK;
}

enum status pack_read_config(struct config *ret_config, struct bytes packed)
{
    uint8_t body[CONFIG_BYTES_MAX];
    struct bytes section;
    bool found;

    enum status status = find_section(&section, &found, packed);
    if (status != OK) return status;
    if (!found) return ERR_NOT_FOUND;
    if (section.len < sizeof(uint32_t) || section.len - sizeof(uint32_t) > sizeof body) {
        return ERR_MALFORMED;
    }
    struct reader reader =
        reader_make(section.data + section.len - sizeof(uint32_t), sizeof(uint32_t));
    size_t len = section.len - sizeof(uint32_t);
    if (reader_u32(&reader) != len) return ERR_MALFORMED;
    memcpy(body, section.data, len);
    return config_decode(ret_config, body, len);
}
