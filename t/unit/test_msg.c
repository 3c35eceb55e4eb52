/* The log: what is cleaned, and what becomes of lines that a receiver does not take. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/msg.h"

#include "test.h"

static struct buf seen = {buf_none, 0, 0, 1 << 20, false, false};

/* All datagrams that are there. */
static const char *receive(int fd)
{
    static char block[64 * 1024];
    ssize_t n;

    buf_clear(&seen);
    while ((n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0)
        buf_add(&seen, (struct str){block, (size_t)n});
    return seen.p;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    while ((text = strstr(text, what)) != NULL) {
        text += strlen(what);
        n++;
    }
    return n;
}

TEST(unprintable_bytes_become_question_marks)
{
    static const struct {
        const char *in, *ascii, *utf8;
    } rows[] = {
        {"plain", "plain", "plain"},
        {"a\tb\x01\x7f", "a?b??", "a?b??"},
        {"caf\xc3\xa9.", "caf??.", "caf\xc3\xa9."},
        {"\xe2\x82\xac", "???", "\xe2\x82\xac"},
        {"latin \xe9t\xe9", "latin ?t?", "latin ?t?"},
        {"\x80\xbf", "??", "??"},
        {"end \xc3", "end ?", "end ?"},
        {"\xc1\x81", "??", "??"}, /* too long a form */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[50];
        for (int utf8 = 0; utf8 < 2; utf8++) {
            snprintf(text, sizeof text, "%s", rows[i].in);
            msg_utf8(utf8);
            msg_clean(text, strlen(text));
            assert_string_equal(text, utf8 ? rows[i].utf8 : rows[i].ascii);
        }
    }
    msg_utf8(false);
}

TEST(lines_for_postlogd_go_in_batches_without_time_and_host)
{
    int fds[2];
    char expected[200];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    msg_open("postfix/test");
    msg_to_postlogd(fds[0]);
    msg_hold();
    msg_info("one");
    msg_info("two\nforged[1]: three");
    assert_string_equal(receive(fds[1]), "");
    msg_flush();
    snprintf(expected, sizeof expected,
             "postfix/test[%d]: one\npostfix/test[%d]: two?forged[1]: three\n", (int)getpid(),
             (int)getpid());
    char block[1000] = {0};
    assert_true(recv(fds[1], block, sizeof block - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(block, expected);
    msg_warn("at once");
    assert_int_equal(count(receive(fds[1]), "warning: at once\n"), 1);
    close(fds[0]);
    close(fds[1]);
}

/* Until the receiver's queue is full; how many lines that were. */
static size_t fill(int fd)
{
    size_t n = 0;

    while (send(fd, "full\n", 5, MSG_DONTWAIT) > 0)
        n++;
    return n;
}

TEST(lines_are_kept_while_a_busy_receiver_takes_none)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    msg_to_postlogd(fds[0]);
    msg_wait(20);
    size_t before = fill(fds[0]);
    int64_t began = clock_ms();
    for (int i = 0; i < 50; i++) {
        msg_info("kept %d", i);
        msg_flush();
    }
    assert_true(clock_ms() - began >= 20); /* waited for once, not 50 times */
    assert_true(clock_ms() - began < 20 * 50);
    assert_int_equal(count(receive(fds[1]), "full\n"), before);
    msg_flush();
    assert_int_equal(count(receive(fds[1]), ": kept "), 50);
    assert_int_equal(count(seen.p, "dropped"), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(lines_that_cannot_be_kept_are_counted_and_told)
{
    enum { LINES = 40, LONG = 1900 };
    char text[LONG + 1];
    int fds[2];
    unsigned long dropped = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    msg_to_postlogd(fds[0]);
    msg_wait(1);
    fill(fds[0]);
    memset(text, 'x', LONG);
    text[LONG] = 0;
    for (int i = 0; i < LINES; i++)
        msg_info("long %d %s", i, text);
    receive(fds[1]);
    msg_flush();
    receive(fds[1]);
    const char *told = strstr(seen.p, "warning: ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "warning: %lu lines of the log were dropped", &dropped), 1);
    assert_int_equal(count(seen.p, ": long ") + dropped, LINES);
    assert_true(dropped > 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_receiver_that_is_read_again_in_time_loses_nothing)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    msg_to_postlogd(fds[0]);
    msg_wait(20000);
    size_t before = fill(fds[0]);
    pid_t pid = fork();
    if (pid == 0) {
        char block[100];
        poll(&(struct pollfd){.fd = fds[0], .events = 0}, 1, 50);
        while (before-- > 0)
            recv(fds[1], block, sizeof block, 0);
        _exit(0);
    }
    msg_info("in time");
    msg_flush(); /* waits until the child has read enough */
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* it reads what came before, and no more */
    assert_int_equal(count(receive(fds[1]), ": in time\n"), 1);
    msg_wait(1000);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_signal_handler_can_log)
{
    int fds[2];
    struct buf file = BUF(1000), expected = BUF(1000);
    char block[500] = {0};

    assert_int_equal(pipe(fds), 0);
    msg_open("postfix/test");
    msg_to_fd(fds[1]);
    msg_info("%s", "sets the offset of the time zone");
    msg_flush();
    assert_true(read(fds[0], block, sizeof block - 1) > 0);
    memset(block, 0, sizeof block);
    do { /* not over the end of a second */
        buf_clear(&expected);
        msg_stamp_host(&expected);
        msg_from_handler("warning: watchdog: task", "smtpd", 12);
        buf_clear(&file);
        msg_stamp_host(&file);
        memset(block, 0, sizeof block);
        assert_true(read(fds[0], block, sizeof block - 1) > 0);
    } while (strcmp(file.p, expected.p) != 0);
    buf_addf(&expected, "postfix/test[%d]: warning: watchdog: task smtpd: 12 s\n", (int)getpid());
    assert_string_equal(block, expected.p);
    buf_free(&file);
    buf_free(&expected);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_warning_is_said_once_but_what_a_client_did_each_time)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    msg_to_postlogd(fds[0]);
    for (int i = 0; i < 3; i++) {
        msg_warn("of our own");
        msg_warn_each("wrong password");
    }
    msg_flush();
    assert_int_equal(count(receive(fds[1]), "of our own"), 1);
    assert_int_equal(count(seen.p, "warning: wrong password"), 3);
    close(fds[0]);
    close(fds[1]);
}

RUN_TESTS(T(unprintable_bytes_become_question_marks),
          T(a_warning_is_said_once_but_what_a_client_did_each_time),
          T(lines_for_postlogd_go_in_batches_without_time_and_host),
          T(lines_are_kept_while_a_busy_receiver_takes_none),
          T(lines_that_cannot_be_kept_are_counted_and_told),
          T(a_receiver_that_is_read_again_in_time_loses_nothing), T(a_signal_handler_can_log))
