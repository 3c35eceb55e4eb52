#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/str.h"
#include "service/helper.h"
#include "task/task.h"

#include "test.h"

/* "die": ends the helper; "sleep": no answer; "file": a descriptor; else the question comes back.
 */
static void echo(struct str ask, struct buf *answer, int *fd)
{
    if (str_eqz(ask, "die"))
        raise(SIGKILL);
    if (str_eqz(ask, "sleep"))
        pause();
    if (str_eqz(ask, "file"))
        *fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    buf_add(answer, ask);
}

static const struct helper_job job = {.name = "echo", .count = 2, .queue_limit = 10, .serve = echo};

static int ask(struct helper *h, const char *text, int64_t ms, int *fd)
{
    struct buf answer = BUF(1000);
    struct why why = WHY;
    int result = helper_ask(h, strz(text), task_now() + ms, &answer, fd, &why);

    if (result == 0)
        assert_true(str_eqz(buf_str(&answer), text));
    buf_free(&answer);
    why_free(&why);
    return result;
}

static void answers_and_descriptors(void *arg)
{
    struct helper *h = arg;
    int fd;

    helper_watch(h);
    assert_int_equal(ask(h, "hello", 20000, NULL), 0);
    assert_int_equal(ask(h, "", 20000, &fd), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(ask(h, "file", 20000, &fd), 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ask(h, "file", 20000, NULL), 0);
    helper_free(&h);
}

TEST(an_answer_may_carry_a_descriptor)
{
    struct helper *h = helper_start(&job);

    task_start("test", answers_and_descriptors, h);
    task_loop();
}

static void deaths(void *arg)
{
    struct helper *h = arg;

    helper_watch(h);
    for (int i = 0; i < 3; i++) /* more than there are at first */
        assert_int_equal(ask(h, "die", 10, NULL), -1);
    assert_int_equal(ask(h, "hello", 20000, NULL), 0);
    helper_free(&h);
}

TEST(a_helper_that_dies_is_started_again)
{
    struct helper *h = helper_start(&job);

    task_start("test", deaths, h);
    task_loop();
}

static int waiting, refused;

static void ask_for_nothing(void *arg)
{
    waiting++;
    refused += ask(arg, "sleep", 200, NULL) < 0;
    waiting--;
}

static void too_many(void *arg)
{
    struct helper *h = arg;

    helper_watch(h);
    for (int i = 0; i < job.queue_limit; i++)
        task_start("ask", ask_for_nothing, h);
    while (waiting < job.queue_limit) /* there is time enough before the first is refused */
        task_yield();
    assert_int_equal(ask(h, "hello", 20000, NULL), -1); /* at once */
    assert_int_equal(waiting, job.queue_limit);
    while (waiting > 0)
        task_sleep(task_now() + 10);
    assert_int_equal(refused, job.queue_limit);
    helper_free(&h);
}

TEST(the_queue_has_a_limit_and_a_question_its_time)
{
    struct helper *h = helper_start(&job);

    task_start("test", too_many, h);
    task_loop();
}

/* ---- a helper with a loop of its own: "hold" is answered when something is added to it, with
 * that; "die" never; else the answer is how many descriptors came. */

static void loop(int socket)
{
    struct helper_request r;
    int got;

    while ((got = helper_recv(socket, &r)) >= 0) {
        struct str ask = {r.bytes, r.n};
        char count = '0';
        if (got == 0 || str_eqz(ask, "hold"))
            continue;
        if (str_eqz(ask, "die"))
            raise(SIGKILL);
        for (int i = 0; i < HELPER_FDS; i++)
            if (r.fds[i] >= 0) {
                count++;
                close(r.fds[i]);
            }
        helper_answer(socket, r.id, str_eqz(ask, "count") ? (struct str){&count, 1} : ask);
    }
}

static const struct helper_job looping = {.name = "loop", .queue_limit = 2, .loop = loop};

static void count_fds(struct helper *h, const int *fds, const char *expected)
{
    struct buf answer = BUF(10);
    struct helper_question q = {.answer = &answer};

    assert_int_equal(helper_send(h, &q, STR("count"), fds, NULL), 0);
    assert_true(helper_wait(&q, task_now() + 20000));
    helper_drop(h, &q);
    assert_true(str_eqz(buf_str(&answer), expected));
    buf_free(&answer);
}

static void steps(void *arg)
{
    struct helper *h = arg;
    struct buf answer = BUF(10), other = BUF(10);
    struct helper_question held = {.answer = &answer}, third = {.answer = &other};

    helper_watch(h);
    count_fds(h, NULL, "0");
    count_fds(h, (const int[HELPER_FDS]){0, -1}, "1");
    count_fds(h, (const int[HELPER_FDS]){-1, 0}, "1");
    count_fds(h, (const int[HELPER_FDS]){0, 0}, "2");
    /* A question outlives its time, and something is added to it. */
    assert_int_equal(helper_send(h, &held, STR("hold"), NULL, NULL), 0);
    assert_false(helper_wait(&held, task_now() + 10));
    assert_false(held.lost);
    count_fds(h, NULL, "0"); /* others go on */
    helper_add(h, &held, STR("more"));
    assert_true(helper_wait(&held, task_now() + 20000));
    assert_true(str_eqz(buf_str(&answer), "more"));
    helper_drop(h, &held);
    /* Nobody starts it again: what waits is lost, what follows fails. */
    assert_int_equal(helper_send(h, &held, STR("hold"), NULL, NULL), 0);
    assert_int_equal(helper_send(h, &third, STR("die"), NULL, NULL), 0);
    assert_false(helper_wait(&held, 0));
    assert_true(held.lost && third.lost);
    assert_int_equal(helper_send(h, &third, STR("count"), NULL, NULL), -1); /* there are two */
    helper_drop(h, &held);
    helper_drop(h, &third);
    assert_int_equal(helper_send(h, &held, STR("count"), NULL, NULL), -1);
    buf_free(&answer);
    buf_free(&other);
    helper_free(&h);
}

TEST(a_loop_has_many_requests_at_a_time)
{
    struct helper *h = helper_start(&looping);

    task_start("test", steps, h);
    task_loop();
}

RUN_TESTS(T(an_answer_may_carry_a_descriptor), T(a_helper_that_dies_is_started_again),
          T(the_queue_has_a_limit_and_a_question_its_time), T(a_loop_has_many_requests_at_a_time))
