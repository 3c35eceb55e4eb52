/* A process that is sent datagrams: what it reads before it ends. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "service/service_process.h"

#include "test.h"

enum { FIRST = 100, LONG_MS = 10000 };

static struct {
    int to;
    unsigned n; /* were read */
    int64_t until; /* each is followed by another one */
} sender;

static void send_one(void)
{
    assert_int_equal(send(sender.to, "line", 4, 0), 4);
}

static void datagram(struct str bytes, const struct service_sender *from)
{
    (void)from;
    assert_true(str_eqz(bytes, "line"));
    sender.n++;
    if (clock_ms() < sender.until)
        send_one();
}

/* Of UDP, which keeps more of them than a UNIX socket may. */
static void connect_to(int fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    sender.to = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(sender.to, (struct sockaddr *)&at, len), 0);
}

/* What came before a process was told to end. */
static void read_last(int64_t until)
{
    static const struct service service = {.name = "test", .datagram = datagram};
    struct metrics_page page = {0};
    struct process p = {.service = &service, .page = &page, .draining = true};

    sender.n = 0;
    sender.until = until;
    *VEC_ADD(&p.listeners) =
        (struct listener){.fd = socket(AF_INET, SOCK_DGRAM, 0), .active = -1, .process = &p};
    connect_to(p.listeners.at[0].fd);
    for (int i = 0; i < FIRST; i++)
        send_one();
    task_start("read", datagrams_read, &p.listeners.at[0]);
    task_loop();
    assert_int_equal(p.listeners.at[0].fd, -1);
    VEC_FREE(&p.listeners);
    close(sender.to);
}

TEST(what_came_before_the_end_is_read)
{
    read_last(0);
    assert_int_equal(sender.n, FIRST);
}

TEST(who_goes_on_sending_does_not_keep_the_process)
{
    int64_t until = clock_ms() + LONG_MS;

    read_last(until);
    assert_true(sender.n > FIRST);
    assert_true(clock_ms() < until);
}

RUN_TESTS(T(what_came_before_the_end_is_read), T(who_goes_on_sending_does_not_keep_the_process))
