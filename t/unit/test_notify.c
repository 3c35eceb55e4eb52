#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/str.h"
#include "task/notify.h"

#include "test.h"

static void touch(const char *dir, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void remove_file(const char *dir, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void changes(void *arg)
{
    const char *dir = arg;
    struct notify *n = notify_new();
    struct notify_event e;
    int watch = notify_add(n, dir, IN_CREATE | IN_DELETE | IN_CLOSE_WRITE);

    assert_true(watch >= 0);
    assert_int_equal(notify_wait(n, &e, task_now() + 5), WAIT_TIMEOUT);
    touch(dir, "a");
    touch(dir, "b");
    assert_int_equal(notify_wait(n, &e, task_now() + 5000), WAIT_READY);
    assert_int_equal(e.watch, watch);
    assert_true(str_eqz(e.name, "a"));
    assert_true(e.mask & IN_CREATE && e.mask & IN_CLOSE_WRITE); /* neighbours are one */
    assert_int_equal(notify_wait(n, &e, task_now() + 5000), WAIT_READY);
    assert_true(str_eqz(e.name, "b"));
    task_wake(task_self());
    assert_int_equal(notify_wait(n, &e, 0), WAIT_WOKEN);
    notify_drop(n, watch);
    assert_int_equal(notify_wait(n, &e, task_now() + 5000), WAIT_READY); /* IN_IGNORED */
    assert_true(e.mask & IN_IGNORED);
    remove_file(dir, "a");
    assert_int_equal(notify_wait(n, &e, task_now() + 5), WAIT_TIMEOUT);
    remove_file(dir, "b");
    assert_false(notify_next(n, &e));
    assert_int_equal(notify_add(n, "/nonexistent", IN_CREATE), -1);
    assert_int_equal(errno, ENOENT);
    notify_free(&n);
    assert_null(n);
}

TEST(changes_in_a_directory_are_told_once_per_name)
{
    char dir[] = "/tmp/test_notify.XXXXXX";

    assert_non_null(mkdtemp(dir));
    task_start("test", changes, dir);
    task_loop();
    rmdir(dir);
}

RUN_TESTS(T(changes_in_a_directory_are_told_once_per_name))
