#include "service/runner.h"

#include <errno.h>

#include "base/str.h"
#include "service/helper.h"
#include "service/runner_wire.h"
#include "task/task.h"

/* Each has a task of the service, of which there are fewer. */
enum { COMMANDS_MOST = 100000 };

static struct {
    struct helper *helper;
    bool watched;
    void (*lost)(void);
} runner;

static void lost(void)
{
    if (runner.lost != NULL)
        runner.lost();
}

static const struct helper_job job = {
    .name = "command helper", .queue_limit = COMMANDS_MOST, .loop = runner_helper, .lost = lost};

void runner_on_loss(void (*fn)(void))
{
    runner.lost = fn;
}

void runner_start(void)
{
    runner.helper = helper_start(&job);
}

void runner_stop(void)
{
    helper_free(&runner.helper);
    runner.watched = false;
}

static uint32_t add_texts(struct buf *b, const char *const *texts)
{
    uint32_t n = 0;

    for (; texts != NULL && texts[n] != NULL; n++)
        buf_add(b, (struct str){texts[n], strlen(texts[n]) + 1});
    return n;
}

static struct str bytes_of(const struct runner_ask *ask)
{
    return (struct str){(const char *)ask, sizeof *ask};
}

static int send_start(struct helper_question *q, const struct run *r, struct why *why)
{
    struct runner_ask ask = {.what = RUNNER_START, .uid = r->uid, .gid = r->gid};
    struct buf message = BUF(RUNNER_MESSAGE);
    const int fds[HELPER_FDS] = {r->in, r->out};
    int result = -1;

    /* What is -1 is not sent: the helper opens /dev/null, which the jail cannot. */
    ask.has = (r->in >= 0 ? 1u : 0) | (r->out >= 0 ? 2u : 0);
    buf_add(&message, bytes_of(&ask));
    ask.nargs = add_texts(&message, r->argv);
    ask.nenv = add_texts(&message, r->env);
    add_texts(&message, (const char *const[]){r->dir != NULL ? r->dir : "/",
                                              r->root != NULL ? r->root : "/", NULL});
    if (!buf_ok(&message) || ask.nargs == 0) {
        why_set(why, "4.3.5", "command line of %s is too long",
                ask.nargs > 0 ? r->argv[0] : "nothing");
    } else {
        memcpy(message.p, &ask, sizeof ask);
        result = helper_send(runner.helper, q, buf_str(&message), fds, why);
    }
    buf_free(&message);
    return result;
}

/* Until the answer; a command that was killed has one too, at once. If this task is cancelled, the
 * process ends, and the helper with all commands. */
static bool wait_for(struct helper_question *q, int64_t deadline_ms)
{
    struct runner_ask ask = {.what = RUNNER_KILL};

    if (helper_wait(q, deadline_ms) || q->lost)
        return true;
    helper_add(runner.helper, q, bytes_of(&ask));
    helper_wait(q, 0);
    return false;
}

int runner_run(const struct run *r, int *status, struct why *why)
{
    struct buf text = BUF(sizeof(struct runner_answer)); /* fits: or it is none */
    struct helper_question q = {.answer = &text};
    struct runner_answer answer = {.error = EPIPE};

    if (runner.helper == NULL)
        return why_set(why, "4.3.5", "this process may not run commands");
    if (!runner.watched)
        helper_watch(runner.helper);
    runner.watched = true;
    if (send_start(&q, r, why) < 0)
        return -1;
    bool in_time = wait_for(&q, r->deadline_ms);
    helper_drop(runner.helper, &q);
    if (q.answered && text.n == sizeof answer)
        memcpy(&answer, text.p, sizeof answer);
    buf_free(&text);
    if (!in_time)
        return why_set(why, "4.3.0", "Command time limit exceeded: \"%s\"", r->argv[0]);
    if (answer.error != 0)
        return why_set(why, "4.3.0", "cannot run %s: %s", r->argv[0], strerror(answer.error));
    *status = answer.status;
    return 0;
}
