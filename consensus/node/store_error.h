/* The one line an operator reads when a store can not be opened. */
#ifndef CONSENSUS_NODE_STORE_ERROR_H
#define CONSENSUS_NODE_STORE_ERROR_H

#include "common/base.h"

/* One line of text, with its terminating zero. */
#define STORE_ERROR_BYTES 512u

/* Fills the line and returns the status. */
__attribute__((format(printf, 3, 4))) enum status store_refuse(char *ret_error,
                                                               enum status status,
                                                               const char *format,
                                                               ...);

#endif
