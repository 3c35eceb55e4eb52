/*
 * Files, locks, unique names, the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ident.h"
#include "base/lock.h"
#include "base/msg.h"
#include "base/str.h"

#include "test.h"

static char *folder(void)
{
    static char name[] = "/tmp/pombal-unit-XXXXXX";
    snprintf(name, sizeof name, "/tmp/pombal-unit-XXXXXX");
    return mkdtemp(name);
}

TEST(replacing_a_file_gives_old_or_new_and_leaves_nothing_beside)
{
    char *dir = folder();
    struct buf path = BUF(200), got = BUF(100);
    struct why why = WHY;

    buf_addf(&path, "%s/a/b", dir);
    assert_int_equal(file_make_dirs("", 0700, &why), -1);
    assert_int_equal(file_make_dirs(path.p, 0700, &why), 0);
    buf_addz(&path, "/f");
    assert_int_equal(file_replace(path.p, STR("one"), 0600, &why), 0);
    assert_int_equal(file_replace(path.p, STR("two"), 0600, &why), 0);
    assert_int_equal(file_read(path.p, &got, &why), 0);
    assert_string_equal(got.p, "two");
    struct buf small = BUF(2);
    assert_int_equal(file_read(path.p, &small, &why), -1);
    assert_non_null(strstr(why_text(&why), "larger than 2 bytes"));
    assert_int_equal(file_remove_all(dir), 0);
    assert_int_equal(access(dir, F_OK), -1);
    buf_free(&small), buf_free(&got), buf_free(&path), why_free(&why);
}

TEST(a_file_without_a_size_that_answers_only_the_first_read_is_read_whole)
{
    static const char pid_max[] = "/proc/sys/kernel/pid_max";
    struct buf got = BUF(100);
    struct why why = WHY;
    char want[100];
    FILE *f = fopen(pid_max, "re");

    assert_non_null(f);
    assert_non_null(fgets(want, sizeof want, f));
    fclose(f);
    assert_true(strlen(want) > 2);
    assert_int_equal(file_read(pid_max, &got, &why), 0);
    assert_string_equal(got.p, want);
    buf_free(&got), why_free(&why);
}

TEST(a_file_may_be_as_large_as_the_ceiling)
{
    static const struct {
        off_t size;
        size_t max;
        int error;
    } t[] = {{0, 0, 0},
             {1, 0, EFBIG},
             {999, 1000, 0},
             {1000, 1000, 0},
             {1001, 1000, EFBIG},
             {70000, 70000, 0},
             {(off_t)1 << 40, 256 << 20, EFBIG}};
    FILE *f = tmpfile();
    int fd = fileno(f);

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf got = BUF(t[i].max);
        assert_int_equal(ftruncate(fd, t[i].size), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        errno = 0;
        assert_int_equal(file_read_fd(fd, &got), t[i].error == 0 ? 0 : -1);
        assert_int_equal(errno, t[i].error);
        assert_int_equal(got.n, t[i].error == 0 ? t[i].size : 0); /* or nothing was read at all */
        assert_true(buf_ok(&got));
        buf_free(&got);
    }
    fclose(f);
}

TEST(so_may_a_pipe)
{
    for (size_t max = 7; max <= 9; max++) {
        struct buf got = BUF(max);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "12345678", 8), 8);
        close(fds[1]);
        assert_int_equal(file_read_fd(fds[0], &got), max < 8 ? -1 : 0);
        assert_int_equal(got.n, max < 8 ? 7 : 8);
        close(fds[0]);
        buf_free(&got);
    }
}

TEST(a_lock_that_is_held_says_again)
{
    char *dir = folder();
    struct buf path = BUF(200);
    buf_addf(&path, "%s/f", dir);
    int a = open(path.p, O_RDWR | O_CREAT, 0600), b = open(path.p, O_RDWR);

    assert_int_equal(lock_try_fcntl(a, true), 0);
    assert_int_equal(lock_try_fcntl(b, true), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(lock_release_fcntl(a), 0);
    assert_int_equal(lock_try_flock(a, true), 0);
    assert_int_equal(lock_try_flock(b, false), -1);
    assert_int_equal(lock_try_dot(path.p, 100), 0);
    assert_int_equal(lock_try_dot(path.p, 100), -1);
    assert_int_equal(errno, EAGAIN);
    lock_release_dot(path.p);
    assert_int_equal(lock_try_dot(path.p, 100), 0);
    lock_release_dot(path.p);
    close(a), close(b);
    file_remove_all(dir);
    buf_free(&path);
}

TEST(a_stale_dot_lock_is_removed_by_one_process_only)
{
    char *dir = folder();
    struct buf path = BUF(200), lock = BUF(200);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    buf_addf(&path, "%s/f", dir);
    buf_addf(&lock, "%s.lock", path.p);
    assert_int_equal(lock_try_dot(path.p, 100), 0);
    assert_int_equal(utimensat(AT_FDCWD, lock.p, old, 0), 0);
    int other = open(lock.p, O_RDONLY); /* another process that is about to remove it */
    assert_int_equal(lock_try_flock(other, true), 0);
    assert_int_equal(lock_try_dot(path.p, 100), -1);
    assert_int_equal(access(lock.p, F_OK), 0);
    close(other);
    assert_int_equal(lock_try_dot(path.p, 100), -1);
    assert_int_equal(access(lock.p, F_OK), -1);
    assert_int_equal(lock_try_dot(path.p, 100), 0);
    assert_int_equal(lock_try_dot(path.p, 100), -1);
    assert_int_equal(access(lock.p, F_OK), 0);
    file_remove_all(dir);
    buf_free(&path);
    buf_free(&lock);
}

TEST(maildir_names_differ_and_hold_no_slash)
{
    struct buf a = BUF(200), b = BUF(200);
    ident_maildir(&a, "ho/st");
    ident_maildir(&b, "ho/st");
    assert_string_not_equal(a.p, b.p);
    assert_null(strchr(a.p, '/'));
    buf_free(&a), buf_free(&b);
}

static char last[3000];
static int lines;

static void catch (const char *level, const char *text)
{
    snprintf(last, sizeof last, "%s: %s", level, text);
    lines++;
}

TEST(log_lines_are_clean_bounded_and_warnings_do_not_repeat)
{
    msg_capture(catch);
    msg_info("a\r\nb %s", "\x1b[31m");
    assert_string_equal(last, "info: a??b ?[31m");
    msg_info("%05000d", 1);
    assert_int_equal(strlen(last), strlen("info: ") + 2000);
    lines = 0;
    msg_warn("full disk %d", 1);
    msg_warn("full disk %d", 1);
    msg_warn("full disk %d", 2);
    assert_int_equal(lines, 2);
    msg_debug("tls", "not asked for");
    assert_int_equal(lines, 2);
    msg_debug_topics("dns, tls");
    msg_debug("tls", "asked for");
    assert_string_equal(last, "info: asked for");
    msg_capture(NULL);
}

/* A fifo that nobody has open, a link, a directory, a file that somebody has a lease of. */
TEST(only_a_plain_file_is_opened_and_nothing_is_waited_for)
{
    char *dir = folder();
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const int ways[] = {O_RDONLY, O_WRONLY | O_CREAT, O_RDWR, O_WRONLY | O_APPEND};

    assert_int_equal(mkfifoat(at, "fifo", 0600), 0);
    assert_int_equal(mkdirat(at, "dir", 0700), 0);
    assert_int_equal(symlinkat("/dev/zero", at, "link"), 0);
    int plain = file_open_plain(at, "plain", O_RDWR | O_CREAT, 0600);
    assert_true(plain >= 0 && write(plain, "text", 4) == 4);
    alarm(30);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(file_open_plain(at, "fifo", ways[i], 0600), -1);
        assert_int_equal(file_open_plain(at, "dir", ways[i], 0600), -1);
        assert_int_equal(file_open_plain(at, "link", ways[i], 0600), -1);
    }
    assert_int_equal(file_open_plain(at, "none", O_RDONLY, 0), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fcntl(plain, F_SETLEASE, F_WRLCK), 0);
    signal(SIGIO, SIG_IGN);
    pid_t pid = fork(); /* a lease does not bind its own process */
    if (pid == 0)
        _exit(file_open_plain(at, "plain", O_RDONLY, 0) == -1 && errno == EWOULDBLOCK ? 0 : 1);
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    alarm(0);
    close(plain);
    close(at);
    file_remove_all(dir);
}

RUN_TESTS(T(replacing_a_file_gives_old_or_new_and_leaves_nothing_beside),
          T(a_file_without_a_size_that_answers_only_the_first_read_is_read_whole),
          T(a_file_may_be_as_large_as_the_ceiling), T(so_may_a_pipe),
          T(a_lock_that_is_held_says_again), T(a_stale_dot_lock_is_removed_by_one_process_only),
          T(maildir_names_differ_and_hold_no_slash),
          T(only_a_plain_file_is_opened_and_nothing_is_waited_for),
          T(log_lines_are_clean_bounded_and_warnings_do_not_repeat))
