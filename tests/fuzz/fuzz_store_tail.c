#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "consensus/node/store_tail.h"

/* A log of RocksDB with damage in it: torn exactly when something is damaged, no record behind it begins as it was, and
 * a sector of what is behind is zeros.
 *
 *   input = records u8 | their lengths u16 ... | holes: begin u24 | length u16 | with u8 */
#define BLOCK       32768u
#define HEADER      7u
#define SECTOR      512u
#define RECORDS_MAX 8u
#define LOG_MAX     (RECORDS_MAX * 65600u + BLOCK)

struct made {
    uint8_t data[LOG_MAX];
    uint8_t before[LOG_MAX];
    size_t len;
    size_t begins[RECORDS_MAX];
    size_t first_ends[RECORDS_MAX]; /* of the first piece */
    size_t count;
};

static uint32_t table[256];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
    }
}

static uint32_t checksum(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++)
        crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void add_piece(struct made *made, uint8_t type, size_t bytes)
{
    uint8_t *at = made->data + made->len;

    for (size_t i = 0; i < bytes; i++)
        at[HEADER + i] = (uint8_t)(made->len * 31 + i * 7 + 1);
    at[4] = (uint8_t)bytes;
    at[5] = (uint8_t)(bytes >> 8);
    at[6] = type;
    const uint32_t crc = checksum(at + 6, bytes + 1);
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(crc >> 8 * i);
    made->len += HEADER + bytes;
}

static void add_record(struct made *made, size_t bytes)
{
    bool first = true;

    if (BLOCK - made->len % BLOCK < HEADER) made->len += BLOCK - made->len % BLOCK;
    made->begins[made->count++] = made->len;
    do {
        const size_t room = BLOCK - made->len % BLOCK;
        if (room < HEADER) {
            made->len += room;
            continue;
        }
        const size_t now = bytes < room - HEADER ? bytes : room - HEADER;
        bytes -= now;
        if (first) made->first_ends[made->count - 1] = made->len + HEADER + now;
        add_piece(made, (uint8_t)(first ? (bytes == 0 ? 1 : 2) : (bytes == 0 ? 4 : 3)), now);
        first = false;
    } while (bytes > 0);
}

/* Damages what the script says. */
static void damage(struct made *made, struct reader *script)
{
    while (script->left >= 6) {
        const size_t begin = reader_u8(script) | (size_t)reader_u16(script) << 8;
        const size_t len = reader_u16(script);
        const uint8_t with = reader_u8(script);

        for (size_t i = begin; i < begin + len && i < made->len; i++) {
            const bool between =
                i % BLOCK > BLOCK - HEADER && made->before[i] == 0; /* maybe no record's */
            if (!between) made->data[i] = with;
        }
    }
}

static bool differs(const struct made *made, size_t begin, size_t end)
{
    return memcmp(made->data + begin, made->before + begin, end - begin) != 0;
}

/* The first damaged record; count: none. */
static size_t first_damaged(const struct made *made)
{
    for (size_t r = 0; r < made->count; r++) {
        const size_t end = r + 1 < made->count ? made->begins[r + 1] : made->len;
        if (differs(made, made->begins[r], end)) return r;
    }
    return made->count;
}

/* True when a sector, or what of it lies behind `begin`, is zeros. */
static bool has_hole(const struct made *made, size_t begin)
{
    for (size_t sector = begin / SECTOR; sector * SECTOR < made->len; sector++) {
        bool zeros = true;
        for (size_t i = sector * SECTOR; i < (sector + 1) * SECTOR && i < made->len; i++)
            zeros = zeros && (i < begin || made->data[i] == 0);
        if (zeros) return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader script = reader_make(data, size);
    struct made *made = calloc(1, sizeof *made);
    size_t end = 0;

    CHECK(made != NULL);
    if (table[1] == 0) make_table();
    (void)store_tail_torn(data, size, &end); /* any bytes */
    CHECK(end <= size);
    const size_t count = 1 + reader_u8(&script) % RECORDS_MAX;
    for (size_t i = 0; i < count; i++)
        add_record(made, reader_u16(&script));
    memcpy(made->before, made->data, made->len);
    damage(made, &script);
    const size_t damaged = first_damaged(made);
    bool begins_behind = false;
    for (size_t r = damaged + 1; r < count; r++)
        begins_behind = begins_behind || !differs(made, made->begins[r], made->first_ends[r]);
    const bool torn = store_tail_torn(made->data, made->len, &end);
    CHECK(torn == (damaged < count && !begins_behind && has_hole(made, made->begins[damaged])));
    if (torn) {
        size_t again;
        CHECK(end <= made->begins[damaged]);
        CHECK(made->begins[damaged] - end < HEADER); /* zeros at the end of a block */
        CHECK(!store_tail_torn(made->data, end, &again));
    }
    free(made);
    return 0;
}
