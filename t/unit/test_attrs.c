#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "ipc/attrs.h"
#include "ipc/proto.h"
#include "net/stream.h"
#include "task/task.h"

#include "test.h"

TEST(values_come_back_in_any_order)
{
    struct attrs a = ATTRS(1000);

    attrs_putz(&a, "sender", "a@b");
    attrs_putn(&a, "size", 12345678901);
    attrs_putz(&a, "empty", "");
    assert_int_equal(attrs_getn(&a, "size", 0, INT64_MAX), 12345678901);
    assert_string_equal(attrs_get(&a, "sender"), "a@b");
    assert_string_equal(attrs_get(&a, "empty"), "");
    assert_string_equal(attrs_opt(&a, "absent", "x"), "x");
    assert_true(attrs_ok(&a));
    attrs_free(&a);
}

TEST(a_repeated_name_is_walked)
{
    struct attrs a = ATTRS(1000);
    size_t cursor = 0;

    attrs_putz(&a, "recipient", "one");
    attrs_putz(&a, "size", "7");
    attrs_putz(&a, "recipient", "two");
    assert_string_equal(attrs_each(&a, "recipient", &cursor), "one");
    assert_string_equal(attrs_each(&a, "recipient", &cursor), "two");
    assert_null(attrs_each(&a, "recipient", &cursor));
    attrs_free(&a);
}

TEST(missing_and_malformed_values_are_noted)
{
    struct attrs a = ATTRS(1000);

    attrs_putz(&a, "n", "12x");
    assert_int_equal(attrs_getn(&a, "n", 3, 100), 3);
    assert_string_equal(a.bad, "n");
    attrs_clear(&a);
    attrs_putz(&a, "n", "101");
    assert_int_equal(attrs_getn(&a, "n", 3, 100), 3);
    assert_false(attrs_ok(&a));
    attrs_clear(&a);
    assert_string_equal(attrs_get(&a, "absent"), "");
    assert_false(attrs_ok(&a));
    attrs_free(&a);
}

TEST(a_value_with_a_zero_byte_is_not_sent)
{
    struct attrs a = ATTRS(1000);
    attrs_put(&a, "sender", (struct str){"a\0request\0quit", 14});
    assert_false(attrs_ok(&a));
    assert_int_equal(a.wire.n, 0);
    attrs_free(&a);
}

TEST(scan_needs_the_whole_message_and_no_more)
{
    static const struct {
        const char *bytes;
        size_t n;
        ptrdiff_t used;
    } cases[] = {
        {"", 0, 0},         {"\0", 1, 1},
        {"a\0b\0\0", 5, 5}, {"a\0b\0\0more", 9, 5},
        {"a\0\0\0", 4, 4},  {"a\0\0", 3, 0},
        {"a\0b", 3, 0},     {"a\0b\0", 4, 0},
        {"a\0b\0cd", 6, 0}, {"0123456789\0\0\0", 13, -1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attrs a = ATTRS(10);
        assert_int_equal(attrs_scan((struct str){cases[i].bytes, cases[i].n}, &a), cases[i].used);
        attrs_free(&a);
    }
}

TEST(why_travels)
{
    struct attrs a = ATTRS(1000);
    struct why in = WHY, out = WHY;

    attrs_put_why(&a, NULL);
    assert_int_equal(attrs_get_why(&a, &out), 0);
    attrs_clear(&a);
    why_set(&in, "5.1.1", "no such %s", "user");
    attrs_put_why(&a, &in);
    assert_int_equal(attrs_get_why(&a, &out), -1);
    assert_string_equal(out.code, "5.1.1");
    assert_string_equal(why_text(&out), "no such user");
    attrs_clear(&a);
    assert_int_equal(attrs_get_why(&a, &out), -1); /* no status at all: later */
    assert_true(why_later(&out));
    attrs_clear(&a);
    attrs_putz(&a, A_STATUS, STATUS_RETRY); /* the status decides */
    attrs_putz(&a, A_WHY_CODE, "5.1.1");
    assert_int_equal(attrs_get_why(&a, &out), -1);
    assert_true(why_later(&out));
    attrs_free(&a);
    why_free(&in);
    why_free(&out);
}

static int pair[2];

static void send_with_descriptor(void *arg)
{
    struct stream *s = attrs_stream(pair[0]);
    struct attrs a = ATTRS(1000);
    int ends[2];

    (void)arg;
    assert_int_equal(pipe(ends), 0);
    attrs_putz(&a, A_REQUEST, "take");
    attrs_put_fd(&a, ends[0]);
    assert_int_equal(attrs_send(s, &a, NULL), 0);
    attrs_clear(&a);
    assert_int_equal(write(ends[1], "x", 1), 1);
    close(ends[1]);
    attrs_putz(&a, A_REQUEST, "second");
    assert_int_equal(attrs_send(s, &a, NULL), 0);
    stream_put(s, STR("tail"));
    attrs_free(&a);
    stream_free(&s);
}

static void recv_with_descriptor(void *arg)
{
    struct stream *s = attrs_stream(pair[1]);
    struct attrs a = ATTRS(1000);
    struct why why = WHY;
    char byte = 0, tail[5] = "";

    (void)arg;
    assert_int_equal(attrs_recv(s, &a, NULL), 0);
    assert_string_equal(attrs_get(&a, A_REQUEST), "take");
    int fd = attrs_take_fd(&a);
    assert_true(fd >= 0);
    assert_int_equal(attrs_take_fd(&a), -1);
    assert_int_equal(attrs_recv(s, &a, NULL), 0);
    assert_string_equal(attrs_get(&a, A_REQUEST), "second");
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(fd);
    assert_int_equal(stream_read(s, tail, 4), 4); /* nothing of it was eaten */
    assert_string_equal(tail, "tail");
    assert_int_equal(attrs_recv(s, &a, &why), -1);
    assert_string_equal(why_text(&why), "connection closed");
    why_free(&why);
    attrs_free(&a);
    stream_free(&s);
}

TEST(messages_and_descriptors_cross_a_socket)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    task_start("send", send_with_descriptor, NULL);
    task_start("recv", recv_with_descriptor, NULL);
    task_loop();
}

static void recv_too_much(void *arg)
{
    struct stream *s = attrs_stream(pair[1]);
    struct attrs a = ATTRS(100);

    (void)arg;
    assert_int_equal(attrs_recv(s, &a, NULL), -1);
    attrs_free(&a);
    stream_free(&s);
}

static void send_too_much(void *arg)
{
    struct stream *s = attrs_stream(pair[0]);

    (void)arg;
    for (int i = 0; i < 1000; i++)
        stream_put(s, STR("name"));
    stream_free(&s);
}

TEST(a_message_over_the_ceiling_is_refused)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    task_start("send", send_too_much, NULL);
    task_start("recv", recv_too_much, NULL);
    task_loop();
}

enum { SENDERS = 4 };

/* Logs, and then tells the other end of its connection. */
static void log_and_send(void *arg)
{
    struct stream *s = attrs_stream((int)(intptr_t)arg);
    struct attrs a = ATTRS(1000);

    msg_info("sent");
    attrs_putz(&a, A_STATUS, STATUS_OK);
    assert_int_equal(attrs_send(s, &a, NULL), 0);
    attrs_free(&a);
    stream_free(&s);
}

static int log_ends[2];

/* Whoever hears of something finds it in the log. */
static void hear(void *arg)
{
    struct stream *s = attrs_stream((int)(intptr_t)arg);
    struct attrs a = ATTRS(1000);
    char byte;

    assert_int_equal(attrs_recv(s, &a, NULL), 0);
    assert_int_equal(recv(log_ends[0], &byte, 1, MSG_PEEK), 1);
    attrs_free(&a);
    stream_free(&s);
}

TEST(log_lines_go_out_before_what_they_are_about_and_together)
{
    int lines = 0, ends[2];
    char text[1000];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, log_ends), 0);
    msg_to_postlogd(log_ends[1]);
    msg_hold();
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        task_start("sender", log_and_send, (void *)(intptr_t)ends[0]);
        task_start("hearer", hear, (void *)(intptr_t)ends[1]);
    }
    task_loop();
    ssize_t n = recv(log_ends[0], text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, SENDERS);
    assert_int_equal(recv(log_ends[0], text, sizeof text, 0), -1); /* no second datagram */
    close(log_ends[0]);
}

RUN_TESTS(T(values_come_back_in_any_order), T(a_repeated_name_is_walked),
          T(missing_and_malformed_values_are_noted), T(a_value_with_a_zero_byte_is_not_sent),
          T(scan_needs_the_whole_message_and_no_more), T(why_travels),
          T(messages_and_descriptors_cross_a_socket), T(a_message_over_the_ceiling_is_refused),
          T(log_lines_go_out_before_what_they_are_about_and_together))
