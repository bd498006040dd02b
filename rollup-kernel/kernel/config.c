#include "rollup-kernel/kernel/config.h"

#include "common/bcs.h"

/* Network and record are one byte apart: the mode stands between them. */
#define NETWORK_AT    1u
#define RECORD_AT     2u
#define NETWORK_BYTES 32u

/* A member in the record; in memory the two keys come first, too. */
#define MEMBER_BYTES 68u
_Static_assert(offsetof(struct member, stake) == MEMBER_BYTES - sizeof(uint32_t),
               "keys, then stake");

static struct bytes read_contract(struct reader *reader)
{
    uint8_t present = reader_u8(reader);

    if (present > 1) reader_fail(reader);
    return reader_view(reader, present == 1 ? CONFIG_CONTRACT_BYTES : 0);
}

enum status config_parse(struct config_view *ret_view, uint8_t *data, size_t len)
{
    if (len < RECORD_AT + NETWORK_BYTES) return ERR_MALFORMED;
    if (data[0] != CONFIG_VERSION) return ERR_VERSION;

    ret_view->mode = data[NETWORK_AT + NETWORK_BYTES];
    memmove(data + RECORD_AT, data + NETWORK_AT, NETWORK_BYTES);
    struct reader reader = reader_make(data + RECORD_AT, len - RECORD_AT);
    reader_view(&reader, NETWORK_BYTES);
    ret_view->epoch = reader_u64(&reader);
    reader_view(&reader, bcs_read_length(&reader, AUTHORITIES_MAX) * MEMBER_BYTES);
    ret_view->record = (struct bytes){data + RECORD_AT, len - RECORD_AT - reader.left};
    ret_view->governance = read_contract(&reader);
    ret_view->delayed_inbox = read_contract(&reader);
    ret_view->application =
        reader_view(&reader, bcs_read_length(&reader, CONFIG_APPLICATION_BYTES_MAX));
    if (!reader_done(&reader)) return ERR_MALFORMED;

    if (ret_view->mode > CONFIG_MODE_REVEAL || ret_view->application.len == 0) return ERR_CONFIG;
    uint8_t application = ret_view->application.data[0];
    return application == CONFIG_APPLICATION_LOG || application == CONFIG_APPLICATION_COUNTER
               ? OK
               : ERR_CONFIG;
}

void config_read_committee(struct committee *ret_committee, struct bytes record)
{
    struct reader reader = reader_make(record.data, record.len);

    reader_view(&reader, NETWORK_BYTES);
    ret_committee->epoch = reader_u64(&reader);
    ret_committee->count = bcs_read_length(&reader, AUTHORITIES_MAX);
    ret_committee->total = 0;
    for (uint32_t i = 0; i < ret_committee->count; i++) {
        struct member *member = &ret_committee->members[i];
        reader_copy(&reader, member, sizeof *member - sizeof member->stake);
        member->stake = reader_u32(&reader);
        ret_committee->total += member->stake;
    }
    CHECK(reader_done(&reader));
    CHECK(ret_committee->total > 0);
    ret_committee->quorum = ret_committee->total - (ret_committee->total - 1) / 3;
}

enum status config_decode(struct config *ret_config, uint8_t *data, size_t len)
{
    struct config_view view;

    enum status status = config_parse(&view, data, len);
    if (status != OK) return status;
    struct reader reader = reader_make(view.record.data, view.record.len);
    status = committee_decode(&ret_config->committee, &reader);
    if (status != OK) return status;

    ret_config->mode = view.mode;
    ret_config->has_governance = view.governance.len > 0;
    ret_config->has_delayed_inbox = view.delayed_inbox.len > 0;
    if (view.governance.len > 0)
        memcpy(ret_config->governance, view.governance.data, view.governance.len);
    if (view.delayed_inbox.len > 0) {
        memcpy(ret_config->delayed_inbox, view.delayed_inbox.data, view.delayed_inbox.len);
    }
    ret_config->application_len = (uint32_t)view.application.len;
    memcpy(ret_config->application, view.application.data, view.application.len);
    return OK;
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
