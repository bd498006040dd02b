/* Inside of config: one value from text or JSON into its place, and what to say when it does not
 * fit. */
#ifndef COMMON_CONFIG_VALUE_H
#define COMMON_CONFIG_VALUE_H

#include <jansson.h>

#include "common/config.h"

#define CONFIG_EXPECTED_BYTES_MAX 256u

/* Stores a value; false when text or JSON is not one that the field allows. Lists are appended to.
 */
bool config_set_text(const struct config_field *field, void *values, const char *text);
bool config_set_json(const struct config_field *field, void *values, const json_t *json);

/* Puts a field into the state of holding nothing; frees what it held when `free_old`. */
void config_clear(const struct config_field *field, void *values, bool free_old);

/* "a duration from 1ms to 10s", to follow "expected ". `ret` takes CONFIG_EXPECTED_BYTES_MAX bytes.
 */
void config_expected(char *ret, const struct config_field *field);

/* "batch_delay" to "batch-delay" and to "DSN_BATCH_DELAY". `ret` takes CONFIG_NAME_BYTES_MAX bytes.
 */
#define CONFIG_NAME_BYTES_MAX 64u
void config_flag_name(char *ret, const struct config_field *field);
void config_variable_name(char *ret, const struct config_field *field);

/* Fields that every program has. */
struct config_common {
    char *config;
    uint32_t log_level;
};
extern const struct config_field config_common_fields[];
#define CONFIG_COMMON_FIELDS 2u

#endif
