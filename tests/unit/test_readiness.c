/* Readiness: every reason for and against it, and which of two comes first. */
#include "consensus/node/readiness.h"
#include "tests/unit/unit.h"

static struct core_status status_in_step(void)
{
    return (struct core_status){.ready = true,
                                .quorum_round = 1000,
                                .peer_round = 1000 + LAG_ROUNDS_READY,
                                .preblock_index = 5000,
                                .network_index = 5000 + LAG_PREBLOCKS_READY};
}

static void assert_not_ready(const struct core_status *status,
                             bool begun,
                             bool reaches_quorum,
                             const char *code,
                             const char *text)
{
    const struct readiness readiness = readiness_judge(status, begun, reaches_quorum);
    char line[READINESS_TEXT_BYTES];

    assert_int_not_equal(readiness.kind, READINESS_READY);
    readiness_text(line, &readiness);
    assert_string_equal(line, text);
    assert_string_equal(readiness_code(&readiness), code);
}

static void node_in_step_is_ready(void **state)
{
    struct core_status status = status_in_step();

    (void)state;
    assert_int_equal(readiness_judge(&status, true, true).kind, READINESS_READY);
    assert_int_equal(readiness_lag_rounds(&status), 0);
    assert_int_equal(readiness_lag_preblocks(&status), LAG_PREBLOCKS_READY);
}

static void node_that_reaches_no_quorum_is_not_ready(void **state)
{
    struct core_status status = status_in_step();

    (void)state;
    assert_not_ready(&status, false, true, "not_ready", "waiting for a quorum of peers");
    assert_not_ready(&status, true, false, "not_ready", "waiting for a quorum of peers");
    status.syncing = true;
    assert_not_ready(&status, false, false, "not_ready", "catching up with peers");
    assert_not_ready(&status, true, false, "not_ready", "waiting for a quorum of peers");
}

static void node_whose_rounds_are_behind_is_not_ready(void **state)
{
    struct core_status status = status_in_step();

    (void)state;
    status.peer_round++;
    assert_not_ready(&status, true, true, "lagging", "5 rounds behind");
    assert_int_equal(readiness_lag_rounds(&status), 5);
}

/* Rejoined: its rounds are in step, its pre-blocks are being made. */
static void node_whose_preblocks_are_behind_is_not_ready(void **state)
{
    struct core_status status = status_in_step();

    (void)state;
    status.network_index++;
    assert_not_ready(&status, true, true, "executing", "129 pre-blocks behind");
    status.preblock_index = 12;
    assert_not_ready(&status, true, true, "executing", "5117 pre-blocks behind");
    assert_int_equal(readiness_lag_preblocks(&status), 5117);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_in_step_is_ready),
        cmocka_unit_test(node_that_reaches_no_quorum_is_not_ready),
        cmocka_unit_test(node_whose_rounds_are_behind_is_not_ready),
        cmocka_unit_test(node_whose_preblocks_are_behind_is_not_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
