#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "service/jail_parts.h"
#include "service/runner.h"
#include "task/task.h"

#include "test.h"

enum { NOBODY = 65534 };
static const char *const env[] = {"PATH=/usr/bin:/bin", "COLOR=grey", NULL};

static int run(const char *script, int in, int out, int64_t limit_ms, int *status, struct why *why)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct run r = {.uid = NOBODY,
                    .gid = NOBODY,
                    .argv = argv,
                    .env = env,
                    .in = in,
                    .out = out,
                    .deadline_ms = task_now() + limit_ms};
    return runner_run(&r, status, why);
}

static void expect_output(const char *script, int in, const char *expected)
{
    int ends[2], status = -1;
    char text[200] = "";

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(run(script, in, ends[1], 20000, &status, NULL), 0);
    assert_int_equal(status, 0);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) >= 0);
    assert_string_equal(text, expected);
    close(ends[0]);
}

static void all(void *arg)
{
    struct why why = WHY;
    int status = -1, ends[2];

    (void)arg;
    assert_int_equal(run("exit 75", -1, -1, 20000, &status, &why), 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 75);
    assert_int_equal(run("kill -9 $$", -1, -1, 20000, &status, &why), 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 9);

    expect_output("echo $COLOR; pwd; echo $HOME", -1, "grey\n/\n\n");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "letter", 6), 6);
    close(ends[1]);
    expect_output("cat", ends[0], "letter");
    close(ends[0]);
    if (geteuid() == 0)
        expect_output("id -u; id -G", -1, "65534\n65534\n");

    int64_t before = task_now();
    assert_int_equal(run("sleep 100 & sleep 100", -1, -1, 200, &status, &why), -1);
    assert_true(why_later(&why));
    assert_non_null(strstr(why_text(&why), "time limit"));
    assert_true(task_now() - before < 10000);

    const char *absent[] = {"/no/such/program", NULL};
    struct run r = {NOBODY, NOBODY, absent, env, NULL, -1, -1, task_now() + 20000};
    assert_int_equal(runner_run(&r, &status, &why), -1);
    assert_non_null(strstr(why_text(&why), "No such file"));
    r.uid = 0;
    if (geteuid() == 0)
        assert_int_equal(runner_run(&r, &status, &why), -1); /* nobody's commands run as root */
    why_free(&why);
    task_cancel_all();
    runner_stop();
}

static int ended;
static void one(void *arg)
{
    int status = -1;
    (void)arg;
    assert_int_equal(run("exit 3", -1, -1, 20000, &status, NULL), 0);
    assert_int_equal(WEXITSTATUS(status), 3);
    if (++ended == 20)
        runner_stop();
}

TEST(commands_run_as_somebody_else)
{
    if (JAIL_COVERAGE[0] != 0)
        skip(); /* such a build writes to standard error before it executes another program */
    runner_start();
    task_start("test", all, NULL);
    task_loop();
}

TEST(many_commands_run_at_a_time)
{
    runner_start();
    for (int i = 0; i < 20; i++)
        task_start("one", one, NULL);
    task_loop();
    assert_int_equal(ended, 20);
}

static int start_as(uid_t uid, gid_t gid, const char *root)
{
    const char *argv[] = {"true", NULL};
    struct run r = {uid, gid, argv, env, NULL, -1, -1, task_now() + 20000, root};
    int status = -1;

    return runner_run(&r, &status, NULL);
}

static void only_one_user(void *arg)
{
    (void)arg;
    assert_int_equal(start_as(NOBODY, NOBODY, NULL), 0);
    assert_int_equal(start_as(NOBODY, NOBODY, "/"), 0);
    assert_int_equal(start_as(NOBODY - 1, NOBODY, NULL), -1);
    assert_int_equal(start_as(NOBODY, NOBODY - 1, NULL), -1); /* the group of shadow, of disks */
    assert_int_equal(start_as(NOBODY, NOBODY, "/tmp"), -1);
    runner_stop();
}

/* The last one: what it sets stays. */
TEST(a_helper_for_one_user_runs_nothing_as_another)
{
    runner_only(NOBODY, NOBODY, NULL);
    runner_start();
    task_start("test", only_one_user, NULL);
    task_loop();
}

RUN_TESTS(T(commands_run_as_somebody_else), T(many_commands_run_at_a_time),
          T(a_helper_for_one_user_runs_nothing_as_another))
