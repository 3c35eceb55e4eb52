/*
 * One delivery: the request to the agent, and what its answer means for message and destination.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "mail/verp.h"
#include "queue/flush_client.h"
#include "queue/outcome.h"
#include "service/service.h"
#include "task/task.h"

#include "qmgr.h"

/* Refusals are recorded by so many tasks at a time. */
enum { REFUSERS = 8, ATTEMPTS = 2 };

static struct {
    struct list list; /* of entries */
    bool ready;
    size_t tasks;
} refused;

static void count_statuses(struct message *m, const struct delivery_result *r)
{
    for (size_t i = 0; i < r->statuses.n; i++) {
        m->bounced |= r->statuses.p[i] == RCPT_BOUNCED;
        m->traced |= r->statuses.p[i] == RCPT_TRACED;
        m->deferred |= r->statuses.p[i] == RCPT_DEFERRED;
    }
}

/* (waits) For ETRN: flush is told of each domain once. */
static void note_deferred(const struct entry *e, const struct delivery_result *r)
{
    const char *last = NULL;

    if (service_draining()) /* a stop has cut it short: it is tried again at the next start */
        return;
    if ((e->message->d.flags & DELIVERY_PROBE) != 0 ||
        transport_service(conf.flush_service_name) == NULL)
        return;
    for (size_t i = 0; i < e->nrcpts && i < r->statuses.n; i++) {
        const char *address = e->rcpts[i].address;
        if (r->statuses.p[i] != RCPT_DEFERRED ||
            (last != NULL && str_ieq(path_domain(strz(last)), path_domain(strz(address)))))
            continue;
        flush_add(address, e->message->d.queue_id);
        last = address;
    }
}

/* Of a message with VERP senders an entry has one recipient. An address too long for that goes with
 * the plain sender, who is told of the failure. */
static const char *sender_for(const struct entry *e)
{
    const struct delivery *d = &e->message->d;
    struct buf sender = BUF(REC_MAX);
    const char *out = d->sender;

    if (*d->verp == 0 || *d->sender == 0 || e->nrcpts != 1)
        return out;
    const struct rcpt *r = &e->rcpts[0];
    verp_sender(strz(d->sender), strz(*r->original != 0 ? r->original : r->address), d->verp,
                &sender);
    if (buf_ok(&sender))
        out = arena_strz(e->message->batch, buf_str(&sender));
    buf_free(&sender);
    return out;
}

static void qmgr_deliver_fill(const struct entry *e, struct delivery *d)
{
    *d = e->message->d;
    d->queue = Q_ACTIVE;
    d->sender = sender_for(e);
    d->verp = "";
    d->rcpts = e->rcpts;
    d->nrcpts = e->nrcpts;
}

/* The socket of a service that master.cf does not have is not there: no use to wait for it. */
static bool service_exists(const struct transport *t)
{
    /* fits: or is left out whole, and "" names no socket */
    struct buf path = BUF(512);
    struct stat st;

    buf_addf(&path, "private/%s", t->name);
    bool exists = stat(path.p, &st) == 0 || errno != ENOENT;
    buf_free(&path);
    return exists;
}

/* The agent gets the file open: it need not reach the queue, and can deliver no other message. */
static int ask_with_file(struct transport *t, const struct delivery *d, int fd,
                         struct delivery_result *r, struct why *why)
{
    struct attrs ask = ATTRS(DELIVERY_MAX), answer = ATTRS(DELIVERY_MAX);

    attrs_putz(&ask, A_REQUEST, REQUEST_DELIVER);
    delivery_encode(d, &ask);
    attrs_put_fd(&ask, fd);
    int result =
        channel_call(t->channel, &ask, &answer, task_now() + conf.daemon_timeout * 1000, why);
    if (result == 0) {
        delivery_result_free(r);
        result = delivery_read_answer(&answer, r, d->nrcpts);
        if (result < 0)
            why_set(why, "4.3.0", "malformed answer from transport %s", t->name);
    }
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

static void put_off(const struct delivery *d, struct delivery_result *r, const struct why *why)
{
    struct outcome o = {.d = d, .relay = "none", .begin_us = clock_wall_us(), .result = r};

    for (size_t i = 0; i < d->nrcpts; i++)
        outcome_failed(&o, i, why);
}

/* Of a message that cannot be opened all recipients come later. Of one that is gone nothing is
 * said: the administrator's tools, which may take it away at any time, have said it. */
static int ask_agent(struct transport *t, const struct delivery *d, struct delivery_result *r,
                     struct why *why)
{
    delivery_result_start(r, d->nrcpts);
    if (!t->answers && !service_exists(t))
        return why_set(why, "4.3.0", "unknown mail transport: %s", t->name);
    int fd = qfile_open_to_pass(d->queue_id, why);
    bool gone = fd < 0 && errno == ENOENT;
    if (fd >= 0)
        return ask_with_file(t, d, fd, r, why);
    msg_warn("%s: %s", d->queue_id, why_text(why));
    if (!gone)
        put_off(d, r, why);
    why_clear(why);
    return 0;
}

static void end_entry(struct entry *e)
{
    struct dest *d = e->peer->dest;
    struct message *m = e->message;

    d->busy--;
    dest_delay(d);
    dest_update(d);
    message_release(m);
}

/* What the agent had done before it died is marked in the file: nobody gets it twice, and what was
 * recorded is reported. Whose mark cannot be read now is left to the next attempt. */
static void drop_done(struct entry *e)
{
    struct message *m = e->message;
    struct why why = WHY;
    struct qfile *f = qfile_open(Q_ACTIVE, m->d.queue_id, QFILE_READ, &why);
    size_t left = 0;

    for (size_t i = 0; i < e->nrcpts; i++) {
        int done = f == NULL ? -1 : qfile_is_done(f, e->rcpts[i].at, &why);
        if (done == 0)
            e->rcpts[left++] = e->rcpts[i];
        else if (done < 0)
            msg_warn("%s: to=<%s>: whether the transport was done is seen later: %s", m->d.queue_id,
                     e->rcpts[i].address, why_text(&why));
        m->deferred |= done < 0;
    }
    qfile_close(&f);
    why_free(&why);
    if (left == e->nrcpts)
        return;
    e->nrcpts = left;
    m->bounced |= queue_may_have(Q_BOUNCE, m->d.queue_id);
    m->traced |= queue_may_have(Q_TRACE, m->d.queue_id);
}

/* An agent that died may have done its work or not. Once it is asked again at once; a second time
 * means that the program is broken: leave it alone for a while. */
static void agent_died(struct transport *t, struct entry *e, const struct why *why)
{
    struct dest *d = e->peer->dest;

    t->answers = false;
    drop_done(e);
    if (e->nrcpts == 0) {
        msg_warn("%s: transport %s: %s", e->message->d.queue_id, t->name, why_text(why));
        end_entry(e);
        return;
    }
    e->attempts++;
    job_requeue(e);
    if (e->attempts >= ATTEMPTS || !service_exists(t))
        transport_fail(t, why);
    else
        msg_warn("%s: transport %s: %s", e->message->d.queue_id, t->name, why_text(why));
    d->busy--; /* not before: it keeps the destination */
    dest_update(d);
}

/* The destination may have gone meanwhile. Only what ends a recipient must be marked in the file.
 */
static void qmgr_deliver_refuse(struct entry *e)
{
    struct delivery d;
    struct delivery_result result;
    struct why why = WHY;
    int64_t now = clock_wall_us();

    qmgr_deliver_fill(e, &d);
    delivery_result_start(&result, d.nrcpts);
    struct outcome o = {.d = &d, .relay = "none", .begin_us = now, .result = &result};
    if (e->code[0] != '4')
        o.file = qfile_open(Q_ACTIVE, d.queue_id, QFILE_DELIVER, NULL);
    why_set(&why, e->code, "%s", e->text);
    for (size_t i = 0; i < d.nrcpts; i++)
        if (e->code[0] == '2')
            outcome_sent(&o, i, e->code, e->text);
        else
            outcome_failed(&o, i, &why);
    count_statuses(e->message, &result);
    note_deferred(e, &result);
    qfile_close(&o.file);
    delivery_result_free(&result);
    why_free(&why);
}

/* Since it was assigned; no agent is asked, and that says nothing of the destination. */
static bool is_over(struct entry *e)
{
    if (!deliver_by_is_over(&e->message->d.by, clock_wall()))
        return false;
    e->code = DELIVER_BY_OVER;
    e->text = deliver_by_over;
    qmgr_deliver_refuse(e);
    if (!task_is_cancelled())
        end_entry(e);
    return true;
}

void deliver_entry(struct transport *t, struct entry *e)
{
    struct delivery d;
    struct delivery_result result;
    struct why why = WHY;

    if (is_over(e))
        return;
    qmgr_deliver_fill(e, &d);
    d.nexthop = e->peer->dest->nexthop;
    int answered = ask_agent(t, &d, &result, &why);
    if (task_is_cancelled()) {
        /* The process ends; the file stays in active, where the next one finds it. */
    } else if (answered < 0) {
        agent_died(t, e, &why);
    } else {
        struct dest *dest = e->peer->dest;
        t->answers = true;
        count_statuses(e->message, &result);
        if (!result.site_failed)
            feedback_success(dest);
        else if (feedback_failure(dest))
            dest_throttle(dest, &result.why);
        else
            dest_note_failure(dest);
        note_deferred(e, &result);
        end_entry(e);
    }
    delivery_result_free(&result);
    why_free(&why);
}

static void refuser(void *arg)
{
    (void)arg;
    while (!list_empty(&refused.list) && !task_is_cancelled()) {
        struct entry *e = LIST_OF(refused.list.next, struct entry, link);
        list_drop(&e->link);
        qmgr_deliver_refuse(e);
        if (task_is_cancelled())
            break;
        message_release(e->message);
    }
    refused.tasks--;
}

bool deliver_refused_idle(void)
{
    return refused.tasks == 0;
}

void deliver_refuse(struct entry *e, const char *code, const char *text)
{
    if (!refused.ready) {
        list_init(&refused.list);
        refused.ready = true;
    }
    e->code = arena_strz(e->message->batch, (struct str){code, strlen(code)});
    e->text = arena_strz(e->message->batch, (struct str){text, strlen(text)});
    list_add(&refused.list, &e->link);
    if (refused.tasks < REFUSERS) {
        refused.tasks++;
        task_start("refuse", refuser, NULL);
    }
}

void deliver_refuse_all(struct dest *d, const char *code, const char *text)
{
    while (!list_empty(&d->peers)) {
        struct peer *p = LIST_OF(d->peers.next, struct peer, in_dest);
        LIST_EACH (&p->todo, l) {
            list_drop(l);
            p->job->given++;
            deliver_refuse(LIST_OF(l, struct entry, link), code, text);
        }
        dest_drop_peer(d, p);
    }
}
