/* A daemon (echod.c) started by hand: it serves, is in its jail, drains and stops. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include "test.h"

static struct {
    char dir[60], sock[80];
    pid_t pid;
} d;

static void write_conf(void)
{
    struct buf text = BUF(2000), path = BUF(100);

    snprintf(d.dir, sizeof d.dir, "/tmp/test_service.%d", (int)getpid());
    snprintf(d.sock, sizeof d.sock, "%s/sock", d.dir);
    umask(0);
    assert_int_equal(mkdir(d.dir, 0777), 0);
    buf_addf(&text,
             "compatibility_level = 3.6\nqueue_directory = %s\nmail_owner = nobody\n"
             "maillog_file = %s/log\nmaillog_file_permissions = 0666\n",
             d.dir, d.dir);
    buf_addf(&path, "%s/main.cf", d.dir);
    assert_int_equal(file_replace(path.p, buf_str(&text), 0644, NULL), 0);
    buf_free(&text);
    buf_free(&path);
}

/* Beside this test's program. */
static void program(struct buf *path)
{
    char self[300] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    buf_add(path, str_upto(strz(self), (size_t)str_rfind(strz(self), '/')));
    buf_addz(path, "/echod");
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int64_t until = clock_ms() + 20000;

    snprintf(to.sun_path, sizeof to.sun_path, "%s", d.sock);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        assert_true(clock_ms() < until);
        poll(NULL, 0, 5);
    }
    return fd;
}

/* argv0 decides what it is: echod or askd. */
static void start(const char *argv0)
{
    struct buf path = BUF(400);

    write_conf();
    program(&path);
    d.pid = fork();
    if (d.pid == 0) {
        execl(path.p, argv0, "-c", d.dir, "-n", "test", "-l", d.sock, (char *)NULL);
        _exit(99);
    }
    buf_free(&path);
}

static int finish(void)
{
    int status = -1;

    assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
    assert_int_equal(file_remove_all(d.dir), 0);
    return status;
}

static const char *read_line(int fd)
{
    static char line[200];
    size_t n = 0;

    while (n < sizeof line - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = 0;
    return line;
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool logged(const char *text)
{
    struct buf path = BUF(100), log = BUF(100000);

    buf_addf(&path, "%s/log", d.dir);
    bool found = file_read(path.p, &log, NULL) == 0 && strstr(log.p, text) != NULL;
    buf_free(&path);
    buf_free(&log);
    return found;
}

TEST(sessions_are_served_and_stopped_politely)
{
    start("echod");
    int a = dial(), b = dial();
    assert_non_null(strstr(read_line(a), "hello"));
    assert_non_null(strstr(read_line(b), "hello"));
    say(a, "one\r\n");
    say(b, "two\r\n");
    assert_string_equal(read_line(a), "one\r");
    assert_string_equal(read_line(b), "two\r");
    kill(d.pid, SIGTERM);
    assert_string_equal(read_line(a), "shutting down\r");
    assert_string_equal(read_line(b), "shutting down\r");
    close(a);
    close(b);
    assert_int_equal(finish(), 0);
}

TEST(a_reload_lets_sessions_finish)
{
    start("echod");
    int a = dial();
    read_line(a);
    kill(d.pid, SIGHUP);
    say(a, "still there\r\n");
    assert_string_equal(read_line(a), "still there\r");
    say(a, "quit\r\n");
    assert_string_equal(read_line(a), "");
    close(a);
    assert_int_equal(finish(), 0);
}

TEST(a_forbidden_call_is_logged_by_name_and_ends_the_process)
{
    int status;

    start("echod");
    int a = dial();
    read_line(a);
    say(a, "mkdir\r\n");
    assert_string_equal(read_line(a), "");
    close(a);
    assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    assert_true(logged("system call mkdir"));
    assert_int_equal(file_remove_all(d.dir), 0);
}

static ssize_t ask(int fd, const char *bytes, size_t n, char *answer, size_t room)
{
    assert_int_equal(write(fd, bytes, n), n);
    return read(fd, answer, room);
}

TEST(requests_and_triggers_share_a_socket)
{
    static const char good[] = "request\0echo\0text\0hi\0", bad[] = "request\0what\0";
    char answer[200] = "";
    int64_t until = clock_ms() + 20000;

    start("askd");
    int a = dial();
    assert_true(ask(a, good, sizeof good, answer, sizeof answer) > 8);
    assert_memory_equal(answer, "text\0hi\0pid", 11);
    assert_true(ask(a, bad, sizeof bad, answer, sizeof answer) > 8); /* the channel stays open */
    assert_memory_equal(answer,
                        "status\0fail\0why_code\0"
                        "5.5.1",
                        26);
    close(a);
    int b = dial();
    say(b, "WA");
    close(b);
    while (!logged("woken: W") || !logged("woken: A")) {
        assert_true(clock_ms() < until);
        poll(NULL, 0, 5);
    }
    int idle = dial();
    kill(d.pid, SIGHUP); /* an idle channel holds nothing up */
    assert_int_equal(finish(), 0);
    close(idle);
}

static bool sleeps(pid_t pid)
{
    char path[40];
    struct buf text = BUF(1000);

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    assert_int_equal(file_read(path, &text, NULL), 0);
    bool result = strstr(text.p, ") S ") != NULL;
    buf_free(&text);
    return result;
}

/* Has the other side of the socket not read all yet? */
static bool unread(int fd)
{
    int n = 0;

    assert_int_equal(ioctl(fd, SIOCOUTQ, &n), 0);
    return n > 0;
}

/* The bytes and the order to drain come in one turn of its loop, in this order. */
static void say_and_reload(int fd, const char *bytes, size_t n)
{
    while (!sleeps(d.pid))
        poll(NULL, 0, 5);
    kill(d.pid, SIGSTOP);
    assert_int_equal(write(fd, bytes, n), n);
    kill(d.pid, SIGHUP);
    kill(d.pid, SIGCONT);
}

TEST(a_request_in_the_turn_of_the_reload_is_left_unread_or_answered)
{
    static const char echo[] = "request\0echo\0text\0hi\0";
    char answer[200] = "";

    start("askd");
    int a = dial(), b = dial();
    assert_true(ask(b, echo, sizeof echo, answer, sizeof answer) > 8); /* so a is accepted, too */
    say_and_reload(a, echo, sizeof echo);
    ssize_t n = read(a, answer, sizeof answer);
    assert_true(n > 8 || (n < 0 && errno == ECONNRESET)); /* who gets the latter asks again */
    close(a);
    close(b);
    assert_int_equal(waitpid(d.pid, NULL, 0), d.pid);
    assert_false(logged("warning:"));
    assert_int_equal(file_remove_all(d.dir), 0);
}

TEST(a_trigger_in_the_turn_of_the_reload_is_taken)
{
    static const char echo[] = "request\0echo\0text\0hi\0";
    int64_t until = clock_ms() + 20000;
    char answer[200] = "";

    start("askd");
    int a = dial(), b = dial();
    assert_true(ask(b, echo, sizeof echo, answer, sizeof answer) > 8); /* so a is accepted, too */
    say_and_reload(a, "W", 1);
    while (!logged("woken: W")) {
        assert_true(clock_ms() < until);
        poll(NULL, 0, 5);
    }
    close(a);
    close(b);
    assert_int_equal(finish(), 0);
}

/* As the session of a user who logs in while the suite reloads. */
TEST(what_a_request_leaves_behind_during_a_reload_is_finished)
{
    static const char echo[] = "request\0echo\0text\0hi\0", leave[] = "request\0leave\0";
    char answer[200] = "";

    start("askd");
    int a = dial();
    assert_true(ask(a, echo, sizeof echo, answer, sizeof answer) > 8);
    assert_int_equal(write(a, leave, sizeof leave), sizeof leave);
    while (!sleeps(d.pid) || unread(a))
        poll(NULL, 0, 5);
    kill(d.pid, SIGHUP);
    assert_true(read(a, answer, sizeof answer) > 8); /* "status ok" */
    close(a);
    assert_int_equal(waitpid(d.pid, NULL, 0), d.pid);
    assert_true(logged("work: done"));
    assert_false(logged("work: cut off"));
    assert_int_equal(file_remove_all(d.dir), 0);
}

RUN_TESTS(T(sessions_are_served_and_stopped_politely), T(a_reload_lets_sessions_finish),
          T(a_forbidden_call_is_logged_by_name_and_ends_the_process),
          T(requests_and_triggers_share_a_socket),
          T(a_request_in_the_turn_of_the_reload_is_left_unread_or_answered),
          T(a_trigger_in_the_turn_of_the_reload_is_taken),
          T(what_a_request_leaves_behind_during_a_reload_is_finished))
