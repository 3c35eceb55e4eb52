/*
 * Messages: how they come into the active queue, and their recipients batch by batch.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "mail/path.h"
#include "service/service.h"

#include "qmgr.h"

/* postsuper -e marks a file that is to be returned at its next delivery attempt, and postsuper -f
 * one whose bounce must not wait, with this mode bit, as Postfix does. */
enum { MODE_EXPIRE = 0010 };

static struct message *new_message(void)
{
    struct message *m = mem_new(sizeof *m);

    m->mem = arena_new(NULL);
    m->batch = arena_new(m->mem);
    list_init(&m->link);
    list_init(&m->jobs);
    return m;
}

static void discard(struct message *m)
{
    arena_free(&m->mem);
    free(m);
}

/* The recipients have been read; from here on the message is ours. */
static void qmgr_message_begin(struct message *m, struct rcpt *rcpts, size_t n)
{
    m->pending = 1;
    m->nrcpts = n;
    qmgr_count_rcpts((ptrdiff_t)n);
    message_assign(m, rcpts, n);
    message_release(m);
}

static void log_active(const struct message *m, int64_t nrcpt)
{
    struct buf sender = BUF_TEXT(500); /* the rest of the line is to be seen */

    path_quote(strz(m->d.sender), &sender);
    msg_info("%s: from=<%s>, size=%lld, nrcpt=%lld (queue active)", m->d.queue_id, sender.p,
             (long long)m->d.content_size, (long long)nrcpt);
    buf_free(&sender);
}

static void take_announced(struct message *m)
{
    struct rcpt *rcpts = m->d.rcpts;
    size_t n = m->d.nrcpts;

    m->d.rcpts = NULL;
    m->d.nrcpts = 0;
    m->d.queue = Q_ACTIVE;
    m->d.active_us = clock_wall_us();
    if (m->d.created_s == 0)
        m->d.created_s = clock_wall();
    log_active(m, (int64_t)n);
    qmgr_add(m);
    qmgr_message_begin(m, rcpts, n);
}

/* Out of the active queue. What cannot be moved now is found again: qmgr_recover_active. */
static void leave_active(const char *id, enum queue to)
{
    struct why why = WHY;

    if (queue_move(id, Q_ACTIVE, to, &why) < 0 && errno != ENOENT) {
        msg_warn("%s: %s", id, why_text(&why));
        qmgr_left_behind();
    }
    why_free(&why);
}

/* To the deferred queue until due_s, a wall clock time. */
static void put_back_until(const char *id, int64_t due_s)
{
    struct buf path = BUF(512);
    struct timespec at[2] = {{.tv_sec = due_s}, {.tv_sec = due_s}};

    queue_path(&path, Q_ACTIVE, id);
    utimensat(AT_FDCWD, path.p, at, 0);
    leave_active(id, Q_DEFERRED);
    buf_free(&path);
}

static void put_back(const char *id)
{
    put_back_until(id, clock_wall() + conf.minimal_backoff_time);
}

/* Whoever sent it wants it to go later (RFC 4865): not even a flush of the queue is reason enough.
 */
static bool is_early(const struct message *m)
{
    return m->d.release_s > clock_wall();
}

static void hold_until_release(const struct message *m)
{
    struct buf when = BUF(100); /* fits: a date */

    date_internet_format(m->d.release_s, &when);
    msg_info("%s: held for future release at %s", m->d.queue_id, when.p);
    put_back_until(m->d.queue_id, m->d.release_s);
    buf_free(&when);
}

/* What the disk does not let us read now may be whole: it is looked at again. */
static void move_aside(const char *id, const struct why *why)
{
    bool later = why_later(why);

    msg_warn("%s: %s%s", id, why_text(why), later ? "" : ": moved to the corrupt queue");
    if (later)
        put_back(id);
    else
        leave_active(id, Q_CORRUPT);
}

/* Of the last attempt; also of one that ended with its queue manager, and whose file came back by
 * way of incoming. If they stay they are told once more, but of nobody who is done: see
 * queue/report_source.h. */
static void forget_reasons(const char *id)
{
    struct why why = WHY;

    if (queue_remove(Q_DEFER, id, &why) < 0 && errno != ENOENT && errno != ENOTDIR) {
        msg_warn("%s: %s", id, why_text(&why));
        service_look_at_dirs();
    }
    why_free(&why);
}

/* The file is in active already. Null: it was moved on. */
static struct message *qmgr_message_read_file(const char *id, struct envelope *e)
{
    struct why why = WHY;
    struct message *m = NULL;
    struct qfile *f = qfile_open(Q_ACTIVE, id, QFILE_OWN, &why);

    if (f == NULL) {
        if (errno == EAGAIN)
            msg_info("%s: skipped, still being delivered", id);
        else if (errno != ENOENT)
            msg_warn("%s: %s", id, why_text(&why));
        put_back(id);
        why_free(&why);
        return NULL;
    }
    m = new_message();
    if (envelope_read(f, 0, qmgr_rcpt_room(SIZE_MAX), m->mem, e, &why) < 0 || e->truncated) {
        if (e->truncated)
            why_set(&why, "5.3.0", "queue file has no end");
        move_aside(id, &why);
        discard(m);
        m = NULL;
    } else {
        m->d = e->d;
        m->d.rcpts = NULL;
        m->d.nrcpts = 0;
        m->d.queue = Q_ACTIVE;
        m->d.queue_id = arena_strz(m->mem, strz(id));
        m->d.active_us = clock_wall_us();
        if (m->d.created_s == 0) /* the file does not tell: it has not expired because of that */
            m->d.created_s = qfile_stat(f)->st_mtime;
        m->size = e->size;
        m->next = e->next;
        if (*m->d.redirect != 0 && e->done > 0) {
            /* REDIRECT has one recipient, in the place of the first: that one is done. */
            m->next = 0;
            e->d.nrcpts = 0;
        }
        m->expired_by_force = (qfile_stat(f)->st_mode & MODE_EXPIRE) != 0;
        if (m->expired_by_force && queue_stat(Q_DEFER, id, NULL)) {
            /* Returned with the reason it was put off for: no recipient is tried again. */
            m->deferred = true;
            m->next = 0;
            e->d.nrcpts = 0;
        }
        /* Left by a process that did not come to send the reports. */
        m->bounced = queue_may_have(Q_BOUNCE, id);
        m->traced = queue_may_have(Q_TRACE, id);
        if (!m->expired_by_force)
            forget_reasons(id);
    }
    qfile_close(&f);
    why_free(&why);
    return m;
}

/* Complete, and its time has come? */
static bool is_due(const char *path, bool ignore_time, struct stat *st)
{
    if (lstat(path, st) < 0 || !S_ISREG(st->st_mode))
        return false;
    if (!(st->st_mode & S_IXUSR))
        return false;
    return ignore_time || st->st_mtime <= clock_wall();
}

/* One that would take the place of another message, when it is put off, goes where none is. */
static bool is_second(const char *id, const struct stat *st)
{
    struct why why = WHY;

    if (!queue_is_taken(id, st))
        return false;
    if (queue_move(id, Q_INCOMING, Q_CORRUPT, &why) == 0)
        msg_warn("%s: a second message with this id: moved to the corrupt queue", id);
    else if (errno != ENOENT)
        msg_warn("%s: a second message with this id: %s", id, why_text(&why));
    why_free(&why);
    return true;
}

/* It is in active already. */
static bool take_moved(const char *id)
{
    struct envelope e;
    struct message *m = qmgr_message_read_file(id, &e);

    if (m == NULL)
        return false;
    if (is_early(m) && !m->expired_by_force) {
        hold_until_release(m);
        discard(m);
        return false;
    }
    log_active(m, m->size.rcpts);
    qmgr_add(m);
    qmgr_message_begin(m, e.d.rcpts, e.d.nrcpts);
    return true;
}

bool message_take_file(enum queue from, const char *id, const char *path, bool ignore_time)
{
    struct buf active = BUF(512);
    struct stat st;

    if (qmgr_find(id) != NULL || !is_due(path, ignore_time, &st) ||
        (from == Q_INCOMING && is_second(id, &st)))
        return false;
    queue_path(&active, Q_ACTIVE, id);
    int moved = rename(path, active.p);
    if (moved < 0 && errno == ENOENT && queue_make_dirs(Q_ACTIVE, id, NULL) == 0)
        moved = rename(path, active.p);
    if (moved < 0 && errno != ENOENT) {
        msg_warn("rename %s to %s: %m", path, active.p);
        service_look_at_dirs();
    }
    buf_free(&active);
    return moved == 0 && take_moved(id);
}

/* The envelope is worth what whoever announces it can show: the file, open. What another process
 * says of a file counts for nothing, nor what is said of an unfinished one. */
static bool is_proven(struct attrs *ask, const char *id)
{
    struct stat st;
    int fd = attrs_take_fd(ask);
    bool ours = queue_is_file(Q_INCOMING, id, fd, &st) && (st.st_mode & S_IXUSR) != 0 &&
                !queue_is_taken(id, &st);

    if (fd >= 0)
        close(fd);
    return ours;
}

static void read_announced(const char *id)
{
    struct buf path = BUF(512);

    queue_path(&path, Q_INCOMING, id);
    if (message_take_file(Q_INCOMING, id, path.p, false))
        msg_warn("%s: was announced without the file: its envelope is what the file says", id);
    buf_free(&path);
}

void message_arrived(struct attrs *ask)
{
    struct message *m;
    struct why why = WHY;

    if (!qmgr_room()) {
        scan_request(Q_INCOMING, false);
        return;
    }
    m = new_message();
    if (delivery_decode(ask, (size_t)conf.qmgr_message_recipient_limit, m->mem, &m->d, &why) < 0) {
        msg_warn("announcement of a message: %s", why_text(&why));
        scan_request(Q_INCOMING, false);
        discard(m);
    } else if (qmgr_find(m->d.queue_id) != NULL) {
        discard(m); /* a scan was faster */
    } else if (!is_proven(ask, m->d.queue_id)) {
        read_announced(m->d.queue_id);
        discard(m);
    } else if (queue_move(m->d.queue_id, Q_INCOMING, Q_ACTIVE, &why) < 0) {
        if (errno != ENOENT) { /* else the administrator was faster */
            msg_warn("%s: %s", m->d.queue_id, why_text(&why));
            scan_request(Q_INCOMING, false);
            service_look_at_dirs();
        }
        discard(m);
    } else if (is_early(m)) {
        hold_until_release(m);
        discard(m);
    } else {
        take_announced(m);
    }
    why_free(&why);
}

/* The recipients after those that are done. False: there are none, or the file cannot be read. */
static bool next_batch(struct message *m, size_t transport_room)
{
    struct envelope e = {.size = m->size};
    struct why why = WHY;
    struct qfile *f = qfile_open(Q_ACTIVE, m->d.queue_id, QFILE_READ, &why);
    off_t from = m->next;

    arena_reset(m->batch);
    m->next = 0;
    if (f == NULL ||
        envelope_read(f, from, qmgr_rcpt_room(transport_room), m->batch, &e, &why) < 0) {
        /* The file stays as it is: later, or another process, sees more of it. */
        msg_warn("%s: %s", m->d.queue_id, why_text(&why));
        m->deferred = true;
        e.d.nrcpts = 0;
    }
    qfile_close(&f);
    why_free(&why);
    if (e.d.nrcpts == 0)
        return false;
    m->next = e.next;
    qmgr_message_begin(m, e.d.rcpts, e.d.nrcpts);
    return true;
}

void message_release(struct message *m)
{
    if (--m->pending > 0)
        return;
    size_t room = job_drop_all(m);
    qmgr_count_rcpts(-(ptrdiff_t)m->nrcpts);
    m->nrcpts = 0;
    if (m->next == 0 || !next_batch(m, room))
        message_done(m);
}
