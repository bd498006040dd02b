/* libsodium generates this header when it is configured; nothing in the kernel asks for a version. */
#ifndef SHIM_SODIUM_VERSION_H
#define SHIM_SODIUM_VERSION_H
#endif
