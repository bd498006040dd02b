/* Handing an object to another thread through a library that the thread sanitizer does not look into (gRPC's
 * queues, which have locks): what the giver wrote before HANDOVER_GIVE is seen after HANDOVER_TAKE of the same
 * address. Nothing in other builds; gcc and clang name the sanitizer differently. */
#ifndef COMMON_HANDOVER_H
#define COMMON_HANDOVER_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HANDOVER_TOLD 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define HANDOVER_TOLD 1
#endif

#ifdef HANDOVER_TOLD
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define HANDOVER_GIVE(address) __tsan_release(address)
#define HANDOVER_TAKE(address) __tsan_acquire(address)
#else
#define HANDOVER_GIVE(address) ((void)(address))
#define HANDOVER_TAKE(address) ((void)(address))
#endif

#endif
