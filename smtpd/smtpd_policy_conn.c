/*
 * Connections to policy services: kept for the next question, given up when they are old or broken.
 * Whatever a service does, an answer or none is there in its time: a deadline holds for connecting,
 * and another one from the question to the last line.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/msg.h"
#include "conf/conf.h"
#include "net/dns.h"
#include "net/stream.h"
#include "task/task.h"

#include "smtpd_policy.h"

struct policy_conn {
    struct list link; /* in policy_service.idle */
    struct policy_conn *next; /* of the same session */
    struct policy_service *service;
    struct stream *stream;
    int64_t born, idle_since, requests;
};

static int64_t either(int64_t own, int64_t of_all)
{
    return own >= 0 ? own : of_all;
}

static void drop(struct policy_conn *c)
{
    list_drop(&c->link);
    stream_abort(&c->stream);
    free(c);
}

/* ---- connections of nobody ---- */

/* The task that closes them when their time has come. */
static struct {
    struct task *task; /* null: there is none */
    int64_t due; /* when the first of them must go; 0: there is none */
} reaper;

static int64_t due_of(const struct policy_conn *c)
{
    return c->idle_since + either(c->service->max_idle, conf.smtpd_policy_service_max_idle) * 1000;
}

static void reap_service(struct policy_service *p)
{
    LIST_EACH (&p->idle, l) {
        struct policy_conn *c = LIST_OF(l, struct policy_conn, link);
        int64_t due = due_of(c);
        if (due <= task_now())
            drop(c);
        else if (reaper.due == 0 || due < reaper.due)
            reaper.due = due;
    }
}

static void drop_idle(struct policy_service *p)
{
    LIST_EACH (&p->idle, l)
        drop(LIST_OF(l, struct policy_conn, link));
}

static void reap(void *arg)
{
    (void)arg;
    do {
        reaper.due = 0;
        smtpd_policy_each(reap_service);
    } while (reaper.due != 0 && task_park(reaper.due) != WAIT_CANCELLED);
    if (task_is_cancelled())
        smtpd_policy_each(drop_idle);
    reaper.task = NULL;
}

static void keep_idle(struct policy_conn *c)
{
    c->idle_since = task_now();
    stream_set_deadline(c->stream, 0);
    list_push(&c->service->idle, &c->link);
    if (reaper.task == NULL)
        reaper.task = task_start("policy", reap, NULL);
    else if (due_of(c) < reaper.due)
        task_wake(reaper.task);
}

/* Nothing may have come since the last reply: it would be taken for the next one. And a service
 * that has ended has closed its connections. */
static bool is_quiet(struct policy_conn *c)
{
    char byte;

    return stream_ahead(c->stream) == 0 &&
           recv(stream_fd(c->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EINTR);
}

static bool is_worn(const struct policy_conn *c)
{
    const struct policy_service *p = c->service;
    int64_t most = either(p->request_limit, conf.smtpd_policy_service_request_limit);
    int64_t life = either(p->max_ttl, conf.smtpd_policy_service_max_ttl) * 1000;

    return (most > 0 && c->requests >= most) || task_now() - c->born >= life;
}

/* ---- a new one ---- */

static struct policy_conn *new_conn(struct policy_service *p, int64_t deadline, struct why *why)
{
    int fd = endpoint_connect(&p->at, dns_families(conf.inet_protocols), deadline, why);

    if (fd < 0)
        return NULL;
    struct policy_conn *c = mem_new(sizeof *c);
    list_init(&c->link);
    c->service = p;
    c->stream = stream_new(fd);
    c->born = task_now();
    return c;
}

/* ---- of a session ---- */

/* That of the message, or one that nobody has; null: none of these. */
static struct policy_conn *take(struct smtpd *s, struct policy_service *p)
{
    for (struct policy_conn **c = &s->policies; *c != NULL; c = &(*c)->next)
        if ((*c)->service == p) {
            struct policy_conn *own = *c;
            *c = own->next;
            own->next = NULL;
            list_push(&p->idle, &own->link);
            break;
        }
    while (!list_empty(&p->idle)) {
        struct policy_conn *c = LIST_OF(p->idle.next, struct policy_conn, link);
        list_drop(&c->link);
        if (is_quiet(c))
            return c;
        drop(c);
    }
    return NULL;
}

static void give_back(struct smtpd *s, struct policy_conn *c)
{
    if (is_worn(c)) {
        drop(c);
    } else if (s->mail != NULL) {
        c->next = s->policies;
        s->policies = c;
    } else {
        keep_idle(c);
    }
}

void smtpd_policy_release(struct smtpd *s)
{
    while (s->policies != NULL) {
        struct policy_conn *c = s->policies;
        s->policies = c->next;
        c->next = NULL;
        if (is_worn(c))
            drop(c);
        else
            keep_idle(c);
    }
}

/* ---- asking ---- */

/* -1: why, and the connection is of no use any more. */
static int converse(struct policy_conn *c, struct str request, int64_t limit_ms,
                    struct policy_reply *reply, struct why *why)
{
    struct buf line = BUF(reply->action.max); /* asked: LINE_TOO_LONG */
    enum policy_line what = POLICY_MORE;

    policy_reply_clear(reply);
    stream_set_deadline(c->stream, task_now() + limit_ms);
    stream_put(c->stream, request);
    while (what == POLICY_MORE) {
        buf_clear(&line);
        enum line end = stream_line_within(c->stream, &line);
        if (end == LINE_NONE || end == LINE_TOO_LONG) {
            why_set(why, "4.3.0", "%s",
                    end == LINE_NONE ? stream_error(c->stream) : "the reply is too long");
            what = POLICY_WRONG;
        } else {
            what = policy_reply_line(reply, buf_str(&line), why);
        }
    }
    c->requests++;
    buf_free(&line);
    return what == POLICY_DONE ? 0 : -1;
}

/* A connection that was kept may have been closed by a service that has ended, or keeps none: that
 * is no failure, and shows before anything of the reply has come. */
static bool was_stale(const struct policy_conn *c, const struct policy_reply *reply)
{
    return c->requests > 1 && reply->bytes == 0 && stream_state(c->stream) != STREAM_TIMEOUT &&
           stream_state(c->stream) != STREAM_CANCELLED;
}

static int try_once(struct smtpd *s, struct policy_service *p, struct str request,
                    struct policy_reply *reply, struct why *why)
{
    int64_t limit = either(p->timeout, conf.smtpd_policy_service_timeout) * 1000;
    struct policy_conn *c = take(s, p);
    int result = -1;

    if (c != NULL && (result = converse(c, request, limit, reply, why)) < 0) {
        bool stale = was_stale(c, reply);
        drop(c);
        if (!stale)
            return -1;
        c = NULL;
    }
    if (c == NULL) {
        c = new_conn(p, task_now() + limit, why);
        if (c == NULL)
            return -1;
        result = converse(c, request, limit, reply, why);
    }
    if (result < 0)
        drop(c);
    else
        give_back(s, c);
    return result;
}

int smtpd_policy_ask(struct smtpd *s, struct policy_service *p, struct str request,
                     struct policy_reply *reply)
{
    int64_t most = either(p->try_limit, conf.smtpd_policy_service_try_limit);
    int64_t delay_ms = either(p->retry_delay, conf.smtpd_policy_service_retry_delay) * 1000;
    struct why why = WHY;
    int result = -1;

    for (int64_t n = 1; result < 0; n++) {
        result = try_once(s, p, request, reply, &why);
        if (result < 0 && !task_is_cancelled())
            msg_warn("problem talking to server %s: %s", p->name, why_text(&why));
        if (result < 0 && (n >= most || task_sleep(task_now() + delay_ms) == WAIT_CANCELLED))
            break;
    }
    why_free(&why);
    return result;
}
