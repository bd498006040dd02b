/* One connection to a server of ours on a loopback port, from the first byte of the request to the end: for decoders
 * behind an HTTP server, which run as deployed. What comes back is read as our own client reads it. */
#ifndef TESTS_FUZZ_HTTP_RIG_H
#define TESTS_FUZZ_HTTP_RIG_H

#include "common/base.h"

struct event_base;

/* Sends the bytes, says that nothing more will come, and runs the loop until the server has closed. Every reply must
 * be one that http_answer takes. Returns how many there were, and the code of the first and its body, which stay
 * until the next call; `ret_code` is 0 when there was none. */
uint32_t http_rig_ask(struct event_base *base,
                      uint16_t port,
                      const void *request,
                      size_t len,
                      int *ret_code,
                      struct bytes *ret_body);

#endif
