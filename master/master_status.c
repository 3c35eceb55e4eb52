/*
 * Which process of a service takes the next client. One takes all until it is full, then the next;
 * only when all are full does master watch the sockets itself and start another.
 */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "conf/conf.h"
#include "ipc/trust.h"
#include "service/spawned.h"

#include "master.h"

enum { STRESS_MS = 1000 * 1000, WARN_MS = 600 * 1000 };

static void send_status(struct child *c, enum spawn_status what)
{
    char byte = (char)what;

    send(c->status.fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell(struct child *c, enum spawn_status what)
{
    c->paused = what == SPAWN_PAUSE;
    send_status(c, what);
}

/* Tells the processes whether the service is saturated. Then each evicts a client, if it has one
 * that is evictable, for the next one. */
static void tell_saturated(struct svc *s, bool saturated)
{
    if (s->saturated == saturated)
        return;
    s->saturated = saturated;
    LIST_EACH (&s->children, l)
        send_status(LIST_OF(l, struct child, link),
                    saturated ? SPAWN_SATURATED : SPAWN_UNSATURATED);
}

static void set_stress(struct svc *s, bool on)
{
    s->stressed = on;
    LIST_EACH (&s->children, l)
        send_status(LIST_OF(l, struct child, link), on ? SPAWN_STRESS : SPAWN_CALM);
}

void status_calm(struct svc *s)
{
    set_stress(s, false);
    status_balance(s); /* or not yet */
}

/* One process is enough for what comes, and it is the oldest that has room. */
static bool choose(struct svc *s)
{
    bool chosen = false;

    LIST_EACH (&s->children, l) {
        struct child *c = LIST_OF(l, struct child, link);
        if (c->draining || c->is_full)
            continue;
        if (!chosen && c->paused)
            tell(c, SPAWN_GO);
        else if (chosen && !c->paused)
            tell(c, SPAWN_PAUSE);
        chosen = true;
    }
    return chosen;
}

static void warn_limit(struct svc *s)
{
    s->stressed_until = master.now + STRESS_MS;
    if (!s->stressed)
        set_stress(s, true);
    if (s->warned_at != 0 && master.now - s->warned_at < WARN_MS)
        return;
    s->warned_at = master.now;
    msg_warn(
        "service \"%s\" (%s) has reached its process limit \"%lld\": new clients may experience "
        "noticeable delays",
        s->conf.name, s->path, (long long)s->conf.maxproc);
    msg_warn("to avoid this condition, increase the process count in master.cf or reduce the "
             "service time per client");
}

/* Clients that the present processes may have. Draining ones count only where there must never be
 * two processes. */
static int64_t promised(const struct svc *s)
{
    int64_t n = 0;

    LIST_EACH (&((struct svc *)(uintptr_t)s)->children, l) {
        const struct child *c = LIST_OF(l, struct child, link);
        if (!c->draining || s->alone)
            n += c->limit;
    }
    return n;
}

int64_t status_room(const struct svc *s)
{
    int64_t most = s->conf.maxproc > 0 ? s->conf.maxproc : INT32_MAX;

    if (s->alone && s->nchildren > 0)
        return 0;
    if (s->sole && promised(s) > 0)
        return 0;
    return most - promised(s);
}

/* Its processes have failed to start for so long that whoever waits for one is better told so. Not
 * before: most such failures pass, and mail only waits. Clients from outside wait: they try again
 * by themselves. */
bool status_refuses(const struct svc *s)
{
    return s->conf.type == SERVICE_UNIX && master.now < s->throttled_until &&
           s->backoff_ms >= conf.service_throttle_time * 1000;
}

void status_balance(struct svc *s)
{
    bool served = s->retired || master.stopping || choose(s);
    bool room = !served && status_room(s) > 0;
    bool full = !served && !room && s->conf.type == SERVICE_INET && s->nchildren > 0;

    tell_saturated(s, full);
    if (full)
        warn_limit(s);
    listen_attend(s, room && (master.now >= s->throttled_until || status_refuses(s)));
}

/* Of what speaks with strangers there may always be several: an intruder's word would keep the
 * service at one process for good. */
static bool may_be_alone(const struct child *c)
{
    return trust_uid_of_program(c->svc->conf.command) != TRUST_NETWORK;
}

static bool take_status(struct child *c, char byte)
{
    switch ((enum spawn_status)byte) {
    case SPAWN_FULL:
        c->is_full = true;
        return true;
    case SPAWN_ROOM:
        c->is_full = false;
        return true;
    case SPAWN_ALONE:
        c->svc->alone = may_be_alone(c);
        return true;
    case SPAWN_SOLE:
        c->svc->sole = may_be_alone(c);
        return true;
    case SPAWN_DRAINING:
        c->draining = true;
        return true;
    case SPAWN_SERVED:
        c->served = true;
        return true;
    default:
        msg_warn("process %s pid %d: unknown status %d", c->svc->conf.command, (int)c->pid, byte);
        return false;
    }
}

void status_read(struct child *c)
{
    char bytes[64];
    ssize_t n = recv(c->status.fd, bytes, sizeof bytes, MSG_DONTWAIT);

    for (ssize_t i = 0; i < n && take_status(c, bytes[i]); i++)
        ;
    if (n == 0)
        c->status.events = 0; /* it has ended, or will: SIGCHLD tells */
}

static void on_status(struct watch *w)
{
    struct child *c = w->arg;

    status_read(c);
    status_balance(c->svc);
}

void status_watch(struct child *c, int fd)
{
    c->status = (struct watch){.fd = fd, .events = POLLIN, .fn = on_status, .arg = c};
    loop_add(&c->status);
    if (c->svc->stressed)
        send_status(c, SPAWN_STRESS);
}

void status_drain(struct svc *s)
{
    LIST_EACH (&s->children, k) {
        struct child *c = LIST_OF(k, struct child, link);
        c->draining = true;
        kill(c->pid, SIGHUP);
    }
}

void status_drain_all(void)
{
    LIST_EACH (&master.services, l)
        status_drain(LIST_OF(l, struct svc, link));
}
