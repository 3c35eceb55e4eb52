#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "task/stack.h"
#include "task/task.h"

#include "test.h"

static struct buf trace = {buf_none, 0, 0, 10000, false};

static void run(task_fn *fn, void *arg)
{
    task_start("first", fn, arg);
    task_loop();
}

static void say(void *arg)
{
    for (int i = 0; i < 3; i++) {
        buf_addz(&trace, arg);
        assert_ptr_equal(task_arg(), arg);
        task_yield();
    }
}

TEST(tasks_take_turns)
{
    char a[] = "a", b[] = "b";

    buf_clear(&trace);
    task_start("a", say, a);
    task_start("b", say, b);
    assert_int_equal(task_count(), 2);
    task_loop();
    assert_string_equal(trace.p, "ababab");
    assert_int_equal(task_count(), 0);
}

static void sleeper(void *arg)
{
    int64_t *ms = arg, began = task_now();

    assert_int_equal(task_sleep(task_now() + *ms), WAIT_TIMEOUT);
    assert_true(clock_ms() - began >= *ms);
    buf_addf(&trace, "%d ", (int)*ms);
}

TEST(sleepers_wake_in_order_of_time)
{
    int64_t ms[] = {30, 10, 20};

    buf_clear(&trace);
    for (size_t i = 0; i < 3; i++)
        task_start("sleeper", sleeper, &ms[i]);
    task_loop();
    assert_string_equal(trace.p, "10 20 30 ");
}

struct pair {
    int fd[2];
    enum wait result;
    struct task *task;
};

static void wait_byte(void *arg)
{
    struct pair *p = arg;
    char c;

    for (int i = 0; i < 3; i++) {
        while (recv(p->fd[0], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
            assert_int_equal(task_wait_again(p->fd[0], POLLIN, task_now() + 5000), WAIT_READY);
        buf_addc(&trace, c);
    }
    task_close(p->fd[0]);
}

static void send_bytes(void *arg)
{
    struct pair *p = arg;

    for (const char *c = "xyz"; *c; c++) {
        assert_int_equal(send(p->fd[1], c, 1, 0), 1);
        task_yield();
    }
    task_close(p->fd[1]);
}

TEST(readers_wake_when_bytes_come)
{
    struct pair p;

    buf_clear(&trace);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    task_start("reader", wait_byte, &p);
    task_start("writer", send_bytes, &p);
    task_loop();
    assert_string_equal(trace.p, "xyz");
}

static void level(void *arg)
{
    struct pair *p = arg;

    assert_int_equal(send(p->fd[1], "ab", 2, 0), 2);
    for (int i = 0; i < 3; i++) /* nothing is read: it stays readable */
        assert_int_equal(task_wait_fd(p->fd[0], POLLIN, task_now() + 1000), WAIT_READY);
    char c[2];
    assert_int_equal(recv(p->fd[0], c, 2, 0), 2);
    assert_int_equal(task_wait_fd(p->fd[0], POLLIN, task_now() + 10), WAIT_TIMEOUT);
    assert_int_equal(task_wait_fd(p->fd[0], POLLIN, task_now() - 10), WAIT_TIMEOUT);
    assert_int_equal(task_wait_fd(p->fd[0], POLLOUT, task_now() + 10), WAIT_READY);
    task_close(p->fd[1]);
    assert_int_equal(task_wait_fd(p->fd[0], POLLIN, 0), WAIT_READY);
    task_close(p->fd[0]);
}

TEST(wait_fd_is_level_triggered_and_has_a_deadline)
{
    struct pair p;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    run(level, &p);
}

static void wait_long(void *arg)
{
    struct pair *p = arg;

    p->task = task_self();
    p->result = task_wait_either(p->fd[0], POLLIN, 0);
    assert_int_equal(task_is_cancelled(), p->result == WAIT_CANCELLED);
    if (p->result == WAIT_CANCELLED) {
        assert_int_equal(task_park(0), WAIT_CANCELLED);
        assert_int_equal(task_sleep(task_now() + 100000), WAIT_CANCELLED);
    }
}

static void wake_it(void *arg)
{
    struct pair *p = arg;

    task_yield();
    task_wake(p->task);
}

static void cancel_it(void *arg)
{
    (void)arg;
    task_yield();
    task_cancel_all();
}

TEST(wait_either_ends_by_wake_and_by_cancel)
{
    struct pair p;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    task_start("waiter", wait_long, &p);
    task_start("waker", wake_it, &p);
    task_loop();
    assert_int_equal(p.result, WAIT_WOKEN);
    task_start("waiter", wait_long, &p);
    task_start("canceller", cancel_it, &p);
    task_loop();
    assert_int_equal(p.result, WAIT_CANCELLED);
    task_close(p.fd[0]);
    task_close(p.fd[1]);
}

static void park(void *arg)
{
    (void)arg;
    task_wake(task_self()); /* before the call: counts once */
    assert_int_equal(task_park(task_now() + 1000), WAIT_READY);
    assert_int_equal(task_park(task_now() + 5), WAIT_TIMEOUT);
}

TEST(wake_before_park_counts_once)
{
    run(park, NULL);
}

static void reuse_number(void *arg)
{
    struct pair p, q;

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    assert_int_equal(task_wait_fd(p.fd[0], POLLIN, task_now() + 1), WAIT_TIMEOUT);
    int copy = dup(p.fd[0]); /* keeps the file open, as a descriptor passed elsewhere would */
    task_close(p.fd[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, q.fd), 0);
    assert_int_equal(q.fd[0], p.fd[0]);
    assert_int_equal(send(p.fd[1], "x", 1, 0), 1);
    assert_int_equal(task_wait_again(q.fd[0], POLLIN, task_now() + 20), WAIT_TIMEOUT);
    close(copy);
    task_close(p.fd[1]);
    task_close(q.fd[0]);
    task_close(q.fd[1]);
}

TEST(closed_descriptors_are_forgotten)
{
    run(reuse_number, NULL);
}

static void look_then_again(void *arg)
{
    struct pair p;
    char c;

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    for (int i = 0; i < 3; i++) { /* registered before or not, ready before the wait or not */
        assert_int_equal(send(p.fd[1], "x", 1, 0), 1);
        assert_int_equal(task_wait_fd(p.fd[0], POLLIN, task_now() + 1000), WAIT_READY);
        assert_int_equal(task_wait_again(p.fd[0], POLLIN, task_now() + 1000), WAIT_READY);
        assert_int_equal(recv(p.fd[0], &c, 1, 0), 1);
    }
    task_close(p.fd[0]);
    task_close(p.fd[1]);
}

TEST(looking_does_not_take_the_edge_from_who_reads)
{
    run(look_then_again, NULL);
}

static void half_close(void *arg)
{
    struct pair p;
    char c[10];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    assert_int_equal(task_wait_fd(p.fd[0], POLLIN, task_now() + 1), WAIT_TIMEOUT);
    assert_int_equal(send(p.fd[1], "x", 1, 0), 1);
    assert_int_equal(shutdown(p.fd[1], SHUT_WR), 0);
    assert_int_equal(task_wait_again(p.fd[0], POLLIN, 0), WAIT_READY);
    assert_int_equal(recv(p.fd[0], c, sizeof c, 0), 1); /* short: but the end is there as well */
    assert_int_equal(task_wait_again(p.fd[0], POLLIN, 0), WAIT_READY);
    assert_int_equal(recv(p.fd[0], c, sizeof c, 0), 0);
    task_close(p.fd[0]);
    task_close(p.fd[1]);
}

TEST(end_of_input_is_not_missed_after_a_short_read)
{
    run(half_close, NULL);
}

static void fill_pipe(void *arg)
{
    struct pair *p = arg;
    char block[4096] = {0};
    size_t n = 0;

    while (n < 1000000) {
        ssize_t done = write(p->fd[1], block, sizeof block);
        if (done > 0)
            n += (size_t)done;
        else
            assert_int_equal(task_wait_again(p->fd[1], POLLOUT, task_now() + 5000), WAIT_READY);
    }
    task_close(p->fd[1]);
}

static void empty_pipe(void *arg)
{
    struct pair *p = arg;
    char block[1000];
    size_t total = 0;
    ssize_t n;

    while ((n = read(p->fd[0], block, sizeof block)) != 0)
        if (n > 0)
            total += (size_t)n;
        else
            assert_int_equal(task_wait_again(p->fd[0], POLLIN, task_now() + 5000), WAIT_READY);
    assert_true(total >= 1000000);
    task_close(p->fd[0]);
}

TEST(writers_wake_when_there_is_room)
{
    struct pair p;

    assert_int_equal(pipe2(p.fd, O_NONBLOCK), 0);
    task_start("writer", fill_pipe, &p);
    task_start("reader", empty_pipe, &p);
    task_loop();
}

static void sync_one(void *arg)
{
    char path[] = "/var/tmp/test_task.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(task_fdatasync(fd), 0);
    assert_int_equal(task_fsync(fd), 0);
    close(fd);
    unlink(path);
    assert_int_equal(task_fsync(fd), -1);
    assert_int_equal(errno, EBADF);
    (*(int *)arg)++;
}

TEST(syncs_park_the_task_and_complete)
{
    int done = 0;

    for (int i = 0; i < 40; i++)
        task_start("sync", sync_one, &done);
    task_loop();
    assert_int_equal(done, 40);
}

static void sync_cancelled(void *arg)
{
    task_cancel(task_self());
    sync_one(arg);
}

TEST(sync_of_a_cancelled_task_completes)
{
    int done = 0;

    run(sync_cancelled, &done);
    assert_int_equal(done, 1);
}

static struct task *signalled;

static void on_signal(int signo)
{
    assert_int_equal(signo, SIGUSR1);
    task_wake(signalled);
}

static void wait_signal(void *arg)
{
    (void)arg;
    signalled = task_self();
    task_on_signal(SIGUSR1, on_signal);
    kill(getpid(), SIGUSR1);
    assert_int_equal(task_park(task_now() + 5000), WAIT_READY);
    task_on_signal(SIGUSR1, NULL);
}

TEST(signals_come_as_callbacks)
{
    run(wait_signal, NULL);
}

static int turns;

static void count_turn(void)
{
    turns++;
}

static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void slow(void *arg)
{
    (void)arg;
    task_yield();
    task_longest_turns();
    for (int64_t until = cpu_us() + 40000; cpu_us() < until;)
        ;
}

TEST(turns_are_counted_and_timed)
{
    task_on_turn(count_turn);
    run(slow, NULL);
    assert_true(turns >= 1);
    struct task_turns turn = task_longest_turns();
    assert_true(turn.wall_ms >= 40);
    assert_in_range(turn.cpu_us, 20000, turn.wall_ms * 1000 + 1000);
    assert_int_equal(task_longest_turns().wall_ms, 0);
}

static void use_cpu(int64_t us)
{
    for (int64_t until = cpu_us() + us; cpu_us() < until;)
        ;
}

static void fairly_slow(void *arg)
{
    (void)arg;
    use_cpu(15000);
    task_yield();
}

/* What a process did before its loop, or between two loops, is no turn. */
TEST(work_before_the_loop_is_no_turn)
{
    task_longest_turns();
    use_cpu(300000);
    run(fairly_slow, NULL);
    assert_in_range(task_longest_turns().cpu_us, 10000, 200000);
}

struct stubborn {
    int waits;
    bool others_ran, done;
};

/* Goes on waiting for something that is not to come, whatever it is told. */
static void wait_on(void *arg)
{
    struct stubborn *s = arg;

    while (!s->done) {
        task_park(0);
        s->waits++;
    }
}

static void end_stubborn(void *arg)
{
    struct stubborn *s = arg;

    for (int i = 0; i < 5; i++)
        task_sleep(task_now() + 60);
    s->others_ran = true;
    s->done = true;
}

static struct buf warned = {buf_none, 0, 0, 10000, false, false};

static void keep_warning(const char *level, const char *text)
{
    buf_addf(&warned, "%s: %s\n", level, text);
}

TEST(a_cancelled_task_that_waits_on_lets_others_run_and_is_named)
{
    struct stubborn s = {0};

    buf_clear(&warned);
    msg_capture(keep_warning);
    struct task *t = task_start("stubborn", wait_on, &s);
    task_start("other", end_stubborn, &s);
    task_cancel(t);
    task_loop();
    msg_capture(NULL);
    assert_true(s.others_ran);
    assert_in_range(s.waits, 100, 200); /* of 300 ms, in naps of 20 */
    assert_string_equal(warned.p, "warning: task stubborn waits again and again although it is "
                                  "cancelled, or another task waits for the same\n");
}

static void wait_in_each_way(void *arg)
{
    struct pair *p = arg;

    for (int i = 0; i < 300 && p->result == 0; i++) {
        assert_int_equal(task_sleep(task_now() + 10000), WAIT_CANCELLED);
        assert_int_equal(task_wait_fd(p->fd[0], POLLIN, 0), WAIT_CANCELLED);
        assert_int_equal(task_wait_again(p->fd[0], POLLIN, 0), WAIT_CANCELLED);
        if (task_wait_either(p->fd[0], POLLIN, 0) == WAIT_WOKEN)
            break;
    }
    buf_addz(&trace, "woken");
}

static void wake_later(void *arg)
{
    struct pair *p = arg;

    task_sleep(task_now() + 300);
    p->result = WAIT_WOKEN;
    task_wake(p->task);
}

TEST(every_kind_of_wait_of_a_cancelled_task_lets_others_run)
{
    struct pair p = {0};

    buf_clear(&trace);
    msg_capture(keep_warning);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fd), 0);
    p.task = task_start("waits", wait_in_each_way, &p);
    task_start("wakes", wake_later, &p);
    task_cancel(p.task);
    task_loop();
    msg_capture(NULL);
    assert_string_equal(trace.p, "woken");
    close(p.fd[0]);
    close(p.fd[1]);
}

static void wait_anyway(void *arg)
{
    struct pair *p = arg;

    p->result = task_park_anyway(0);
    assert_int_equal(task_park_anyway(task_now() + 10), WAIT_TIMEOUT);
    assert_int_equal(task_park_anyway(task_now() - 1), WAIT_TIMEOUT);
    buf_addz(&trace, "end");
}

TEST(a_wait_that_is_no_longer_to_be_cancelled_ends_by_a_wake_up_only)
{
    struct pair p = {0};

    buf_clear(&trace);
    p.task = task_start("waits", wait_anyway, &p);
    task_cancel(p.task);
    task_start("wakes", wake_later, &p);
    task_loop();
    assert_int_equal(p.result, WAIT_READY);
    assert_string_equal(trace.p, "end");
}

static void spin(void *arg)
{
    int64_t until = clock_ms() + *(int64_t *)arg;

    while (clock_ms() < until)
        ;
}

static const char *log_of_child(int64_t spin_ms, int64_t limit_ms, int *status)
{
    static char text[1000];
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        msg_to_fd(fds[1]);
        task_watchdog(40, limit_ms);
        task_start("spinner", spin, &spin_ms);
        task_loop();
        _exit(0);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    close(fds[0]);
    return text;
}

TEST(a_turn_that_takes_too_long_is_reported)
{
    int status;
    const char *text = log_of_child(300, 0, &status);

    assert_non_null(strstr(text, "]: warning: watchdog: no other task is served because of task "
                                 "spinner: "));
    assert_null(strstr(strchr(text, '\n') + 1, "watchdog")); /* once */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(a_turn_that_does_not_end_ends_the_process)
{
    int status;
    const char *text = log_of_child(60 * 1000, 200, &status);

    assert_non_null(strstr(text, "]: fatal: watchdog: no other task was served for too long "
                                 "because of task spinner: "));
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void sleep_long(void *arg)
{
    (void)arg;
    task_sleep(task_now() + 300);
}

TEST(a_process_that_sleeps_is_neither_reported_nor_ended)
{
    int status;

    pid_t pid = fork();
    if (pid == 0) {
        task_watchdog(20, 60);
        task_start("sleeper", sleep_long, NULL);
        task_loop();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void __attribute__((noinline)) use_stack(size_t bytes)
{
    volatile char page[4096];

    page[0] = page[4095] = 1;
    if (bytes > sizeof page)
        use_stack(bytes - sizeof page);
    page[1] = 2; /* no tail call */
}

static void deep(void *arg)
{
    (void)arg;
    use_stack((size_t)100 * 1024);
}

TEST(the_deepest_use_of_a_stack_is_known)
{
    size_t before = task_stack_used();

    assert_int_equal(task_stack_size(), (size_t)TASK_STACK * TASK_STACK_FACTOR);
    assert_true(before < (size_t)100 * 1024);
    for (int i = 0; i < 64; i++)
        task_start("deep", deep, NULL);
    task_loop();
    assert_in_range(task_stack_used(), 100 * 1024, task_stack_size());
}

static void deep_and_idle(void *arg)
{
    size_t *used = arg;

    use_stack((size_t)150 * 1024);
    task_trim();
    *used = task_stack_used();
}

TEST(what_an_idle_task_gives_back_of_its_stack_is_known)
{
    size_t used = 0;

    task_start("idle", deep_and_idle, &used);
    task_loop();
    assert_in_range(used, 150 * 1024, task_stack_size());
}

static void fork_one(void *arg)
{
    int status;
    pid_t pid = fork();

    (void)arg;
    if (pid == 0) {
        task_forked();
        if (task_count() != 1 || task_sleep(task_now() + 5) != WAIT_TIMEOUT)
            _exit(1);
        int fds[2];
        if (pipe2(fds, O_NONBLOCK) < 0 || write(fds[1], "x", 1) != 1 ||
            task_wait_fd(fds[0], POLLIN, task_now() + 1000) != WAIT_READY)
            _exit(2);
        int done = 0;
        sync_one(&done);
        _exit(0);
    }
    assert_int_equal(task_sleep(task_now() + 20), WAIT_TIMEOUT); /* the parent's loop goes on */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    task_cancel_all();
}

static void bystander(void *arg)
{
    (void)arg;
    assert_int_equal(task_park(0), WAIT_CANCELLED);
}

TEST(forked_task_has_a_loop_of_its_own)
{
    task_start("bystander", bystander, NULL);
    run(fork_one, NULL);
}

static int dig(volatile char *above, int depth)
{
    volatile char frame[1024];

    frame[0] = above[0];
    return depth == 0 ? frame[0] : dig(frame, depth - 1) + frame[0];
}

static void overflow(void *arg)
{
    volatile char start[1] = {1};

    (void)arg;
    _exit(dig(start, 1000000) > 0 ? 0 : 1);
}

TEST(stack_overflow_hits_the_guard_page)
{
    const char *preload = getenv("LD_PRELOAD");
    int status;

    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        return; /* Valgrind gets lost in it */
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        task_start("deep", overflow, NULL);
        task_loop();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

static void child(void *arg)
{
    volatile char big[20000];

    memset((void *)(uintptr_t)big, 1, sizeof big);
    task_trim();
    assert_int_equal(big[sizeof big - 1], 1);
    assert_int_equal(task_sleep(task_now() + 1), WAIT_TIMEOUT);
    task_trim();
    (*(int *)arg)++;
}

TEST(many_tasks_use_stacks_again)
{
    int n = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++)
            task_start("child", child, &n);
        task_loop();
    }
    assert_int_equal(n, 1500);
    buf_free(&trace);
}

static void watched(void *arg, int fd, short events)
{
    char c;

    assert_int_equal(events & POLLIN, POLLIN);
    assert_int_equal(read(fd, &c, 1), 1);
    task_wake(arg);
}

static void watcher(void *arg)
{
    int fds[2];

    (void)arg;
    assert_int_equal(pipe(fds), 0);
    task_watch(fds[0], POLLIN, watched, task_self());
    for (int i = 0; i < 2; i++) {
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(task_park(task_now() + 5000), WAIT_READY);
    }
    task_watch(fds[0], 0, NULL, NULL);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(task_park(task_now() + 5), WAIT_TIMEOUT);
    close(fds[0]);
    close(fds[1]);
}

TEST(watch_calls_back_until_it_is_ended)
{
    run(watcher, NULL);
}

static void write_both(void *arg)
{
    const struct pair *p = arg;

    assert_int_equal(write(p[0].fd[1], "x", 1), 1);
    assert_int_equal(write(p[1].fd[1], "x", 1), 1);
}

/* A callback wakes the task in the same turn in which its own descriptor becomes ready. */
static void woken_and_ready(void *arg)
{
    struct pair p[2];
    char c;

    (void)arg;
    for (int i = 0; i < 2; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p[i].fd), 0);
    task_watch(p[0].fd[0], POLLIN, watched, task_self());
    assert_int_equal(task_wait_either(p[1].fd[0], POLLIN, task_now() + 1), WAIT_TIMEOUT);
    for (int i = 0; i < 3; i++) {
        task_start("writer", write_both, p);
        assert_int_equal(task_wait_again_either(p[1].fd[0], POLLIN, task_now() + 5000), WAIT_WOKEN);
        assert_int_equal(task_wait_again_either(p[1].fd[0], POLLIN, task_now() + 500), WAIT_READY);
        assert_int_equal(recv(p[1].fd[0], &c, 1, 0), 1);
    }
    task_watch(p[0].fd[0], 0, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        task_close(p[i].fd[0]);
        task_close(p[i].fd[1]);
    }
}

TEST(an_edge_that_comes_with_a_wake_up_is_not_lost)
{
    run(woken_and_ready, NULL);
}

struct crowd {
    int fds[2];
    int ready, refused;
};

static void wait_like_the_other(void *arg)
{
    struct crowd *c = arg;
    enum wait w = task_wait_fd(c->fds[0], POLLIN, 0);

    c->ready += w == WAIT_READY;
    c->refused += w == WAIT_CANCELLED;
    if (w == WAIT_CANCELLED)
        assert_int_equal(write(c->fds[1], "x", 1), 1);
}

TEST(a_second_task_that_waits_for_the_same_is_refused)
{
    struct crowd c = {0};

    assert_int_equal(pipe(c.fds), 0);
    task_start("one", wait_like_the_other, &c);
    run(wait_like_the_other, &c);
    assert_int_equal(c.ready, 1);
    assert_int_equal(c.refused, 1);
    task_close(c.fds[0]);
    task_close(c.fds[1]);
}

static void say_later(void *arg)
{
    task_sleep(task_now() + 2);
    assert_int_equal(write(*(int *)arg, "x", 1), 1);
}

static void wait_for_two(void *arg)
{
    int *a = arg, *b = a + 2;
    struct pollfd both[] = {{.fd = a[0], .events = POLLIN}, {.fd = b[0], .events = POLLIN}};

    assert_int_equal(task_wait_any(both, 2, task_now() + 5), WAIT_TIMEOUT);
    assert_int_equal(write(b[1], "x", 1), 1);
    assert_int_equal(task_wait_any(both, 2, 0), WAIT_READY); /* as often as it is not read */
    assert_int_equal(task_wait_any(both, 2, 0), WAIT_READY);
    both[1].events = 0;
    assert_int_equal(task_wait_any(both, 2, task_now() + 5), WAIT_TIMEOUT);
    both[1].events = POLLIN;
    char byte;
    assert_int_equal(read(b[0], &byte, 1), 1);
    task_start("say", say_later, &a[1]);
    assert_int_equal(task_wait_any(both, 2, 0), WAIT_READY);
    assert_int_equal(read(a[0], &byte, 1), 1);
    task_cancel(task_self());
    assert_int_equal(task_wait_any(both, 2, 0), WAIT_CANCELLED);
    for (int i = 0; i < 4; i++)
        task_close(a[i]);
}

TEST(one_task_may_wait_for_several)
{
    int fds[4];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pipe(fds + 2), 0);
    run(wait_for_two, fds);
}

TEST(waits_outside_of_a_task_block_the_process)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(task_wait_fd(fds[0], POLLIN, task_now() + 10), WAIT_TIMEOUT);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(task_wait_fd(fds[0], POLLIN, 0), WAIT_READY);
    assert_int_equal(task_sleep(task_now() + 5), WAIT_TIMEOUT);
    close(fds[0]);
    close(fds[1]);
}

static void short_sleep(void *arg)
{
    (void)arg;
    task_sleep(task_now() + 1);
}

/* Bytes that are mapped, in pages. */
static size_t mapped(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);

    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    uint64_t pages = 0;
    struct str rest = strz(text), word;
    assert_true(str_word(&rest, " ", &word) && num_parse_u64(word, 0, SIZE_MAX, &pages));
    return pages;
}

static void rush(void)
{
    for (int i = 0; i < 200; i++)
        task_start("short", short_sleep, NULL);
    while (task_count() > 1)
        task_sleep(task_now() + 1);
}

static void two_rushes(void *arg)
{
    (void)arg;
    rush();
    assert_true(stack_surplus());
    size_t after_first = mapped();
    rush();
    assert_in_range(mapped(), 0, after_first + 1000); /* 200 stacks are 13,000 */
    for (int i = 0; i < 600 && stack_surplus(); i++)
        task_sleep(task_now() + 100);
    assert_false(stack_surplus());
    assert_true(mapped() < after_first);
}

TEST(after_a_rush_its_stacks_are_kept_for_a_moment_only)
{
    run(two_rushes, NULL);
}

RUN_TESTS(T(a_cancelled_task_that_waits_on_lets_others_run_and_is_named),
          T(every_kind_of_wait_of_a_cancelled_task_lets_others_run),
          T(a_wait_that_is_no_longer_to_be_cancelled_ends_by_a_wake_up_only),
          T(a_turn_that_takes_too_long_is_reported), T(a_turn_that_does_not_end_ends_the_process),
          T(a_process_that_sleeps_is_neither_reported_nor_ended),
          T(the_deepest_use_of_a_stack_is_known),
          T(what_an_idle_task_gives_back_of_its_stack_is_known), T(tasks_take_turns),
          T(sleepers_wake_in_order_of_time), T(readers_wake_when_bytes_come),
          T(wait_fd_is_level_triggered_and_has_a_deadline),
          T(wait_either_ends_by_wake_and_by_cancel), T(wake_before_park_counts_once),
          T(closed_descriptors_are_forgotten), T(looking_does_not_take_the_edge_from_who_reads),
          T(end_of_input_is_not_missed_after_a_short_read), T(writers_wake_when_there_is_room),
          T(syncs_park_the_task_and_complete), T(sync_of_a_cancelled_task_completes),
          T(signals_come_as_callbacks), T(turns_are_counted_and_timed),
          T(work_before_the_loop_is_no_turn), T(forked_task_has_a_loop_of_its_own),
          T(stack_overflow_hits_the_guard_page), T(watch_calls_back_until_it_is_ended),
          T(an_edge_that_comes_with_a_wake_up_is_not_lost),
          T(a_second_task_that_waits_for_the_same_is_refused), T(one_task_may_wait_for_several),
          T(waits_outside_of_a_task_block_the_process), T(many_tasks_use_stacks_again),
          T(after_a_rush_its_stacks_are_kept_for_a_moment_only))
