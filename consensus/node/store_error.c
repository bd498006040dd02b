#include "consensus/node/store_error.h"

#include <stdarg.h>
#include <stdio.h>

enum status store_refuse(char *ret_error, enum status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ret_error, STORE_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return status;
}
