/* libsodium's asserts guard against its own misuse by the caller; ours is fixed at build time. */
#ifndef SHIM_ASSERT_H
#define SHIM_ASSERT_H

#define assert(condition) ((void)0)

#endif
