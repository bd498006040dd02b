/* The sequencer's HTTP and JSON-RPC interface. Errors are JSON {"code", "message"} with the status that fits.
 *
 *   POST /broadcast    {"data": hex}          -> "OK"                          once certified
 *   POST /operations   {"data": hex}          -> Operation submitted (text)    likewise
 *   GET  /head                                -> number: the stored head + 1, 0 while it is unset
 *   GET  /blocks/N                            -> ["<hex digest of a transaction>", ...], as the rollup has it
 *   GET  /authorities/E                       -> ["<hex key>", ...] of an epoch, as the rollup has it
 *   GET  /state/value?path=/a/b               -> hex (text)                    state ahead of L1
 *   GET  /state/subkeys?path=/a               -> ["name", ...]                 likewise; "" is the value itself
 *   POST /             JSON-RPC 2.0 (json_rpc.h)
 *   GET  /status                              -> object of figures
 *   GET  /healthz /readyz /metrics */
#ifndef SEQUENCER_HTTP_API_H
#define SEQUENCER_HTTP_API_H

#include "common/error_line.h"
#include "sequencer/http_access.h"
#include "sequencer/sequencer.h"

struct http_api;

/* ERR_IO or ERR_NOT_FOUND with a line. `access` must outlive the API. */
enum status http_api_open(struct http_api **ret_api,
                          struct event_base *base,
                          const struct address *address,
                          struct sequencer *sequencer,
                          struct http_access *access,
                          struct error_line *error);

/* Reads the access files again. */
void http_api_reload(struct http_api *api);

/* Before the sequencer is closed. NULL is fine. What waits for an answer still gets it, but nobody hears. */
void http_api_close(struct http_api *api);

uint16_t http_api_port(const struct http_api *api);

#endif
