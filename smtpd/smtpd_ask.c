/*
 * Questions to the DNS of one command that are asked side by side: whoever will want to know an
 * address soon asks without waiting, and waits for the answer when it is needed. So four block
 * lists cost the time of the slowest of them, and each name is asked once a command.
 */
#include "conf/conf.h"
#include "net/dns_ask.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_check.h"

struct smtpd_question {
    struct smtpd_question *next;
    const char *name;
    struct dns_question *asked; /* null: answered */
    struct dns_answer answer;
    struct why why;
};

static struct smtpd_question *find(const struct smtpd *s, const char *name)
{
    struct smtpd_question *q = s->questions;

    while (q != NULL && strcasecmp(q->name, name) != 0)
        q = q->next;
    return q;
}

static struct smtpd_question *ask(struct smtpd *s, const char *name)
{
    struct smtpd_question *q;

    if (s->questions == NULL)
        s->question_mem = arena_new(s->mem);
    q = arena_alloc(s->question_mem, sizeof *q);
    *q = (struct smtpd_question){.next = s->questions, .why = WHY};
    q->name = arena_strz(s->question_mem, strz(name));
    q->asked = dns_begin(name, DNS_A);
    s->questions = q;
    return q;
}

void smtpd_ask(struct smtpd *s, const char *name)
{
    if (find(s, name) == NULL)
        ask(s, name);
}

const struct dns_answer *smtpd_answer(struct smtpd *s, const char *name, struct why *why)
{
    struct smtpd_question *q = find(s, name);
    int64_t deadline = task_now() + conf.smtpd_timeout * 1000;

    if (q == NULL)
        q = ask(s, name);
    if (q->asked != NULL) {
        dns_await(&q->asked, s->question_mem, deadline, &q->answer, &q->why);
        dns_filter(&q->answer, name, &q->why);
    }
    why_copy(why, &q->why);
    return &q->answer;
}

void smtpd_forget_questions(struct smtpd *s)
{
    for (struct smtpd_question *q = s->questions; q != NULL; q = q->next) {
        dns_drop(&q->asked);
        why_free(&q->why);
    }
    s->questions = NULL;
    arena_free(&s->question_mem);
}
