/* libsodium's headers include this name; the kernel uses nothing of it. */
#ifndef SHIM_STDLIB_H
#define SHIM_STDLIB_H

#include <stddef.h>

_Noreturn void abort(void);

#endif
