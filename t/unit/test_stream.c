#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/stream.h"

#include "mini.h"
#include "test.h"

enum { LINE_MAX = 20 };

static void name_lines(struct stream *s, void *arg)
{
    static const char *const names[] = {"CRLF", "LF", "LONG", "NONE"};
    struct buf line = BUF(LINE_MAX);
    enum line l;

    (void)arg;
    do {
        l = stream_line(s, &line);
        stream_putf(s, "%s(%.*s)", names[l], (int)line.n, line.p);
    } while (l != LINE_NONE);
    assert_int_equal(stream_state(s), STREAM_EOF);
    buf_free(&line);
}

static const struct {
    const char *input, *lines;
} line_cases[] = {
    {"", "NONE()"},
    {"a\r\nb\nc", "CRLF(a)LF(b)NONE(c)"},
    {"\r\n\n\r\r\n", "CRLF()LF()CRLF(\r)NONE()"},
    {"a\rb\r\n", "CRLF(a\rb)NONE()"},
    {"12345678901234567890\r\nx\n", "CRLF(12345678901234567890)LF(x)NONE()"},
    {"123456789012345678901\r\nx\n", "LONG(12345678901234567890)LF(x)NONE()"},
    {"1234567890123456789\r1\nx\n", "LONG(1234567890123456789\r)LF(x)NONE()"},
    {"12345678901234567890\r\r\nx\n", "LONG(12345678901234567890)LF(x)NONE()"},
};

TEST(lines_tell_their_end)
{
    struct buf out = BUF(1000);

    for (size_t i = 0; i < sizeof line_cases / sizeof line_cases[0]; i++) {
        mini_talk(name_lines, NULL, strz(line_cases[i].input), &out);
        assert_string_equal(out.p, line_cases[i].lines);
    }
    buf_free(&out);
}

struct drip {
    const char *input;
    int fd;
};

static void drip_bytes(void *arg)
{
    struct drip *d = arg;

    for (const char *c = d->input; *c; c++) {
        assert_int_equal(send(d->fd, c, 1, 0), 1);
        task_yield();
        task_yield();
    }
    shutdown(d->fd, SHUT_WR);
}

static void read_dripped(void *arg)
{
    struct stream *s = arg;

    name_lines(s, NULL);
    stream_free(&s);
}

TEST(lines_are_the_same_byte_by_byte)
{
    for (size_t i = 0; i < sizeof line_cases / sizeof line_cases[0]; i++) {
        int fds[2];
        char got[200] = {0};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        struct drip d = {line_cases[i].input, fds[1]};
        task_start("reader", read_dripped, stream_new(fds[0]));
        task_start("writer", drip_bytes, &d);
        task_loop();
        assert_true(recv(fds[1], got, sizeof got - 1, 0) > 0);
        assert_string_equal(got, line_cases[i].lines);
        close(fds[1]);
    }
}

static void skip_long(struct stream *s, void *arg)
{
    struct buf line = BUF(1000);

    (void)arg;
    assert_int_equal(stream_line(s, &line), LINE_TOO_LONG);
    assert_int_equal(line.n, 1000);
    assert_int_equal(stream_line(s, &line), LINE_CRLF);
    assert_string_equal(line.p, "next");
    buf_free(&line);
}

static const struct {
    const char *line, *end;
} end_cases[] = {
    {"1234567", "1234567"},
    {"1234567890", "34567890"},
    {"12345678901234567890", "34567890"},
    {"", ""},
    {"12345678\r9", "345678\r9"},
    {"1\r\r\r4567890123456789012345\r", "9012345\r"},
};

static void keep_end(struct stream *s, void *arg)
{
    struct buf line = BUF(12), end = BUF(8);

    (void)arg;
    for (size_t i = 0; i < sizeof end_cases / sizeof *end_cases; i++) {
        bool fits = strlen(end_cases[i].line) <= line.max;
        assert_int_equal(stream_line_end(s, &line, &end), fits ? LINE_CRLF : LINE_TOO_LONG);
        assert_string_equal(end.p, end_cases[i].end);
        assert_true(buf_ok(&end));
    }
    assert_int_equal(stream_line_end(s, &line, &end), LINE_TOO_LONG);
    assert_string_equal(end.p, "xxxxxend");
    buf_free(&line);
    buf_free(&end);
}

TEST(end_of_a_long_line_is_kept)
{
    struct buf in = BUF(1000000), out = BUF(10);

    for (size_t i = 0; i < sizeof end_cases / sizeof *end_cases; i++)
        buf_addf(&in, "%s\r\n", end_cases[i].line);
    for (int i = 0; i < 300000; i++)
        buf_addc(&in, 'x');
    buf_addz(&in, "end\r\n");
    mini_talk(keep_end, NULL, buf_str(&in), &out);
    buf_free(&in);
    buf_free(&out);
}

static void count_turns(void *arg)
{
    while (!task_is_cancelled()) {
        ++*(int *)arg;
        task_yield();
    }
}

/* Each line is 2 ms of work. */
static void work_long(struct stream *s, void *arg)
{
    struct buf line = BUF(100);
    int *turns = arg;
    struct task *other = task_start("other", count_turns, turns);

    assert_true(stream_peek_n(s, 600).n == 600);
    *turns = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stream_line(s, &line), LINE_CRLF);
        int64_t until = clock_ms() + 2;
        while (clock_ms() < until)
            ;
    }
    assert_true(*turns >= 3);
    task_cancel(other);
    buf_free(&line);
}

TEST(lines_that_came_at_once_let_others_in)
{
    struct buf in = BUF(1000), out = BUF(10);
    int turns = 0;

    for (int i = 0; i < 100; i++)
        buf_addz(&in, "NOOP\r\n");
    mini_talk(work_long, &turns, buf_str(&in), &out);
    buf_free(&in);
    buf_free(&out);
}

static void leave_long(struct stream *s, void *arg)
{
    struct buf line = BUF(1000);

    (void)arg;
    assert_int_equal(stream_line_within(s, &line), LINE_CRLF);
    assert_string_equal(line.p, "first");
    assert_int_equal(stream_line_within(s, &line), LINE_TOO_LONG); /* it never ends */
    assert_int_equal(line.n, 1000);
    buf_free(&line);
}

TEST(line_longer_than_buffer_is_not_waited_for)
{
    struct buf in = BUF(1000000), out = BUF(10);

    buf_addz(&in, "first\r\n");
    for (int i = 0; i < 5000; i++)
        buf_addc(&in, 'x');
    mini_talk(leave_long, NULL, buf_str(&in), &out);
    buf_free(&in);
    buf_free(&out);
}

TEST(line_longer_than_buffer_is_skipped_whole)
{
    struct buf in = BUF(1000000), out = BUF(10);

    for (int i = 0; i < 300000; i++)
        buf_addc(&in, 'x');
    buf_addz(&in, "\r\nnext\r\n");
    mini_talk(skip_long, NULL, buf_str(&in), &out);
    buf_free(&in);
    buf_free(&out);
}

static void echo_all(struct stream *s, void *arg)
{
    struct str got;

    (void)arg;
    while ((got = stream_peek(s)).n > 0) {
        size_t n = got.n > 7 ? got.n - 3 : got.n;
        stream_put(s, str_upto(got, n));
        stream_skip(s, n);
    }
}

TEST(large_transfers_come_through_whole)
{
    struct buf in = BUF(10000000), out = BUF(10000000);

    for (int i = 0; i < 300000; i++)
        buf_addf(&in, "%d ", i);
    mini_talk(echo_all, NULL, buf_str(&in), &out);
    assert_true(str_eq(buf_str(&in), buf_str(&out)));
    buf_free(&in);
    buf_free(&out);
}

static void read_parts(struct stream *s, void *arg)
{
    char a[5];

    (void)arg;
    assert_int_equal(stream_read(s, a, 3), 3);
    assert_memory_equal(a, "abc", 3);
    assert_true(str_eqz(stream_peek_n(s, 4), "defgh"));
    assert_int_equal(stream_ahead(s), 5);
    assert_int_equal(stream_discard(s), 5);
    assert_int_equal(stream_read(s, a, 5), 0);
    assert_int_equal(stream_state(s), STREAM_EOF);
    stream_putz(s, "bye"); /* the other direction still works */
    assert_true(stream_flush(s));
}

TEST(reads_are_short_only_at_the_end)
{
    struct buf out = BUF(10);

    mini_talk(read_parts, NULL, STR("abcdefgh"), &out);
    assert_string_equal(out.p, "bye");
    buf_free(&out);
}

static void answer_lines(struct stream *s, void *arg)
{
    struct buf line = BUF(100);

    (void)arg;
    stream_putz(s, "220 hello\r\n");
    while (stream_line(s, &line) == LINE_CRLF)
        stream_putf(s, "250 %s\r\n", line.p);
    buf_free(&line);
}

TEST(a_read_that_waits_flushes_the_output_first)
{
    mini_dialogue(answer_lines, NULL,
                  "S: 220 hello\n"
                  "C: a\n"
                  "S: 250 a\n"
                  "C: b\n"
                  "C: c\n"
                  "S: 250 b\n"
                  "S: 250 ?\n"
                  "C.\n");
}

static void be_patient(void *arg)
{
    int *fds = arg;
    struct stream *s = stream_new(fds[0]);
    char c;

    stream_set_idle(s, 20);
    assert_int_equal(stream_read(s, &c, 1), 0);
    assert_int_equal(stream_state(s), STREAM_TIMEOUT);
    assert_string_equal(stream_error(s), "timed out");
    stream_putz(s, "421 bye\r\n");
    assert_true(stream_flush(s));
    stream_free(&s);
    assert_null(s);
}

TEST(time_out_sticks_but_good_bye_can_be_said)
{
    int fds[2];
    char text[20];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(be_patient, fds);
    assert_int_equal(recv(fds[1], text, sizeof text, 0), 9);
    close(fds[1]);
}

static void hurry(void *arg)
{
    stream_set_idle(arg, 10);
}

static void wake(void *arg)
{
    task_sleep(task_now() + 20); /* the other one waits now */
    task_wake(arg);
}

/* In one of two ways, for hours if nothing changed that. */
static void wait_for_hours(void *arg)
{
    static char block[1000000];
    int *fds = arg;
    struct stream *s = stream_new(fds[0]);
    char c;

    stream_set_idle(s, 3600 * 1000);
    stream_set_deadline(s, task_now() + 7200 * 1000);
    stream_on_wake(s, hurry, s);
    task_start("wake", wake, task_self());
    if (fds[2] != 0)
        while (stream_state(s) == STREAM_OK)
            stream_put(s, (struct str){block, sizeof block});
    else
        assert_int_equal(stream_read(s, &c, 1), 0);
    assert_int_equal(stream_state(s), STREAM_TIMEOUT);
    stream_abort(&s);
}

TEST(who_is_woken_may_shorten_the_wait)
{
    for (int writes = 0; writes < 2; writes++) {
        int fds[3] = {[2] = writes};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        mini_run(wait_for_hours, fds);
        close(fds[1]);
    }
}

static void write_much(void *arg)
{
    int *fds = arg;
    struct stream *s = stream_new(fds[0]);
    char *block = mem_new(100000);

    stream_set_idle(s, 10000);
    stream_set_deadline(s, task_now() + 30);
    while (stream_state(s) == STREAM_OK)
        stream_put(s, (struct str){block, 100000});
    assert_int_equal(stream_state(s), STREAM_TIMEOUT);
    assert_false(stream_flush(s));
    free(block);
    stream_free(&s);
}

TEST(writing_to_who_does_not_read_ends_at_the_deadline)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(write_much, fds);
    close(fds[1]);
}

static void write_gone(void *arg)
{
    int *fds = arg;
    struct stream *s = stream_new(fds[0]);

    close(fds[1]);
    stream_putz(s, "x");
    assert_false(stream_flush(s));
    assert_int_equal(stream_state(s), STREAM_EOF);
    stream_free(&s);
}

TEST(writing_to_who_has_gone_fails)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(write_gone, fds);
}

static void pass(void *arg)
{
    int *fds = arg, file[2];
    struct stream *a = stream_new(fds[0]), *b = stream_new(fds[1]);
    char c;

    stream_allow_fds(b);
    assert_int_equal(pipe(file), 0);
    stream_putz(a, "x");
    stream_put_fd(a, file[0]);
    stream_putz(a, "y");
    assert_true(stream_flush(a));
    assert_int_equal(stream_read(b, &c, 1), 1);
    assert_int_equal(stream_read(b, &c, 1), 1);
    int got = stream_take_fd(b);
    assert_true(got >= 0);
    assert_int_equal(stream_take_fd(b), -1);
    assert_int_equal(write(file[1], "z", 1), 1);
    assert_int_equal(read(got, &c, 1), 1);
    assert_int_equal(c, 'z');
    close(file[1]);
    close(got);
    stream_free(&a);
    stream_free(&b);
}

static void lend(void *arg)
{
    int *fds = arg;
    struct stream *a = stream_new(fds[0]), *b = stream_new(fds[1]);
    int lent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char c;

    stream_allow_fds(b);
    stream_lend_fd(a, lent);
    stream_putz(a, "y");
    assert_true(stream_flush(a));
    assert_int_equal(stream_read(b, &c, 1), 1);
    int got = stream_take_fd(b);
    assert_true(got >= 0 && fcntl(lent, F_GETFD) >= 0);
    stream_lend_fd(a, lent); /* nothing follows */
    stream_abort(&a);
    assert_true(fcntl(lent, F_GETFD) >= 0);
    close(got);
    close(lent);
    stream_free(&b);
}

TEST(a_lent_descriptor_stays_the_lender_s)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(lend, fds);
}

TEST(descriptors_ride_along)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(pass, fds);
}

static void send_with_fd(int to, char byte, int fd)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    assert_int_equal(sendmsg(to, &m, 0), 1);
}

static void no_room_for_fd(void *arg)
{
    int *fds = arg;
    struct stream *s = stream_new(fds[0]);
    struct rlimit was, full;
    char c;

    stream_allow_fds(s);
    assert_int_equal(send(fds[1], "w", 1, 0), 1);
    assert_int_equal(stream_wait_unread(s, task_now() + 5000), WAIT_READY);
    assert_int_equal(stream_read(s, &c, 1), 1);
    send_with_fd(fds[1], 'x', 0);
    assert_int_equal(send(fds[1], "y", 1, 0), 1);
    task_sleep(task_now() + 10); /* the loop is told of them */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    full = (struct rlimit){(rlim_t)dup(0), was.rlim_max};
    close((int)full.rlim_cur);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    assert_int_equal(stream_read(s, &c, 1), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(stream_take_fd(s), -1);
    stream_set_deadline(s, task_now() + 5000);
    assert_int_equal(stream_read(s, &c, 1), 1);
    assert_int_equal(c, 'y');
    stream_free(&s);
}

TEST(what_follows_a_descriptor_that_has_no_room_is_read)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(no_room_for_fd, fds);
    close(fds[1]);
}

static void put_file(struct stream *s, void *arg)
{
    int fd = *(int *)arg;

    stream_putz(s, "<");
    assert_true(stream_put_file(s, fd, 1, 10));
    assert_true(stream_put_file(s, fd, 2, 99000));
    assert_false(stream_put_file(s, fd, 99999, 2));
    assert_false(stream_put_file(s, fd, 99999, 20000));
    stream_putz(s, ">");
}

TEST(files_go_out_as_asked)
{
    char path[] = "/tmp/test_stream.XXXXXX";
    struct buf text = BUF(100000), out = BUF(200000), want = BUF(200000);
    int fd = mkstemp(path);

    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "%09d\n", i);
    assert_int_equal(write(fd, text.p, text.n), 100000);
    mini_talk(put_file, &fd, STR(""), &out);
    buf_addc(&want, '<');
    buf_add(&want, str_part(buf_str(&text), 1, 10));
    buf_add(&want, str_part(buf_str(&text), 2, 99000));
    buf_addz(&want, "\n\n>");
    assert_true(str_eq(buf_str(&out), buf_str(&want)));
    buf_free(&text);
    buf_free(&out);
    buf_free(&want);
    close(fd);
    unlink(path);
}

/* A layer that turns letters around. */
static ssize_t rot(void *self, void *p, size_t n)
{
    struct stream_io *below = self;
    ssize_t got = below->layer->read(below->self, p, n);

    for (ssize_t i = 0; i < got; i++)
        ((char *)p)[i] ^= 1;
    return got;
}

static ssize_t rot_out(void *self, const void *p, size_t n)
{
    struct stream_io *below = self;
    char piece[10];

    n = n < sizeof piece ? n : sizeof piece;
    for (size_t i = 0; i < n; i++)
        piece[i] = ((const char *)p)[i] ^ 1;
    return below->layer->write(below->self, piece, n);
}

static short rot_waits(void *self)
{
    struct stream_io *below = self;

    return below->layer->waits_for(below->self);
}

static const struct stream_layer rot_layer = {
    .read = rot, .write = rot_out, .waits_for = rot_waits, .free = free};

static void push_rot(struct stream *s, void *arg)
{
    struct buf line = BUF(100);
    struct stream_io *below = mem_new(sizeof *below);

    (void)arg;
    assert_int_equal(stream_line(s, &line), LINE_CRLF);
    *below = stream_top(s);
    assert_false(stream_push(s, &rot_layer, below)); /* read ahead: refused */
    stream_discard(s);
    assert_true(stream_push(s, &rot_layer, below));
    assert_ptr_equal(stream_layer_self(s, &rot_layer), below);
    stream_putf(s, "a layer that writes a %s at a time\r\n", "few bytes");
    assert_int_equal(stream_line(s, &line), LINE_NONE);
    buf_free(&line);
}

TEST(layers_take_no_input_from_before)
{
    struct buf out = BUF(100);

    mini_talk(push_rot, NULL, STR("STARTTLS\r\nRSET\r\n"), &out);
    for (size_t i = 0; i < out.n; i++)
        out.p[i] ^= 1;
    assert_string_equal(out.p, "a layer that writes a few bytes at a time\r\n");
    buf_free(&out);
}

static void wait_idle(struct stream *s, void *arg)
{
    (void)arg;
    stream_putz(s, "idling\r\n");
    task_wake(task_self());
    assert_int_equal(stream_wait(s, 0), WAIT_WOKEN);
    assert_int_equal(stream_wait(s, task_now() + 5), WAIT_TIMEOUT);
    assert_int_equal(stream_state(s), STREAM_OK);
    stream_putz(s, "go\r\n");
    assert_int_equal(stream_wait(s, task_now() + 5000), WAIT_READY);
    assert_int_equal(stream_ahead(s), 3);
    stream_discard(s);
    stream_putz(s, "end\r\n");
    assert_int_equal(stream_wait(s, task_now() + 5000), WAIT_READY);
    assert_int_equal(stream_state(s), STREAM_EOF);
}

TEST(wait_is_for_input_or_a_wake_up)
{
    mini_dialogue(wait_idle, NULL, "S: idling\nS: go\nC! DON\nS: end\nC.\n");
}

static void long_text(struct stream *s, void *arg)
{
    char text[3000];

    (void)arg;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    stream_putf(s, "%d %s.", 7, text);
    stream_putc(s, '\n');
}

/* Reads what came while nobody waited for it, up to the last byte, in two reads. */
static void wait_unread(void *arg)
{
    enum { FIRST = 4096, MORE = 10 }; /* as many as the first read has room for */
    int *fds = arg;
    char bytes[FIRST + MORE] = {0};
    struct stream *s = stream_new(fds[0]);

    assert_int_equal(send(fds[1], bytes, FIRST, 0), FIRST);
    assert_int_equal(stream_wait_unread(s, task_now() + 5000), WAIT_READY);
    assert_int_equal(stream_read(s, bytes, 1), 1);
    assert_int_equal(send(fds[1], bytes, MORE, 0), MORE);
    task_sleep(task_now() + 10); /* the loop is told of them */
    assert_int_equal(stream_read(s, bytes, FIRST + MORE - 1), FIRST + MORE - 1);
    assert_int_equal(stream_wait_unread(s, task_now() + 10), WAIT_TIMEOUT);
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    assert_int_equal(stream_wait_unread(s, task_now() + 5000), WAIT_READY);
    assert_int_equal(stream_read(s, bytes, 1), 1);
    stream_free(&s);
}

TEST(no_bytes_are_waited_for_that_were_read)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    mini_run(wait_unread, fds);
    close(fds[1]);
}

TEST(formatted_text_may_be_long)
{
    struct buf out = BUF(10000);

    mini_talk(long_text, NULL, STR(""), &out);
    assert_int_equal(out.n, 2999 + 4);
    buf_free(&out);
}

static void use_pipe(void *arg)
{
    int fds[2];
    struct buf line = BUF(10);

    (void)arg;
    assert_int_equal(pipe(fds), 0);
    struct stream *in = stream_new(fds[0]), *out = stream_new(fds[1]);
    stream_putz(out, "x\n");
    stream_flush(out);
    assert_int_equal(stream_line(in, &line), LINE_LF);
    stream_set_idle(in, 5);
    assert_int_equal(stream_line(in, &line), LINE_NONE);
    assert_int_equal(stream_state(in), STREAM_TIMEOUT);
    stream_abort(&in);
    int fd = stream_release(&out);
    assert_int_equal(fd, fds[1]);
    close(fd);
    buf_free(&line);
}

TEST(pipes_work_as_well)
{
    mini_run(use_pipe, NULL);
    use_pipe(NULL); /* also without a loop */
}

RUN_TESTS(T(lines_tell_their_end), T(lines_are_the_same_byte_by_byte),
          T(end_of_a_long_line_is_kept), T(line_longer_than_buffer_is_skipped_whole),
          T(line_longer_than_buffer_is_not_waited_for), T(large_transfers_come_through_whole),
          T(reads_are_short_only_at_the_end), T(a_read_that_waits_flushes_the_output_first),
          T(time_out_sticks_but_good_bye_can_be_said), T(who_is_woken_may_shorten_the_wait),
          T(writing_to_who_does_not_read_ends_at_the_deadline), T(writing_to_who_has_gone_fails),
          T(descriptors_ride_along), T(what_follows_a_descriptor_that_has_no_room_is_read),
          T(a_lent_descriptor_stays_the_lender_s), T(files_go_out_as_asked),
          T(layers_take_no_input_from_before), T(wait_is_for_input_or_a_wake_up),
          T(no_bytes_are_waited_for_that_were_read), T(formatted_text_may_be_long),
          T(lines_that_came_at_once_let_others_in), T(pipes_work_as_well))
