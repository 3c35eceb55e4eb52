/*
 * Several processes at one folder: deliveries, flags and expunges at the same time, and a process
 * that is killed at any moment. No number is given twice, nothing that was acknowledged is lost.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";
enum { WRITERS = 4, EACH = 60, CRASHES = 25 };

struct shared { /* between the processes */
    uint32_t uids[WRITERS][EACH * 50];
    volatile uint32_t count[WRITERS];
};
static struct shared *shared;

static void writer(void *arg)
{
    int me = *(int *)arg;
    struct store *s = open_store();

    for (int i = 0; i < EACH; i++) {
        shared->uids[me][i] = deliver(s, "INBOX", hello);
        shared->count[me]++;
    }
    store_close(&s);
}

static void reader(void *arg)
{
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    char set[20];

    (void)arg;
    for (int i = 0; i < EACH; i++) {
        pull_all(b, true);
        if (mailbox_count(b) > 3) {
            snprintf(set, sizeof set, "%u", mailbox_msg(b, mailbox_count(b) - 1)->uid);
            set_flags(b, set, FLAGS_ADD, MSG_SEEN, false);
            if (i % 10 == 0)
                expunge(b, set, true);
        }
        task_sleep(task_now() + 1);
    }
    mailbox_close(&b);
    store_close(&s);
}

static pid_t start(task_fn *fn, void *arg)
{
    pid_t pid = fork();

    if (pid == 0) {
        task_start("child", fn, arg);
        task_loop();
        _exit(0);
    }
    return pid;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void map_shared(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
}

static size_t all_distinct(void)
{
    static uint32_t all[WRITERS * EACH * 50];
    size_t n = 0;

    for (int w = 0; w < WRITERS; w++)
        for (uint32_t i = 0; i < shared->count[w]; i++)
            all[n++] = shared->uids[w][i];
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 1; i < n; i++)
        assert_true(all[i] != all[i - 1]);
    return n;
}

static size_t expected;

static void check_all(void *arg)
{
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");

    (void)arg;
    for (uint32_t n = 2; n <= mailbox_count(b); n++)
        assert_true(mailbox_msg(b, n)->uid > mailbox_msg(b, n - 1)->uid);
    if (expected > 0)
        assert_int_equal(mailbox_count(b), expected);
    else
        for (int w = 0; w < WRITERS; w++)
            for (uint32_t i = 0; i < shared->count[w]; i++)
                assert_true(mailbox_number(b, shared->uids[w][i]) > 0);
    mailbox_close(&b);
    store_close(&s);
}

static void run_here(task_fn *fn, void *arg)
{
    pid_t pid = start(fn, arg);
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

TEST(numbers_are_given_once)
{
    int ids[WRITERS], status;
    pid_t pids[WRITERS + 2];

    map_shared();
    for (int i = 0; i < WRITERS; i++) {
        ids[i] = i;
        pids[i] = start(writer, &ids[i]);
    }
    pids[WRITERS] = start(reader, NULL);
    pids[WRITERS + 1] = start(reader, NULL);
    for (int i = 0; i < WRITERS + 2; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(all_distinct(), WRITERS * EACH);
    expected = 0;
    struct stat st;
    assert_int_equal(stat(path_of("pombal.journal"), &st), 0);
    munmap(shared, sizeof *shared);
}

TEST(a_killed_delivery_loses_nothing_that_was_acknowledged)
{
    int me = 0, status;

    map_shared();
    for (int round = 0; round < CRASHES; round++) {
        pid_t pid = start(writer, &me);
        struct timespec pause = {0, (round + 1) * 1500000};
        nanosleep(&pause, NULL); /* the moment of the crash: any will do */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        run_here(check_all, NULL);
        me = (round + 1) % WRITERS;
        if (shared->count[me] > 0) /* each writer has one row: start a new one */
            shared->count[me] = 0;
    }
    munmap(shared, sizeof *shared);
}

RUN_TESTS(TS(numbers_are_given_once), TS(a_killed_delivery_loses_nothing_that_was_acknowledged))
