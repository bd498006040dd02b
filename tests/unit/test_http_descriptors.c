/* Goal: a server with few descriptors neither takes all of them for connections that say nothing, nor spins
 * or closes its port for good when there is none left. Method: a real server in a process with a low
 * limit, clients in child processes. */
#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/http_server.h"
#include "tests/unit/loopback.h"
#include "tests/unit/unit.h"

#define DESCRIPTORS 96u
#define STRANGERS   120u
#define FOR_OTHERS  24u

static struct event_base *base;
static struct http_server *server;

static void handle_hello(void *context, struct http_request *request)
{
    (void)context;
    http_reply(request, 200, "text/plain", "hello", 5);
}

static const struct http_route routes[] = {{"GET", "/hello", handle_hello, 0}};

static int few_descriptors(void **state)
{
    struct rlimit limit;

    (void)state;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    limit.rlim_cur = DESCRIPTORS;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

static void open_server(void)
{
    struct address address = {"127.0.0.1", 0};
    struct error_line error;
    struct http_server_options options = {
        .routes = routes, .routes_count = 1, .connections_max = 1000};

    base = event_base_new();
    assert_int_equal(http_server_open(&server, base, &address, &options, &error), OK);
}

static void close_server(void)
{
    http_server_close(server);
    event_base_free(base);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One turn of the loop, of 20 ms when nothing happens. */
static void turn(void)
{
    const struct timeval tick = {0, 20000};

    event_base_loopexit(base, &tick);
    event_base_loop(base, EVLOOP_ONCE);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Opens STRANGERS connections, says so, and keeps them until it is told to end. */
static void be_strangers(uint16_t port, int pipe)
{
    struct rlimit limit;
    char word = 'x';

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(1);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(1);
    for (size_t i = 0; i < STRANGERS; i++)
        (void)loopback_connect(port);
    if (write(pipe, &word, 1) != 1 || read(pipe, &word, 1) != 1) _exit(3);
    _exit(0);
}

/* Asks for /hello and ends with 0 when it was answered. */
static void be_a_client(uint16_t port, int pipe)
{
    static const char request[] = "GET /hello HTTP/1.0\r\n\r\n";
    char answer[16] = "";
    char word = 'x';
    int fd = loopback_connect(port);

    if (write(fd, request, sizeof request - 1) != (ssize_t)sizeof request - 1) _exit(3);
    if (write(pipe, &word, 1) != 1) _exit(4);
    if (read(fd, answer, 12) != 12) _exit(5);
    _exit(memcmp(answer, "HTTP/1.1 200", 12) == 0 ? 0 : 6);
}

struct child {
    pid_t pid;
    int pipe;
};

static struct child start(void (*be)(uint16_t port, int pipe))
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(20); /* ends with a test that failed */
        (void)close(ends[0]);
        be(http_server_port(server), ends[1]);
    }
    (void)close(ends[1]);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return (struct child){pid, ends[0]};
}

/* The server goes on until the child has said its word. */
static void wait_for_word(struct child *child)
{
    const uint64_t deadline_ms = now_ms() + 10000;
    char word;

    while (read(child->pipe, &word, 1) != 1) {
        assert_true(now_ms() < deadline_ms);
        turn();
    }
}

/* The server goes on until the child has ended; its exit code. */
static int wait_for_end(struct child *child)
{
    const uint64_t deadline_ms = now_ms() + 10000;
    int how = -1;

    while (waitpid(child->pid, &how, WNOHANG) == 0) {
        assert_true(now_ms() < deadline_ms);
        turn();
    }
    (void)close(child->pipe);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

/* Opens up to `count` files; how many it got. */
static size_t take_descriptors(int *ret_fds, size_t count)
{
    size_t taken = 0;

    while (taken < count && (ret_fds[taken] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        taken++;
    return taken;
}

static void give_descriptors(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void silent_connections_leave_descriptors_to_others(void **state)
{
    int fds[FOR_OTHERS];

    (void)state;
    open_server();
    struct child strangers = start(be_strangers);
    wait_for_word(&strangers);
    for (int i = 0; i < 10; i++)
        turn();
    assert_int_equal(take_descriptors(fds, FOR_OTHERS), FOR_OTHERS);
    give_descriptors(fds, FOR_OTHERS);
    assert_int_equal(write(strangers.pipe, "x", 1), 1);
    assert_int_equal(wait_for_end(&strangers), 0);
    for (int i = 0; i < 10; i++)
        turn();
    struct child client = start(be_a_client);
    assert_int_equal(wait_for_end(&client), 0);
    close_server();
}

/* A client waits to be accepted while there is no descriptor: the loop turns about as often as when nothing
 * happens, for longer than the server rests, and the client is served once there is one. */
static void server_without_descriptors_rests_and_goes_on(void **state)
{
    int fds[DESCRIPTORS];
    size_t turns = 0;

    (void)state;
    open_server();
    struct child client = start(be_a_client);
    const size_t taken = take_descriptors(fds, DESCRIPTORS);
    assert_true(taken < DESCRIPTORS);
    const uint64_t end_ms = now_ms() + 2500;
    while (now_ms() < end_ms) {
        turn();
        turns++;
    }
    assert_in_range(turns, 10, 1000);
    give_descriptors(fds, taken);
    assert_int_equal(wait_for_end(&client), 0);
    close_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_connections_leave_descriptors_to_others),
        cmocka_unit_test(server_without_descriptors_rests_and_goes_on),
    };

    return cmocka_run_group_tests(tests, few_descriptors, NULL);
}
