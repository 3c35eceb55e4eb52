/*
 * Slow hashes are computed by helper processes (service/helper.h) without any right, so that the
 * loop never stands still.
 */
#include "auth/auth_question.h"
#include "auth/password.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/helper.h"
#include "task/task.h"

#include "authd.h"

static struct {
    struct helper_job job;
    struct helper *helper;
} state;

/* In the helper. The answer is a digit, an enum password_answer, and the problem if there is one.
 */
static void judge(struct str ask, struct buf *answer, int *fd)
{
    struct auth_question q;
    struct why why = WHY;

    (void)fd;
    if (!auth_question_parse(ask, &q))
        msg_panic("a malformed question of %zu bytes", ask.n);
    int result =
        (int)password_check(q.user, q.plain, q.stored, conf.auth_default_pass_scheme, &why);
    buf_addf(answer, "%d", result);
    if (result == PASSWORD_UNKNOWN)
        buf_addf(answer, "%.500s", why_text(&why));
    why_free(&why);
}

/* What libraries load when they are first used they load now. */
static void load_libraries(void)
{
    password_check(STR("x"), STR("x"),
                   STR("{PBKDF2}$1$x$1$0000000000000000000000000000000000000000"), "CRYPT", NULL);
}

void workers_start(void)
{
    state.job = (struct helper_job){.name = "password workers",
                                    .count = (int)conf.auth_worker_max_count,
                                    .queue_limit = (int)conf.auth_worker_queue_limit,
                                    .user = conf.mail_owner,
                                    .start = load_libraries,
                                    .serve = judge};
    state.helper = helper_start(&state.job);
}

void workers_watch(void)
{
    helper_watch(state.helper);
}

/* -1: not one of ours. */
static int parse_answer(const struct buf *answer, struct why *why)
{
    int digit = answer->n > 0 ? answer->p[0] - '0' : -1;

    if (digit < PASSWORD_MATCH || digit > PASSWORD_UNKNOWN)
        return why_set(why, "4.3.0", "a password worker answers nonsense");
    if (digit == PASSWORD_UNKNOWN)
        why_set(why, "4.3.5", "%s", answer->p + 1);
    return digit;
}

int workers_check(struct str user, struct str plain, struct str stored, struct why *why)
{
    struct buf ask = BUF(HELPER_MESSAGE_MAX), answer = BUF(HELPER_MESSAGE_MAX);
    int64_t until = task_now() + conf.auth_request_timeout * 1000;
    int result = -1;

    auth_question_format(&(struct auth_question){user, plain, stored}, &ask);
    if (!buf_ok(&ask))
        why_set(why, "4.3.0", "the password is too long to be checked");
    else if (helper_ask(state.helper, buf_str(&ask), until, &answer, NULL, why) == 0)
        result = parse_answer(&answer, why);
    if (ask.room > 0)
        explicit_bzero(ask.p, ask.room);
    buf_free(&ask);
    buf_free(&answer);
    return result;
}
