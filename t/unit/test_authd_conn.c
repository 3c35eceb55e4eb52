/* A connection to authd and its end, with attempts that do what a test wants. */
#include <sys/socket.h>
#include <unistd.h>

#include "../../master/authd.h"
#include "base/hash.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "service/service.h"
#include "task/task.h"

#include "mini.h"
#include "test.h"

static struct {
    struct attempt attempt;
    bool may_end, conn_ended;
    int turns;
} world;

static void count_turn(void)
{
    world.turns++;
}

/* ---- what the connection calls */

static struct str key(void)
{
    return (struct str){(const char *)&world.attempt.id, sizeof world.attempt.id};
}

/* Waits for something that it must have, as for a sync. */
static void attempt(void *arg)
{
    struct authd_conn *c = arg;

    while (!world.may_end)
        task_park_anyway(0);
    c->nrunning--;
    task_wake(c->task);
}

void attempt_start(struct authd_conn *c, const struct auth_msg *m, const struct sasl_mech *mech)
{
    (void)mech;
    world.attempt = (struct attempt){.id = m->id, .conn = c};
    hash_put(c->attempts, key(), &world.attempt);
    c->nrunning++;
    world.attempt.task = task_start("attempt", attempt, c);
}

bool attempt_respond(struct attempt *a, struct str base64)
{
    (void)a;
    (void)base64;
    return false;
}

void attempt_cancel(struct attempt *a)
{
    hash_drop(a->conn->attempts, key());
    task_cancel(a->task);
}

bool session_exchange(struct authd_conn *c, const struct auth_msg *m)
{
    (void)c;
    (void)m;
    return false;
}

bool session_redeem(struct authd_conn *c, const struct auth_msg *m)
{
    return session_exchange(c, m);
}

void stamp_keep(const char *stamp, pid_t client, int64_t now)
{
    (void)stamp;
    (void)client;
    (void)now;
}

bool service_may_ask(const struct stream *client, const char *request)
{
    (void)client;
    (void)request;
    return true;
}

bool service_draining(void)
{
    return false;
}

/* ---- */

static void serve(void *arg)
{
    struct stream *s = stream_new(*(int *)arg);

    conn_session(s);
    stream_free(&s);
    world.conn_ended = true;
}

static struct task *start_conn(int *fds)
{
    static const char hello[] = "VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\n";

    conf.auth_mechanisms = "PLAIN";
    conf.auth_answer_limit = 10000;
    conf.auth_request_limit = 10;
    conn_open();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(send(fds[1], hello, sizeof hello - 1, 0), sizeof hello - 1);
    struct task *t = task_start("connection", serve, fds);
    while (world.attempt.task == NULL)
        task_yield();
    return t;
}

static void cancel_conn(void *arg)
{
    enum { NAPS = 20, NAP_MS = 5 };
    int fds[2];
    struct task *conn = start_conn(fds);

    (void)arg;
    task_cancel(conn);
    task_on_turn(count_turn);
    for (int i = 0; i < NAPS; i++)
        task_sleep(task_now() + NAP_MS);
    assert_false(world.conn_ended); /* the attempt has a pointer to it */
    assert_in_range(world.turns, NAPS, NAPS * 5);
    world.may_end = true;
    task_wake(world.attempt.task);
    while (!world.conn_ended)
        task_yield();
    close(fds[1]);
}

TEST(a_cancelled_connection_sleeps_until_its_attempts_have_ended)
{
    mini_run(cancel_conn, NULL);
}

RUN_TESTS(T(a_cancelled_connection_sleeps_until_its_attempts_have_ended))
