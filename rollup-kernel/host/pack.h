/* Packing: kernel.wasm and the configuration it is originated with (rollup-kernel/kernel/config.h).
 */
#ifndef HOST_PACK_H
#define HOST_PACK_H

#include "rollup-kernel/kernel/config.h"

/* A kernel up to this size can be originated without an installer: one operation carries it. */
#define PACK_BYTES_MAX 32000u

/* The kernel with the section behind it, from malloc. ERR_CONFLICT when it is packed already,
 * ERR_MALFORMED when it is not a module, ERR_CONFIG when the configuration is not one a kernel
 * takes. */
enum status pack_kernel(uint8_t **ret_packed,
                        size_t *ret_len,
                        struct bytes wasm,
                        const struct config *config);

/* The configuration of a packed kernel. ERR_NOT_FOUND when there is none; otherwise as
 * config_decode. */
enum status pack_read_config(struct config *ret_config, struct bytes packed);

#endif
