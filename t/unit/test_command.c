/* Commands that get a message: what they say is read while others have their turns. */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "queue/qfile.h"
#include "service/runner.h"
#include "task/task.h"

#include "command.h"
#include "queue_test.h"

enum { NOBODY = 65534, OUTPUT_READ = 1024 };

static bool endless; /* what the command has left running writes as fast as it is read */
static int turns;
static bool over;

ssize_t read(int fd, void *p, size_t n)
{
    struct stat st;

    if (!endless || n != OUTPUT_READ || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
        return syscall(SYS_read, fd, p, n);
    memset(p, 'y', n);
    return (ssize_t)n;
}

static struct qfile *message(void)
{
    struct why why = WHY;
    struct qfile *f = qfile_create(Q_INCOMING, &why);
    char id[30];

    assert_non_null(f);
    qfile_put(f, REC_MESG, STR(""));
    qfile_put(f, REC_NORM, STR("text"));
    qfile_put(f, REC_XTRA, STR(""));
    qfile_put(f, REC_END, STR(""));
    snprintf(id, sizeof id, "%s", qfile_id(f));
    assert_int_equal(qfile_commit(&f, &why), 0);
    f = qfile_open(Q_INCOMING, id, QFILE_READ, &why);
    assert_non_null(f);
    return f;
}

static void count(void *arg)
{
    (void)arg;
    while (!over) {
        turns++;
        task_yield();
    }
}

static void run(void *arg)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    struct command c = {.argv = argv,
                        .env = env,
                        .shown = "true",
                        .uid = NOBODY,
                        .gid = NOBODY,
                        .dir = "",
                        .time_limit_s = 10,
                        .prepend = "",
                        .eol = "\n"};
    struct job job = {.file = message()};
    struct why why = WHY;

    (void)arg;
    task_start("count", count, NULL);
    endless = true;
    assert_int_equal(command_run(&job, &c, &why), 0);
    endless = false;
    over = true;
    assert_true(turns > 10);
    qfile_close(&job.file);
    why_free(&why);
    task_cancel_all();
    runner_stop();
}

TEST(what_speaks_without_end_keeps_nobody_waiting)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    alarm(30);
    conf.command_output_limit = 1000;
    runner_start();
    task_start("run", run, NULL);
    task_loop();
    alarm(0);
}

RUN_TESTS(cmocka_unit_test_setup_teardown(what_speaks_without_end_keeps_nobody_waiting, enter_queue,
                                          leave_queue))
