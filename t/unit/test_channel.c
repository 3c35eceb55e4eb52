#include <errno.h>
#include <sys/mman.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "ipc/trigger.h"
#include "net/stream.h"

#include "unix_server.h"

/* A server in the same process: answers "echo" with its text; "die" closes without an answer. */
static struct {
    struct unix_server at;
    int accepted, most, now; /* connections: ever, most at a time, now */
    int requests;
    bool close_after_each;
    int close_unread; /* so many connections are closed with what came unread */
    size_t content; /* bytes that follow a request "take" */
} server;

enum { PATIENCE_MS = 60 * 1000 }; /* megabytes with hostile waits, on a busy machine */

/* Numbers that count up, so that what is lost or comes twice is seen. */
static void take_content(struct stream *s)
{
    uint32_t n;

    for (uint32_t i = 0; i < server.content / sizeof n; i++) {
        assert_int_equal(stream_read(s, &n, sizeof n), sizeof n);
        assert_int_equal(n, i);
    }
}

/* Answers early; then a byte comes with a descriptor, whose content is the text of the answer. */
static void take_fd(struct stream *s, struct attrs *answer)
{
    char text[10] = "";

    attrs_put_why(answer, NULL);
    attrs_putz(answer, "text", "early");
    attrs_send(s, answer, NULL);
    assert_int_equal(stream_read(s, text, 1), 1);
    int fd = stream_take_fd(s);
    assert_true(fd >= 0 && stream_take_fd(s) < 0);
    assert_int_equal(pread(fd, text, sizeof text - 1, 0), 6);
    close(fd);
    attrs_clear(answer);
    attrs_putz(answer, "sent", text);
}

static void serve(void *arg)
{
    struct stream *s = attrs_stream((int)(intptr_t)arg);
    struct attrs ask = ATTRS(1000), answer = ATTRS(1000);

    server.accepted++;
    if (++server.now > server.most)
        server.most = server.now;
    while (stream_wait_unread(s, 0) == WAIT_READY) {
        if (server.close_unread > 0 && server.close_unread--)
            break;
        if (attrs_recv(s, &ask, NULL) < 0)
            break;
        server.requests++;
        if (strcmp(attrs_get(&ask, A_REQUEST), "take") == 0)
            take_content(s);
        if (strcmp(attrs_get(&ask, A_REQUEST), "die") == 0)
            break;
        task_yield();
        attrs_clear(&answer);
        if (strcmp(attrs_get(&ask, A_REQUEST), "early") == 0)
            take_fd(s, &answer);
        attrs_put_why(&answer, NULL);
        attrs_putz(&answer, "text", attrs_get(&ask, "text"));
        attrs_send(s, &answer, NULL);
        if (server.close_after_each)
            break;
    }
    server.now--;
    attrs_free(&ask);
    attrs_free(&answer);
    stream_free(&s);
}

static struct task *start_server(void)
{
    memset(&server, 0, sizeof server);
    return unix_server_start(&server.at, "test_channel", serve);
}

static void stop_server(struct task *acceptor)
{
    task_cancel(acceptor);
    unlink(server.at.path);
}

static int echo(struct channel *c, const char *request, const char *text)
{
    struct attrs ask = ATTRS(1000), answer = ATTRS(1000);

    attrs_putz(&ask, A_REQUEST, request);
    attrs_putz(&ask, "text", text);
    int result = channel_call(c, &ask, &answer, task_now() + PATIENCE_MS, NULL);
    if (result == 0)
        assert_string_equal(attrs_get(&answer, "text"), text);
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

static void keep_alive(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 4);

    (void)arg;
    for (int i = 0; i < 10; i++)
        assert_int_equal(echo(c, "echo", "hello"), 0);
    assert_int_equal(server.accepted, 1);
    channel_free(&c);
    stop_server(acceptor);
}

static void replace_dead(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 4);

    (void)arg;
    server.close_after_each = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(echo(c, "echo", "again"), 0);
    assert_int_equal(server.accepted, 5);
    channel_free(&c);
    stop_server(acceptor);
}

static void ask_once(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 4);

    (void)arg;
    assert_int_equal(echo(c, "echo", "x"), 0);
    assert_int_equal(echo(c, "die", "x"), -1);
    assert_int_equal(server.requests, 2); /* it was read: never sent again */
    assert_int_equal(echo(c, "echo", "x"), 0);
    channel_free(&c);
    stop_server(acceptor);
}

static int done;
static void one_of_many(void *arg)
{
    assert_int_equal(echo(arg, "echo", "many"), 0);
    done++;
}

static void limited(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 3);

    (void)arg;
    done = 0;
    for (int i = 0; i < 50; i++)
        task_start("one", one_of_many, c);
    while (done < 50)
        task_yield();
    assert_int_equal(server.most, 3);
    assert_int_equal(server.accepted, 3);
    channel_free(&c);
    stop_server(acceptor);
}

static void nobody_there(void *arg)
{
    struct channel *c = channel_new("/tmp/test_channel.nobody", 1);
    struct attrs ask = ATTRS(100), answer = ATTRS(100);
    struct why why = WHY;
    int64_t before = task_now();

    (void)arg;
    attrs_putz(&ask, A_REQUEST, "x");
    assert_int_equal(channel_call(c, &ask, &answer, before + 150, &why), -1);
    assert_true(why_later(&why));
    assert_true(task_now() >= before + 150);
    assert_true(task_now() < before + 5000);
    attrs_free(&ask);
    attrs_free(&answer);
    why_free(&why);
    channel_free(&c);
}

static void stepwise(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 1);
    struct attrs ask = ATTRS(100), answer = ATTRS(100);

    (void)arg;
    attrs_putz(&ask, A_REQUEST, "echo");
    attrs_putz(&ask, "text", "1");
    struct call *k = channel_begin(c, &ask, 0, NULL);
    assert_non_null(k);
    assert_int_equal(channel_end(&k, &answer, NULL), 0);
    assert_null(k);
    k = channel_begin(c, &ask, 0, NULL);
    channel_abort(&k); /* the place is free again, the connection is not used again */
    assert_int_equal(echo(c, "echo", "2"), 0);
    assert_int_equal(server.accepted, 2);
    attrs_free(&ask);
    attrs_free(&answer);
    channel_free(&c);
    stop_server(acceptor);
}

static struct call *begin_early(struct channel *c)
{
    struct attrs ask = ATTRS(100);

    attrs_putz(&ask, A_REQUEST, "early");
    struct call *k = channel_begin(c, &ask, 0, NULL);
    assert_non_null(k);
    attrs_free(&ask);
    return k;
}

static void descriptor(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 1);
    struct attrs answer = ATTRS(100);
    int fd = memfd_create("sent", MFD_CLOEXEC);

    (void)arg;
    assert_int_equal(write(fd, "inside", 6), 6);
    server.close_unread = 1; /* up to the early answer it is sent again */
    struct call *k = begin_early(c);
    assert_int_equal(channel_hear(k, &answer, NULL), 0);
    assert_string_equal(attrs_get(&answer, "text"), "early");
    assert_int_equal(channel_put_fd(k, fd, NULL), 0);
    channel_put(k, STR("x"));
    assert_int_equal(channel_end(&k, &answer, NULL), 0);
    assert_string_equal(attrs_get(&answer, "sent"), "inside");
    assert_int_equal(server.accepted, 2);

    k = begin_early(c);
    server.close_unread = 1; /* with a descriptor it is not */
    assert_int_equal(channel_put_fd(k, fd, NULL), 0);
    channel_put(k, STR("x"));
    assert_int_equal(channel_end(&k, &answer, NULL), -1);
    server.close_unread = 0;
    close(fd);
    attrs_free(&answer);
    channel_free(&c);
    stop_server(acceptor);
}

static int send_content(struct channel *c, size_t size)
{
    struct attrs ask = ATTRS(100), answer = ATTRS(100);
    struct buf piece = BUF(50000);

    server.content = size;
    attrs_putz(&ask, A_REQUEST, "take");
    attrs_putz(&ask, "text", "taken");
    struct call *k = channel_begin(c, &ask, task_now() + PATIENCE_MS, NULL);
    assert_non_null(k);
    for (uint32_t i = 0; i < size / sizeof i; i++) {
        if (piece.n + sizeof i > piece.max) {
            channel_put(k, buf_str(&piece));
            buf_clear(&piece);
        }
        buf_add(&piece, (struct str){(const char *)&i, sizeof i});
    }
    channel_put(k, buf_str(&piece));
    int result = channel_end(&k, &answer, NULL);
    if (result == 0)
        assert_string_equal(attrs_get(&answer, "text"), "taken");
    attrs_free(&ask);
    attrs_free(&answer);
    buf_free(&piece);
    return result;
}

static void unread(void *arg)
{
    static const size_t sizes[] = {4, 3000, 60000, 200000, 3000000};
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 4);
    int requests = 0;

    (void)arg;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int times = 0; times < 4; times++) {
            server.close_unread = times; /* a kept connection, and new ones */
            assert_int_equal(send_content(c, sizes[i]), 0);
            server.close_unread = times;
            assert_int_equal(echo(c, "echo", "x"), 0);
            assert_int_equal(server.requests, requests += 2);
        }
    server.close_unread = 100; /* somebody who never reads */
    assert_int_equal(send_content(c, 5), -1);
    assert_int_equal(echo(c, "echo", "x"), -1);
    assert_int_equal(server.requests, requests);
    server.close_unread = 0;
    channel_free(&c);
    stop_server(acceptor);
}

static void idle_ones_are_closed(void *arg)
{
    struct task *acceptor = start_server();
    struct channel *c = channel_new(server.at.path, 1);

    (void)arg;
    conf.ipc_idle = 0;
    assert_int_equal(echo(c, "echo", "x"), 0);
    int64_t limit = task_now() + PATIENCE_MS;
    while (server.now > 0 && task_now() < limit)
        task_sleep(task_now() + 5);
    assert_int_equal(server.now, 0);
    conf.ipc_idle = 5;
    channel_free(&c);
    stop_server(acceptor);
}

static void trigger(void *arg)
{
    struct task *acceptor = start_server();
    struct why why = WHY;

    (void)arg;
    assert_int_equal(trigger_send(server.at.path, TRIGGER_WAKE, &why), 0);
    assert_int_equal(trigger_send("/tmp/test_channel.nobody", TRIGGER_WAKE, &why), -1);
    why_free(&why);
    stop_server(acceptor);
}

static void run(task_fn *fn)
{
    conf.ipc_idle = 5;
    conf.ipc_ttl = 1000;
    conf.ipc_timeout = 10;
    msg_to_stderr(false);
    task_start("test", fn, NULL);
    task_loop();
}

TEST(one_connection_serves_many_calls)
{
    run(keep_alive);
}
TEST(a_connection_that_died_is_replaced)
{
    run(replace_dead);
}
TEST(a_request_that_was_read_is_not_sent_twice)
{
    run(ask_once);
}
TEST(a_request_that_nobody_read_is_sent_again)
{
    run(unread);
}
TEST(concurrency_is_the_number_of_connections)
{
    run(limited);
}
TEST(an_absent_service_is_waited_for_until_the_deadline)
{
    run(nobody_there);
}
TEST(a_call_can_be_made_in_steps)
{
    run(stepwise);
}
TEST(a_descriptor_can_follow_an_early_answer)
{
    run(descriptor);
}
TEST(idle_connections_are_closed)
{
    run(idle_ones_are_closed);
}
TEST(a_trigger_is_one_byte)
{
    run(trigger);
}

RUN_TESTS(T(one_connection_serves_many_calls), T(a_connection_that_died_is_replaced),
          T(a_request_that_was_read_is_not_sent_twice), T(a_request_that_nobody_read_is_sent_again),
          T(concurrency_is_the_number_of_connections),
          T(an_absent_service_is_waited_for_until_the_deadline), T(a_call_can_be_made_in_steps),
          T(a_descriptor_can_follow_an_early_answer), T(idle_connections_are_closed),
          T(a_trigger_is_one_byte))
