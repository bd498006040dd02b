/* What the tools print while they run and at the end: one refreshing line on a terminal, plain
 * lines in a pipe, JSON when asked. Data goes to stdout. */
#ifndef CONSENSUS_TOOLS_REPORT_H
#define CONSENSUS_TOOLS_REPORT_H

#include "common/bytes.h"
#include "common/stats.h"
#include "consensus/tools/item.h"

enum report_form { REPORT_LINES, REPORT_REFRESH, REPORT_JSON, REPORT_NONE };

struct report {
    enum report_form form;
    uint64_t started_us;
    uint64_t last_us; /* of the last refresh */
    uint64_t last_transactions;
    uint64_t last_bytes;
    uint64_t items;
    uint64_t first_id;
    uint64_t last_id;
    uint64_t transactions;
    uint64_t bytes;
    uint64_t foreign;
    uint64_t gaps;         /* ids that did not follow */
    uint64_t sealed_ms;    /* from the sealing of batches to their arrival here, summed ... */
    uint64_t sealed_count; /* ... over so many batches */
    struct stats latency;  /* us, end to end */
};

uint64_t report_now_us(void);

/* Never fails. `json`: one object per sub-DAG; `quiet`: nothing per sub-DAG. */
void report_open(struct report *report, bool json, bool quiet);

/* One sub-DAG arrived. */
void report_item(struct report *report, const struct item *item);

/* Ends a refreshing line and prints the summary; as one JSON object when `json`. */
void report_summary(struct report *report, bool json);

#endif
