/*
 * The end of a delivery attempt: reports, then away with the file or back to the deferred queue.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "queue/bounce_log.h"
#include "task/task.h"

#include "qmgr.h"

/* The longer it has waited, the longer it waits: as its age, between the two bounds. */
int64_t message_backoff_s(const struct message *m)
{
    int64_t age = clock_wall() - delivery_begins_s(&m->d);

    if (age < conf.minimal_backoff_time)
        return conf.minimal_backoff_time;
    return age > conf.maximal_backoff_time ? conf.maximal_backoff_time : age;
}

static bool is_expired(const struct message *m)
{
    int64_t lifetime = *m->d.sender == 0 ? conf.bounce_queue_lifetime : conf.maximal_queue_lifetime;

    return m->expired_by_force || clock_wall() - delivery_begins_s(&m->d) >= lifetime;
}

static bool is_warning_due(const struct message *m)
{
    return m->d.warn_at_s > 0 && *m->d.sender != 0 && m->d.warn_at_s <= clock_wall();
}

static int report(const struct message *m, enum queue log, const char *request)
{
    struct why why = WHY;
    int result = bounce_report(log, request, &m->d, NULL, &why);

    if (result < 0 && !task_is_cancelled())
        msg_warn("%s: %s service failure: %s", m->d.queue_id, queue_name(log), why_text(&why));
    why_free(&why);
    return result;
}

/* Nobody is warned twice. */
static void forget_warning(const struct message *m)
{
    struct qfile *f = qfile_open(Q_ACTIVE, m->d.queue_id, QFILE_DELIVER, NULL);

    if (f == NULL || qfile_mark_warned(f, m->d.warn_record, NULL) < 0)
        msg_warn("%s: cannot note in the queue file that its sender was warned", m->d.queue_id);
    qfile_close(&f);
}

/* Nor told twice what was asked with sendmail -v: the next attempts are nobody's wish. */
static void forget_trace(struct message *m)
{
    struct qfile *f = qfile_open(Q_ACTIVE, m->d.queue_id, QFILE_DELIVER, NULL);
    struct str body;
    enum rec type = REC_EOF;

    while (f != NULL && (type = qfile_next(f, &body)) > 0 && type != REC_MESG && type != REC_END)
        if (type == REC_ATTR && str_starts(body, STR("trace_flags=")))
            qfile_kill(f, qfile_at(f), REC_ATTR, NULL);
    qfile_close(&f);
    m->d.flags &= DELIVERY_DELAY_SAID;
}

/* Cut, so that the rest of the line is seen. */
enum { SENDER_SHOWN = 500 };

static void log_expired(const struct message *m)
{
    struct buf sender = BUF_TEXT(SENDER_SHOWN);

    path_quote(strz(m->d.sender), &sender);
    msg_info("%s: from=<%s>, status=%s, returned to sender", m->d.queue_id, sender.p,
             m->expired_by_force ? "force-expired" : "expired");
    buf_free(&sender);
}

/* Everything that needs another process. What cannot be reported is kept: the next attempt finds
 * the log and tries again. */
static void send_reports(struct message *m)
{
    bool kept = false;

    if (m->bounced && report(m, Q_BOUNCE, REQUEST_FLUSH) < 0)
        kept = true;
    if (m->traced && report(m, Q_TRACE, REQUEST_FLUSH) < 0)
        kept = true;
    /* Not if the file is kept anyway: its recipients would be reported as expired and then tried.
     */
    if (m->deferred && !kept && is_expired(m)) {
        log_expired(m);
        if (report(m, Q_DEFER, REQUEST_FLUSH) == 0)
            m->deferred = false;
    } else if (m->deferred && is_warning_due(m)) {
        if (report(m, Q_DEFER, REQUEST_WARN) == 0)
            forget_warning(m);
    }
    m->deferred |= kept;
    if (m->deferred && m->traced && !kept && (m->d.flags & ~(unsigned)DELIVERY_DELAY_SAID) != 0)
        forget_trace(m);
}

/* The next attempt, as a wall clock time. At the time of DELIVERBY there is something to do. */
static int64_t next_attempt(const struct message *m)
{
    int64_t now = clock_wall(), by = m->d.by.s;
    /* A flush that came while it was tried means it, too. */
    bool again = qmgr_flushed_since(m->d.active_us) || deliver_by_is_over(&m->d.by, now);
    int64_t due = again ? now : now + message_backoff_s(m);

    return by > now && by < due ? by : due;
}

/* False: not now. */
static bool defer_file(const struct message *m)
{
    struct buf path = BUF(512);
    struct why why = WHY;
    time_t due = next_attempt(m);
    struct timespec at[2] = {{.tv_sec = due}, {.tv_sec = due}};

    queue_path(&path, Q_ACTIVE, m->d.queue_id);
    if (utimensat(AT_FDCWD, path.p, at, 0) < 0 && errno != ENOENT)
        msg_warn("%s: set time: %m", path.p);
    bool done = queue_move(m->d.queue_id, Q_ACTIVE, Q_DEFERRED, &why) == 0 || errno == ENOENT;
    if (!done)
        msg_warn("%s: %s", m->d.queue_id, why_text(&why));
    if (qmgr_flushed_since(m->d.active_us))
        scan_request(Q_DEFERRED, false);
    buf_free(&path);
    why_free(&why);
    return done;
}

/* False: not now. */
static bool remove_file(const struct message *m)
{
    struct why why = WHY;
    bool removed = queue_remove(Q_ACTIVE, m->d.queue_id, &why) == 0;
    bool done = removed || errno == ENOENT; /* gone: the administrator has deleted or held it */

    if (removed)
        msg_info("%s: removed", m->d.queue_id);
    if (!done)
        msg_warn("%s: %s", m->d.queue_id, why_text(&why));
    why_free(&why);
    return done;
}

static bool try_end(struct message *m)
{
    if (m->deferred ? !defer_file(m) : !remove_file(m))
        return false;
    qmgr_drop(m);
    scan_room();
    return true;
}

/* Files that could not be moved or removed, since the disk is full or read-only. Nobody looks into
 * the active queue for them, so they are tried again here; other processes find them when they
 * start. */
static struct {
    VEC(struct message *) all;
    struct task *task;
} stuck;

static void unstick(void *arg)
{
    (void)arg;
    while (stuck.all.n > 0 &&
           task_sleep(task_now() + conf.transport_retry_time * 1000) != WAIT_CANCELLED) {
        size_t left = 0;
        for (size_t i = 0; i < stuck.all.n; i++)
            if (!try_end(stuck.all.at[i]))
                stuck.all.at[left++] = stuck.all.at[i];
        stuck.all.n = left;
    }
    stuck.task = NULL;
}

static void end(struct message *m)
{
    if (try_end(m))
        return;
    *VEC_ADD(&stuck.all) = m;
    if (stuck.task == NULL)
        stuck.task = task_start("unstick", unstick, NULL);
}

static struct {
    size_t tasks;
} reports;

static void report_task(void *arg)
{
    struct message *m = arg;

    send_reports(m);
    if (!task_is_cancelled())
        end(m);
    reports.tasks--;
}

bool message_reports_idle(void)
{
    return reports.tasks == 0;
}

void message_done(struct message *m)
{
    /* Of an alias some members may have failed and others wait: then it counts as put off. */
    if (m->deferred && !m->bounced)
        m->bounced = queue_may_have(Q_BOUNCE, m->d.queue_id);
    /* A record may be about a recipient that bounced or was put off, too: with sendmail -v, and of
     * an alias that reached some of its members only. */
    if (!m->traced && (m->bounced || (m->d.flags & DELIVERY_REPORT) != 0))
        m->traced = queue_may_have(Q_TRACE, m->d.queue_id);
    bool waits = m->bounced || m->traced || (m->deferred && (is_expired(m) || is_warning_due(m)));

    if (!waits) {
        end(m);
        return;
    }
    reports.tasks++;
    task_start("report", report_task, m);
}
