#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "net/peer.h"
#include "net/sock.h"

#include "mini.h"
#include "test.h"

static struct addr loopback(void)
{
    struct addr a;

    assert_true(addr_parse(STR("127.0.0.1"), &a));
    return a;
}

static void meet(void *arg)
{
    struct why why = WHY;
    struct addr at = loopback();
    struct peer peer;
    int l = sock_listen(&at, 5, &why);

    (void)arg;
    assert_true(l >= 0);
    assert_true(sock_local(l, &at));
    assert_int_equal(sock_accept(l, &peer), -1);
    assert_int_equal(errno, EAGAIN);
    int c = sock_connect(&at, NULL, task_now() + 5000, &why);
    assert_true(c >= 0);
    assert_int_equal(task_wait_fd(l, POLLIN, task_now() + 5000), WAIT_READY);
    int s = sock_accept(l, &peer);
    assert_true(s >= 0);
    assert_string_equal(peer.addr_text, "127.0.0.1");
    assert_string_equal(peer.name, "unknown");
    assert_int_equal(peer.local.port, at.port);
    struct addr local;
    assert_true(sock_local(c, &local));
    assert_int_equal(peer.addr.port, local.port);
    struct peer again;
    assert_true(peer_of(&again, s));
    assert_true(addr_same_host(&again.addr, &peer.addr));
    task_close(c);
    task_close(s);
    task_close(l);
    assert_int_equal(sock_connect(&at, NULL, task_now() + 5000, &why), -1);
    assert_string_equal(why_text(&why), "Connection refused");
    assert_string_equal(why.code, "4.4.1");
    assert_false(peer_of(&again, -1));
    assert_string_equal(again.addr_text, "unknown");
    why_free(&why);
}

TEST(clients_are_accepted_and_known)
{
    mini_run(meet, NULL);
}

static void meet_unix(void *arg)
{
    const char *path = arg;
    struct why why = WHY;
    struct peer peer;
    int l = sock_listen_unix(path, 1, 0666, &why);

    /* A name that did not fit somewhere is no abstract socket of anybody. */
    assert_int_equal(sock_connect_unix("", task_now() + 1000, &why), -1);
    assert_string_equal(why.code, "4.3.5");
    assert_true(l >= 0);
    int c = sock_connect_unix(path, task_now() + 1000, &why);
    int d = sock_connect_unix(path, task_now() + 1000, &why);
    assert_true(c >= 0 && d >= 0);
    /* The backlog is full now: a deadline holds nevertheless. */
    assert_int_equal(sock_connect_unix(path, task_now() + 30, &why), -1);
    int s = sock_accept(l, &peer);
    assert_true(s >= 0);
    assert_string_equal(peer.name, "localhost");
    assert_string_equal(peer.addr_text, "127.0.0.1");
    task_close(s);
    task_close(c);
    task_close(d);
    task_close(l);
    assert_int_equal(sock_connect_unix(path, 0, &why), -1);
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(sock_connect_unix(longer, 0, &why), -1);
    why_free(&why);
}

TEST(unix_sockets_connect_within_a_deadline)
{
    char dir[] = "/tmp/test_sock.XXXXXX", path[100];

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    mini_run(meet_unix, path);
    unlink(path);
    rmdir(dir);
}

static void use_busy_port(void *arg)
{
    struct why why = WHY;
    struct addr at = loopback();
    int l = sock_listen(&at, 5, &why);

    (void)arg;
    assert_true(sock_local(l, &at));
    assert_int_equal(sock_listen(&at, 5, &why), -1);
    assert_non_null(strstr(why_text(&why), "Address already in use"));
    task_close(l);
    why_free(&why);
}

TEST(a_port_in_use_is_told)
{
    mini_run(use_busy_port, NULL);
}

RUN_TESTS(T(clients_are_accepted_and_known), T(unix_sockets_connect_within_a_deadline),
          T(a_port_in_use_is_told))
