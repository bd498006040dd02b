/* libsodium's headers include this name; the kernel uses nothing of it. */
#ifndef SHIM_SYS_TYPES_H
#define SHIM_SYS_TYPES_H

#include <stddef.h>

#endif
