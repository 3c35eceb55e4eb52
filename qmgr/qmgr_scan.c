/*
 * Looking for work in incoming and deferred: after a start, when announcements were missed, and for
 * what is due again.
 */
#include <errno.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qid.h"
#include "service/service.h"
#include "task/task.h"

#include "qmgr.h"

enum { FILES_A_TURN = 32, SITE_RCPTS = 1000 };

struct scanner {
    enum queue queue;
    struct task *task;
    bool wanted, ignore_time; /* of the next walk */
};

static struct scanner scanners[] = {{.queue = Q_INCOMING}, {.queue = Q_DEFERRED}};

/* Two scanners wait for room in turn, so that old mail does not keep new mail out. */
static bool wait_for_room(void)
{
    while (!qmgr_room())
        if (task_park(0) == WAIT_CANCELLED)
            return false;
    return !task_is_cancelled() && !qmgr_draining();
}

/* After a reload with another hash_queue_depth: what the process before us put off meanwhile stands
 * where nobody finds it by its id. One that stands there already, or is active, is another
 * message. */
static void put_in_place(const char *id, const char *path)
{
    struct buf place = BUF(512); /* fits: see queue_path */
    struct why why = WHY;

    queue_path(&place, Q_DEFERRED, id);
    if (strcmp(place.p, path) != 0 && !queue_may_have(Q_DEFERRED, id) &&
        !queue_may_have(Q_ACTIVE, id) && queue_move_found(path, id, Q_DEFERRED, &why) < 0 &&
        errno != ENOENT)
        msg_warn("%s: %s", id, why_text(&why));
    buf_free(&place);
    why_free(&why);
}

static void walk(struct scanner *s)
{
    struct queue_scan *scan = queue_scan_new(s->queue);
    bool ignore_time = s->ignore_time;
    const char *id;
    size_t seen = 0;

    s->wanted = s->ignore_time = false;
    if (s->queue == Q_INCOMING)
        qmgr_recover_active();
    while (wait_for_room() && (id = queue_scan_next(scan)) != NULL) {
        if (!message_take_file(s->queue, id, queue_scan_path(scan), ignore_time) &&
            s->queue == Q_DEFERRED)
            put_in_place(id, queue_scan_path(scan));
        if (++seen % FILES_A_TURN == 0)
            task_yield();
    }
    if (queue_scan_failed(scan)) {
        msg_warn("the %s queue cannot be read to its end: mail waits there", queue_name(s->queue));
        service_look_at_dirs();
    }
    queue_scan_free(&scan);
}

static void scan_task(void *arg)
{
    struct scanner *s = arg;
    int64_t next = 0;

    while (!task_is_cancelled() && !qmgr_draining()) {
        if (s->wanted || task_now() >= next) {
            next = task_now() + conf.queue_run_delay * 1000;
            walk(s);
        } else {
            task_park(next);
        }
    }
    s->task = NULL;
}

void scan_start(void)
{
    for (size_t i = 0; i < sizeof scanners / sizeof *scanners; i++)
        scanners[i].task = task_start("scan", scan_task, &scanners[i]);
}

void scan_request(enum queue q, bool ignore_time)
{
    struct scanner *s = &scanners[q == Q_DEFERRED];

    s->wanted = true;
    s->ignore_time |= ignore_time;
    if (s->task != NULL)
        task_wake(s->task);
}

void scan_room(void)
{
    for (size_t i = 0; i < sizeof scanners / sizeof *scanners; i++)
        if (scanners[i].task != NULL)
            task_wake(scanners[i].task);
}

bool scan_flush_id(const char *id)
{
    static const enum queue places[] = {Q_DEFERRED, Q_INCOMING, Q_COUNT};
    struct buf path = BUF(512);

    if (!qid_valid(strz(id)) || qmgr_find(id) != NULL)
        return false;
    enum queue q = queue_locate(id, places, NULL);
    if (q == Q_COUNT)
        return false;
    queue_path(&path, q, id);
    bool taken = message_take_file(q, id, path.p, true);
    buf_free(&path);
    return taken;
}

static bool has_domain(const char *address, struct str domain)
{
    ptrdiff_t at = str_rfind(strz(address), '@');
    return at >= 0 && str_ieq(str_from(strz(address), (size_t)at + 1), domain);
}

static bool is_for_site(const char *id, struct str domain)
{
    struct arena *mem = arena_new(NULL);
    struct envelope e;
    bool found = false;
    struct qfile *f = qfile_open(Q_DEFERRED, id, QFILE_READ, NULL);

    if (f != NULL && envelope_read(f, 0, SITE_RCPTS, mem, &e, NULL) == 0)
        for (size_t i = 0; i < e.d.nrcpts; i++)
            found |= has_domain(e.d.rcpts[i].address, domain);
    qfile_close(&f);
    arena_free(&mem);
    return found;
}

size_t scan_flush_site(const char *domain)
{
    struct queue_scan *scan = queue_scan_new(Q_DEFERRED);
    const char *id;
    size_t taken = 0, seen = 0;

    while (qmgr_room() && (id = queue_scan_next(scan)) != NULL) {
        if (is_for_site(id, strz(domain)))
            taken += message_take_file(Q_DEFERRED, id, queue_scan_path(scan), true);
        if (++seen % FILES_A_TURN == 0)
            task_yield();
    }
    queue_scan_free(&scan);
    return taken;
}
