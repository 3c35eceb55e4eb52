/*
 * Each recipient to its transport and destination, in portions that fit one delivery.
 */
#include "base/clock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "route/resolve.h"
#include "task/task.h"

#include "qmgr.h"

static struct entry *new_entry(struct message *m, struct peer *p)
{
    struct entry *e = arena_alloc(m->batch, sizeof *e);

    e->peer = p;
    e->message = m;
    list_init(&e->link);
    m->pending++;
    p->job->total++;
    return e;
}

static void add_rcpt(struct entry *e, const struct rcpt *r)
{
    if (e->nrcpts == e->room) {
        size_t room = e->room == 0 ? 1 : e->room * 4;
        struct rcpt *more = arena_array(e->message->batch, room, sizeof *more);
        if (e->nrcpts > 0)
            memcpy(more, e->rcpts, e->nrcpts * sizeof *more);
        e->rcpts = more;
        e->room = room;
    }
    e->rcpts[e->nrcpts++] = *r;
    job_count_rcpt(e->peer->job);
}

/* The last entry of the peer, if there is room in it and no agent has it yet. */
static struct entry *open_entry(struct message *m, struct peer *p)
{
    if (!list_empty(&p->todo) && *m->d.verp == 0) { /* else each has a sender of his own */
        struct entry *e = LIST_OF(p->todo.prev, struct entry, link);
        if (e->nrcpts < p->dest->transport->recipient_limit)
            return e;
    }
    struct entry *e = new_entry(m, p);
    list_add(&p->todo, &e->link);
    return e;
}

/* A recipient that no agent is asked about. It still has a peer, so that all entries look alike. */
static void qmgr_assign_refuse(struct message *m, struct dest *d, const struct rcpt *r,
                               const char *code, const char *text)
{
    struct peer *p = job_peer(m, d);
    bool unused = list_empty(&p->todo);
    struct entry *e = new_entry(m, p);

    p->job->given++;
    add_rcpt(e, r);
    if (unused)
        dest_drop_peer(d, p);
    deliver_refuse(e, code, text);
}

/* content_filter: "transport:nexthop", nexthop by default the recipient's domain. */
static int apply_filter(const struct message *m, const char *address, struct route *r,
                        struct why *why)
{
    struct str filter = strz(m->d.filter), transport;
    ptrdiff_t at = str_rfind(strz(address), '@');

    r->bad_address = false;
    r->class = CLASS_DEFAULT;
    if (!str_split(&filter, ':', &transport))
        return 0;
    buf_set(&r->transport, transport);
    if (filter.n > 0)
        buf_set(&r->nexthop, filter);
    else if (*conf.default_filter_nexthop != 0)
        buf_setz(&r->nexthop, conf.default_filter_nexthop);
    else
        buf_setz(&r->nexthop, at >= 0 ? address + at + 1 : conf.myhostname);
    buf_setz(&r->recipient, address);
    return buf_ok(&r->transport) && buf_ok(&r->nexthop) && buf_ok(&r->recipient)
               ? 0
               : why_set(why, "4.3.5", "the content filter or the address is too long");
}

static bool is_double_bounce(const char *address)
{
    struct str s = strz(address);
    ptrdiff_t at = str_rfind(s, '@');

    return at > 0 && str_ieqz(str_upto(s, (size_t)at), conf.double_bounce_sender);
}

/* Where one recipient goes. Resolving may wait, assigning does not: else agents would be given the
 * first recipients of a destination before the others are known. */
struct way {
    const char *transport, *nexthop, *recipient;
    enum class class;
    bool bad_address;
    const char *code, *text; /* why it is put off: a table has failed; null: none has */
};

/* What is wrong with sending it there; null if nothing is. */
static const char *objection(const struct message *m, const struct way *w,
                             const struct transport *t, const char **code)
{
    if (m->expired_by_force) {
        *code = "4.7.0";
        return "message is administratively expired";
    }
    if (w->bad_address) {
        *code = "5.1.3";
        return "bad address syntax";
    }
    /* A report about a report about a report: nobody is left to be told. */
    if (w->class == CLASS_LOCAL && is_double_bounce(w->recipient)) {
        *code = "2.0.0";
        return "undeliverable postmaster notification discarded";
    }
    if (t->deferred_by_admin) {
        *code = "4.3.2";
        return "deferred transport";
    }
    *code = "4.3.0";
    return t->dead_text;
}

static void assign(struct message *m, struct rcpt *r, const struct way *w)
{
    struct transport *t = transport_of(w->transport);
    struct dest *d = dest_of(t, w->nexthop, w->recipient);
    const char *code;
    const char *text = objection(m, w, t, &code);

    /* Of one that means nobody nothing may be left: the report needs what it was. */
    if (*w->recipient != 0)
        r->address = w->recipient;
    if (text != NULL) {
        qmgr_assign_refuse(m, d, r, code, text);
    } else if (d->dead_text != NULL) {
        qmgr_assign_refuse(m, d, r, d->dead_code, d->dead_text);
    } else {
        add_rcpt(open_entry(m, job_peer(m, d)), r);
    }
    dest_update(d);
}

/* Refused, or for later, by the first digit of the code. */
static void put_off(struct message *m, struct rcpt *r, const struct way *w)
{
    /* Any destination will do: the agent is not asked. */
    struct transport *t = transport_of("retry");
    struct dest *d = dest_of(t, "unresolved", r->address);

    qmgr_assign_refuse(m, d, r, w->code, w->text);
    dest_update(d);
}

/* Most are what the one before was. */
static const char *keep(struct message *m, const struct buf *text, const char *before)
{
    return before != NULL && str_eqz(buf_str(text), before) ? before
                                                            : arena_strz(m->batch, buf_str(text));
}

/* -1 and why: it goes nowhere, now or for ever. */
static int find_route(const struct message *m, const char *address, struct route *route,
                      struct why *why)
{
    enum resolve_for purpose = m->d.flags & DELIVERY_PROBE ? RESOLVE_VERIFY : RESOLVE_MAIL;

    if (deliver_by_is_over(&m->d.by, clock_wall()))
        return why_set(why, DELIVER_BY_OVER, "%s", deliver_by_over);
    if (*m->d.filter != 0)
        return apply_filter(m, address, route, why);
    return resolve_address(purpose, m->d.sender, address, route, why);
}

static void find_way(struct message *m, const struct rcpt *r, struct route *route, struct way *w,
                     const struct way *before)
{
    struct why why = WHY;

    if (find_route(m, r->address, route, &why) < 0) {
        w->code = arena_strz(m->batch, strz(why.code[0] != 0 ? why.code : "4.3.0"));
        w->text = arena_strz(m->batch, strz(why_text(&why)));
    } else {
        w->transport = keep(m, &route->transport, before->transport);
        w->nexthop = keep(m, &route->nexthop, before->nexthop);
        w->recipient = keep(m, &route->recipient, r->address);
        w->class = route->class;
        w->bad_address = route->bad_address;
    }
    why_free(&why);
}

void message_assign(struct message *m, struct rcpt *rcpts, size_t n)
{
    struct way *ways, none = {0};
    struct route route = ROUTE;

    if (*m->d.redirect != 0 && n > 0) {
        rcpts[0].address = m->d.redirect;
        n = 1;
        m->next = 0;
    }
    ways = arena_array(m->batch, n + 1, sizeof *ways);
    for (size_t i = 0; i < n; i++) {
        find_way(m, &rcpts[i], &route, &ways[i], i > 0 ? &ways[i - 1] : &none);
        task_yield_if_long();
    }
    for (size_t i = 0; i < n; i++)
        (ways[i].code != NULL ? put_off : assign)(m, &rcpts[i], &ways[i]);
    route_free(&route);
}
