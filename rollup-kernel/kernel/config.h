/* What a kernel is originated with: its first committee, its payload mode and its application, in a
 * custom section named `config` behind the code of kernel.wasm, so that the origination commits to
 * it.
 *
 *   section   00 | ULEB128 length of the rest | 06 "config" | body | length of body u32 LE
 *   body      version u8 (1) | network 32 | mode u8 | epoch u64 | vec<key 32, network key 32, stake
 * u32> | governance option<20> | delayed inbox option<20> | application vec<u8>
 *
 * The body is BCS. The section is the last of the file: the kernel finds the body from the end.
 * Network, epoch and members are the committee record of common/committee.h with the mode in
 * between. */
#ifndef KERNEL_CONFIG_H
#define KERNEL_CONFIG_H

#include "common/committee.h"

#define CONFIG_VERSION 1u

/* Where payload comes from. `CONFIG_MODE_REVEAL` also takes pages from the inbox. */
enum config_mode { CONFIG_MODE_INBOX = 0, CONFIG_MODE_REVEAL = 1 };

/* First byte of the application bytes; the rest is the application's own. */
enum config_application { CONFIG_APPLICATION_LOG = 1, CONFIG_APPLICATION_COUNTER = 2 };

#define CONFIG_CONTRACT_BYTES        20u
#define CONFIG_APPLICATION_BYTES_MAX 64u
#define CONFIG_BYTES_MAX                                                             \
    (1u + 1u + COMMITTEE_RECORD_BYTES_MAX + 2u * (1u + CONFIG_CONTRACT_BYTES) + 1u + \
     CONFIG_APPLICATION_BYTES_MAX)

struct config {
    struct committee committee;
    uint8_t mode; /* enum config_mode */
    bool has_governance;
    bool has_delayed_inbox;
    uint8_t governance[CONFIG_CONTRACT_BYTES];    /* KT1 hash; reserved in version 1 */
    uint8_t delayed_inbox[CONFIG_CONTRACT_BYTES]; /* KT1 hash; reserved in version 1 */
    uint32_t application_len;                     /* at least 1 */
    uint8_t application[CONFIG_APPLICATION_BYTES_MAX];
};

/* A body taken apart. All views are into its memory. */
struct config_view {
    uint64_t epoch;
    struct bytes record; /* the committee record */
    uint8_t mode;
    struct bytes governance; /* 20 bytes, or none */
    struct bytes delayed_inbox;
    struct bytes application;
};

/* Takes a body apart; uses `data` as scratch. The members are only counted: whoever packs a kernel has
 * checked them, and its originator has committed to them. ERR_VERSION, ERR_MALFORMED, or ERR_CONFIG (mode or
 * application not known). */
enum status config_parse(struct config_view *ret_view, uint8_t *data, size_t len);

/* Keys, stakes and quorum out of a committee record that is known to be well-formed; the other fields of
 * the committee are not set. */
void config_read_committee(struct committee *ret_committee, struct bytes record);

/* The same as config_parse with every member checked (common/committee.h). Not in the kernel. */
enum status config_decode(struct config *ret_config, uint8_t *data, size_t len);

/* Writes a body. Not in the kernel. */
void config_encode(struct writer *writer, const struct config *config);

#endif
