#include "rollup-kernel/kernel/config.h"

#include "common/bcs.h"

/* Network and record are one byte apart: the mode stands between them. */
#define NETWORK_AT 1u
#define RECORD_AT  2u

static bool read_contract(struct reader *reader, uint8_t *ret_contract)
{
    uint8_t present = reader_u8(reader);

    if (present > 1) reader_fail(reader);
    if (present == 1) reader_copy(reader, ret_contract, CONFIG_CONTRACT_BYTES);
    return present == 1;
}

enum status config_decode(struct config *ret_config,
                          struct bytes *ret_record,
                          uint8_t *data,
                          size_t len)
{
    const size_t network_len = sizeof ret_config->committee.network;

    if (len < RECORD_AT + network_len) return ERR_MALFORMED;
    if (data[0] != CONFIG_VERSION) return ERR_VERSION;

    ret_config->mode = data[NETWORK_AT + network_len];
    memmove(data + RECORD_AT, data + NETWORK_AT, network_len);
    struct reader reader = reader_make(data + RECORD_AT, len - RECORD_AT);
    enum status status = committee_decode(&ret_config->committee, &reader);
    if (status != OK) return status;
    *ret_record = (struct bytes){data + RECORD_AT, len - RECORD_AT - reader.left};

    ret_config->has_governance = read_contract(&reader, ret_config->governance);
    ret_config->has_delayed_inbox = read_contract(&reader, ret_config->delayed_inbox);
    ret_config->application_len = bcs_read_length(&reader, CONFIG_APPLICATION_BYTES_MAX);
    reader_copy(&reader, ret_config->application, ret_config->application_len);
    if (!reader_done(&reader)) return ERR_MALFORMED;

    if (ret_config->mode > CONFIG_MODE_REVEAL || ret_config->application_len == 0)
        return ERR_CONFIG;
    return ret_config->application[0] >= CONFIG_APPLICATION_LOG &&
                   ret_config->application[0] <= CONFIG_APPLICATION_COUNTER
               ? OK
               : ERR_CONFIG;
}

static void write_contract(struct writer *writer, bool present, const uint8_t *contract)
{
    writer_u8(writer, present);
    if (present) writer_copy(writer, contract, CONFIG_CONTRACT_BYTES);
}

void config_encode(struct writer *writer, const struct config *config)
{
    uint8_t record[COMMITTEE_RECORD_BYTES_MAX];
    struct writer members = writer_make(record, sizeof record);
    const size_t network_len = sizeof config->committee.network;

    committee_encode(&members, &config->committee);
    CHECK(!members.failed);
    writer_u8(writer, CONFIG_VERSION);
    writer_copy(writer, record, network_len);
    writer_u8(writer, config->mode);
    writer_copy(writer, record + network_len, members.len - network_len);
    write_contract(writer, config->has_governance, config->governance);
    write_contract(writer, config->has_delayed_inbox, config->delayed_inbox);
    bcs_write_length(writer, config->application_len);
    writer_copy(writer, config->application, config->application_len);
}
