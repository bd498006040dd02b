/* Goal: strangers who open connections and say nothing neither close the gRPC ports nor take the
 * descriptors that the store needs. Method: a real server in a process with few descriptors, a child
 * that opens more connections than there are descriptors. */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "consensus/node/api_accept.h"
#include "tests/unit/api_world.h"
#include "tests/unit/loopback.h"

#define DESCRIPTORS 256u
#define STRANGERS   400u
#define FOR_FILES   64u

static uint32_t bound; /* of what clients may have */

/* A process that opens STRANGERS connections to a port that it is told, says so, and closes them when
 * it is told; the other end of its pipe. Made before there are threads and while descriptors last. */
struct strangers {
    int pipe;
    pid_t pid;
};

static void be_strangers(int pipe)
{
    int fds[STRANGERS];
    uint16_t port;
    char word = 'x';

    if (read(pipe, &port, sizeof port) != (ssize_t)sizeof port) _exit(1);
    for (size_t i = 0; i < STRANGERS; i++)
        fds[i] = loopback_connect(port);
    if (write(pipe, &word, 1) != 1 || read(pipe, &word, 1) != 1) _exit(3);
    for (size_t i = 0; i < STRANGERS; i++)
        (void)close(fds[i]);
    if (write(pipe, &word, 1) != 1) _exit(4);
    _exit(0);
}

static struct strangers strangers;

static int prepare(void **state)
{
    struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    strangers.pid = fork();
    assert_true(strangers.pid >= 0);
    if (strangers.pid == 0) {
        (void)close(ends[1]);
        be_strangers(ends[0]);
    }
    (void)close(ends[0]);
    strangers.pipe = ends[1];
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    bound = api_accept_bound();
    assert_int_equal(bound, DESCRIPTORS / 2);
    return 0;
}

/* One word to or from the strangers, within the world's patience. */
static void hear(void)
{
    struct pollfd poll_fd = {.fd = strangers.pipe, .events = POLLIN};
    char word;

    assert_int_equal(poll(&poll_fd, 1, (int)(PATIENCE_US / 1000)), 1);
    assert_int_equal(read(strangers.pipe, &word, 1), 1);
}

/* All that came was taken or refused: nothing waits in front of the port any more. */
static void wait_refused(uint64_t count)
{
    for (uint64_t begun = queue_now_us(); api_accept_refused() < count;) {
        assert_true(queue_now_us() - begun < PATIENCE_US);
        (void)poll(NULL, 0, 10);
    }
}

static void files_can_be_opened(void)
{
    int fds[FOR_FILES];

    for (size_t i = 0; i < FOR_FILES; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    for (size_t i = 0; i < FOR_FILES; i++)
        (void)close(fds[i]);
}

static void idle_connections_do_not_close_the_port(void **state)
{
    struct world world = open_world(NULL);
    char word = 'x';
    int code;

    (void)state;
    submit(&world, CLIENT_LEVEL_ACCEPTED, "before");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    assert_int_equal(write(strangers.pipe, &world.transactions_port, sizeof(uint16_t)),
                     sizeof(uint16_t));
    hear();
    wait_refused(STRANGERS - bound);
    files_can_be_opened();
    submit(&world, CLIENT_LEVEL_ACCEPTED, "who was here before is served");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);

    assert_int_equal(write(strangers.pipe, &word, 1), 1);
    hear();
    change_client(&world, "http", NULL, NULL);
    submit(&world, CLIENT_LEVEL_ACCEPTED, "who comes afterwards, too");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    close_world(&world);
    assert_int_equal(waitpid(strangers.pid, &code, 0), strangers.pid);
    assert_int_equal(code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_do_not_close_the_port),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
