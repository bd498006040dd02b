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

/* Decodes a body. Uses `data` as scratch: afterwards `*ret_record` views the committee record in
 * it. ERR_VERSION, ERR_MALFORMED or ERR_CONFIG (committee, mode or application not known). */
enum status config_decode(struct config *ret_config,
                          struct bytes *ret_record,
                          uint8_t *data,
                          size_t len);

/* Writes a body. Not in the kernel. */
void config_encode(struct writer *writer, const struct config *config);

#endif
