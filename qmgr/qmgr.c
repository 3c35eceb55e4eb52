/*
 * NAME
 *   qmgr - the queue manager
 *
 * DESCRIPTION
 *   qmgr takes new mail from the incoming queue and mail that is due again from the deferred queue
 *   into the active queue, finds out who delivers each recipient, and hands the recipients to the
 *   delivery agents: fairly between messages, and carefully with each destination. What could not
 *   be delivered goes to the deferred queue until it is too old; what is done is removed.
 *
 *   cleanup announces each new message with its envelope, so that nothing is read back. When the
 *   active queue is full, or after a restart, mail is found by walking the directories: the files
 *   alone say all there is to know.
 *
 * SECURITY
 *   It moves, marks and removes queue files. It has no network, and never looks at message content.
 *
 * STANDARDS
 *   RFC 3461 (what DSN asks for is passed on)
 *
 * FILES
 *   incoming, active, deferred, corrupt; bounce, defer and trace are looked at
 *
 * SIGNALS
 *   SIGHUP ends the process after the deliveries that are under way (master's reload).
 *
 * SEE ALSO
 *   cleanup(8), bounce(8), postqueue(1), postsuper(1), SCHEDULER_README of Postfix
 */
#include "qmgr.h"

#include <errno.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "ipc/trigger.h"
#include "queue/flush_client.h"
#include "queue/qid.h"
#include "route/resolve.h"
#include "service/jail.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

enum { DRAIN_MS = 10000, DRAIN_POLL_MS = 20 };

static struct {
    struct hash *messages; /* by queue id */
    struct list active; /* the same, in order of arrival */
    size_t rcpts; /* in memory */
    int64_t rank;
    bool draining;
    bool left_behind; /* some file of the active queue is in nobody's hands */
    int64_t flushed_us; /* wall clock of the last flush of everything */
    uint64_t *taken, *removed;
} state;

bool qmgr_draining(void)
{
    return state.draining;
}

size_t qmgr_count(void)
{
    return hash_count(state.messages);
}

bool qmgr_room(void)
{
    return qmgr_count() < (size_t)conf.qmgr_message_active_limit && !state.draining;
}

struct message *qmgr_find(const char *queue_id)
{
    return hash_find(state.messages, strz(queue_id));
}

void qmgr_add(struct message *m)
{
    hash_put(state.messages, strz(m->d.queue_id), m);
    list_add(&state.active, &m->link);
    ++*state.taken;
}

void qmgr_drop(struct message *m)
{
    hash_drop(state.messages, strz(m->d.queue_id));
    list_drop(&m->link);
    arena_free(&m->mem);
    free(m);
    ++*state.removed;
}

size_t qmgr_rcpt_room(size_t transport_room)
{
    size_t limit = (size_t)conf.qmgr_message_recipient_limit;
    size_t room = state.rcpts < limit ? limit - state.rcpts : 0;
    size_t minimum = (size_t)conf.qmgr_message_recipient_minimum;

    if (room > transport_room)
        room = transport_room;
    return room > minimum ? room : minimum;
}

void qmgr_count_rcpts(ptrdiff_t change)
{
    state.rcpts += (size_t)change;
}

int64_t qmgr_next_rank(void)
{
    return ++state.rank;
}

bool qmgr_flushed_since(int64_t wall_us)
{
    return state.flushed_us >= wall_us;
}

void qmgr_left_behind(void)
{
    state.left_behind = true;
}

static void qmgr_open_all(void)
{
    state.messages = hash_new();
    list_init(&state.active);
    resolve_open();
    flush_open();
    transport_open();
    if (service_trying())
        qmgr_check_routes();
}

static void qmgr_paths(void)
{
    for (enum queue q = Q_INCOMING; q <= Q_CORRUPT; q++)
        jail_write_queue(queue_name(q));
    jail_write(queue_name(Q_DEFER)); /* mail goes out without it, too */
    jail_note(queue_name(Q_DEFER));
    jail_read_tables(conf.transport_maps);
    jail_read_tables(conf.fast_flush_domains);
    jail_read_tables(conf.address_verify_transport_maps);
    jail_read_tables(conf.address_verify_sender_dependent_relayhost_maps);
    jail_read_tables(conf.address_verify_sender_dependent_default_transport_maps);
    jail_read_tables(conf.relocated_maps);
    jail_read_tables(conf.sender_dependent_relayhost_maps);
    jail_read_tables(conf.sender_dependent_default_transport_maps);
    jail_read_tables(conf.mydestination);
    jail_read_tables(conf.virtual_alias_domains);
    jail_read_tables(conf.virtual_mailbox_domains);
    jail_read_tables(conf.relay_domains);
}

/* As it was found: with other hash_queue_names the process before had it in another directory. */
static bool recover(const char *id, const char *path)
{
    struct why why = WHY;
    bool moved = queue_move_found(path, id, Q_INCOMING, &why) == 0;

    if (!moved && errno != ENOENT) {
        msg_warn("%s: %s", id, why_text(&why));
        state.left_behind = true;
    }
    why_free(&why);
    return moved;
}

void qmgr_recover_active(void)
{
    struct queue_scan *scan = NULL;
    const char *id;
    size_t moved = 0;

    if (!state.left_behind)
        return;
    state.left_behind = false;
    scan = queue_scan_new(Q_ACTIVE);
    while ((id = queue_scan_next(scan)) != NULL)
        if (qmgr_find(id) == NULL && recover(id, queue_scan_path(scan)))
            moved++;
    state.left_behind |= queue_scan_failed(scan);
    queue_scan_free(&scan);
    if (moved > 0)
        msg_info("%zu messages of the active queue go on", moved);
}

static void qmgr_start(void)
{
    state.taken = metrics_counter("messages_activated");
    state.removed = metrics_counter("messages_ended");
    state.left_behind = true; /* what another process had under way */
    qmgr_recover_active();
    /* Once more with the first walk: after a reload postsuper may bring files into their places at
     * the same time, from where our look had not come yet to where it had been. */
    state.left_behind = true;
    scan_start();
}

static void qmgr_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    const char *name = attrs_get(ask, A_REQUEST);
    struct why why = WHY;

    (void)mem;
    if (strcmp(name, REQUEST_ARRIVED) == 0) {
        message_arrived(ask);
    } else if (strcmp(name, REQUEST_FLUSH_ID) == 0) {
        transport_wake_all();
        attrs_putn(answer, A_COUNT, scan_flush_id(attrs_get(ask, A_QUEUE_ID)));
    } else if (strcmp(name, REQUEST_FLUSH_SITE) == 0) {
        transport_wake_all();
        attrs_putn(answer, A_COUNT, (int64_t)scan_flush_site(attrs_get(ask, A_SITE_NAME)));
    } else {
        why_set(&why, "5.3.0", "unknown request");
        attrs_put_why(answer, &why);
    }
    why_free(&why);
}

/* A flush is not lost because a reload came at the same time. */
static void pass_on(char reason)
{
    /* fits: or is left out whole, and "" names no socket */
    struct buf path = BUF(256);
    struct why why = WHY;

    buf_addf(&path, "public/%s", service_name());
    if (trigger_send(path.p, reason, &why) < 0)
        msg_warn("%s", why_text(&why));
    buf_free(&path);
    why_free(&why);
}

static void wake(char reason)
{
    bool everything = reason == 'F' || reason == 'A';

    if (state.draining && everything) {
        pass_on(reason);
        return;
    }
    if (everything) {
        state.flushed_us = clock_wall_us();
        transport_wake_all();
    }
    if (reason != 'D')
        scan_request(Q_INCOMING, everything);
    if (reason == 'D' || everything)
        scan_request(Q_DEFERRED, everything);
}

static bool is_idle(void)
{
    return transport_idle() && deliver_refused_idle() && message_reports_idle();
}

/* Deliveries that are under way go on in the agents whatever happens here. To wait for them a
 * little spares the next process most files that are "still being delivered". */
static void drain(void)
{
    int64_t until = task_now() + DRAIN_MS;

    state.draining = true;
    while (!is_idle() && task_now() < until)
        if (task_sleep(task_now() + DRAIN_POLL_MS) == WAIT_CANCELLED)
            return;
}

int main(int argc, char **argv)
{
    static const struct service qmgr = {
        .name = "qmgr",
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_TIMES,
        .alone = true,
        .open = qmgr_open_all,
        .paths = qmgr_paths,
        .start = qmgr_start,
        .request = qmgr_request,
        .wake = wake,
        .drain = drain,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&qmgr, argc, argv);
}
