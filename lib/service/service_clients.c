/*
 * Accepting clients, and the life of each kind of client.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "ipc/trust.h"
#include "net/peer.h"
#include "net/sock.h"
#include "net/stream.h"
#include "service/service_process.h"
#include "service/spawned.h"

enum {
    REQUEST_LIMIT = 64 * 1024, /* when the service names none */
    ANSWER_LIMIT = 1024 * 1024,
    PASS_WAIT_MS = 10000, /* for what was announced by a connection */
    TRIGGERS = 64, /* bytes of one trigger connection that are looked at */
};

struct client {
    struct list link;
    struct process *process;
    struct task *task;
    int fd; /* until the stream owns it */
    struct stream *channel; /* of requests; null: a session */
    struct peer peer;
    enum role role; /* of whoever asks over a UNIX socket */
    pid_t pid; /* his process */
    bool idle; /* a channel between two requests: nothing is lost when it closes */
    bool evictable; /* it may be ended for a new one */
};

static bool is_full(const struct process *p)
{
    return p->nclients >= p->limit;
}

static bool may_accept(const struct process *p)
{
    if (is_full(p)) /* one more than the limit until the one that was ended has gone */
        return p->saturated && p->nevictable > 0 && p->nclients == p->limit;
    return !p->paused;
}

void clients_served(struct process *p)
{
    p->page->served++;
    if (!p->told_served)
        drain_tell(p, SPAWN_SERVED);
    p->told_served = true;
}

/* Several bytes of the same reason that come together are one. */
static void run_wakes(void *arg)
{
    struct process *p = arg;

    while (p->reasons != 0 && !task_is_cancelled()) {
        int n = __builtin_ctz(p->reasons);
        p->reasons &= ~(1u << n);
        p->service->wake((char)('A' + n));
        clients_served(p);
    }
    p->waker = NULL;
    drain_check(p);
}

void clients_wake(struct process *p, char reason)
{
    if (p->service->wake == NULL || reason < 'A' || reason > 'Z')
        return;
    p->last_used = task_now();
    p->reasons |= 1u << (reason - 'A');
    if (p->waker == NULL)
        p->waker = task_start("wake", run_wakes, p);
}

/* A trigger is a capital letter; a request begins with an attribute's name. */
static bool is_trigger(struct process *p, struct stream *s)
{
    if (p->service->wake == NULL)
        return false;
    struct str first = stream_peek(s);
    return first.n > 0 && first.p[0] >= 'A' && first.p[0] <= 'Z';
}

bool clients_may_ask(const struct process *p, enum role role, const char *request)
{
    if (trust_may(p->program, request, role))
        return true;
    msg_warn("refused: %s may not ask \"%.40s\" of %s", trust_role_name(role), request, p->name);
    return false;
}

static bool take_trigger(struct client *c, char reason)
{
    bool may = clients_may_ask(c->process, c->role, (char[]){reason, 0});

    if (may)
        clients_wake(c->process, reason);
    return may;
}

static void take_triggers(struct client *c, struct stream *s)
{
    struct str bytes;

    stream_set_idle(s, PASS_WAIT_MS);
    for (size_t taken = 0; taken < TRIGGERS && (bytes = stream_peek(s)).n > 0; taken += bytes.n) {
        for (size_t i = 0; i < bytes.n; i++)
            if (!take_trigger(c, bytes.p[i]))
                return;
        stream_skip(s, bytes.n);
    }
}

/* One request of a channel; false when the channel is to be closed. */
static bool serve_request(struct client *c, struct stream *s, struct attrs *ask,
                          struct attrs *answer, struct arena *mem)
{
    const struct service *service = c->process->service;
    struct why why = WHY;

    if (attrs_recv(s, ask, &why) < 0) {
        if (stream_state(s) != STREAM_EOF || ask->wire.n > 0)
            msg_warn("request to %s: %s", c->process->name, why_text(&why));
        why_free(&why);
        return false;
    }
    attrs_clear(answer);
    ask->from = c->role;
    ask->from_pid = c->pid;
    if (!clients_may_ask(c->process, c->role, attrs_opt(ask, A_REQUEST, TRUST_CONNECT)))
        return false;
    if (service->stream_request != NULL)
        service->stream_request(s, ask, answer, mem);
    else
        service->request(ask, answer, mem);
    bool one_way = attrs_opt(ask, A_ONE_WAY, NULL) != NULL;
    if (attrs_opt(answer, A_STATUS, NULL) == NULL)
        attrs_put_why(answer, NULL);
    bool sent = one_way || attrs_send(s, answer, &why) == 0;
    if (!sent && stream_state(s) == STREAM_OK)
        msg_warn("answer of %s: %s", c->process->name, why_text(&why));
    why_free(&why);
    clients_served(c->process);
    c->process->last_used = task_now();
    arena_reset(mem);
    return sent;
}

/*
 * (waits) False: none came, or not before the process began to drain. Then nothing has been read,
 * also when something came in the same turn: the client finds the connection closed unread, and
 * asks a new process, which has the new tables.
 */
static bool wait_request(struct client *c, struct stream *s, int64_t until)
{
    c->idle = true;
    enum wait ended = stream_wait_unread(s, until);
    c->idle = false;
    return ended == WAIT_READY && !task_is_cancelled();
}

/* The sender of a trigger does not learn whether it was read: what came before the socket was shut
 * is taken, and what comes later fails at the sender, who tries again. */
static void take_late_triggers(struct client *c, struct stream *s)
{
    char bytes[TRIGGERS];
    int fd = stream_fd(s);

    if (c->process->service->wake == NULL || stream_ahead(s) > 0 || shutdown(fd, SHUT_RD) < 0 ||
        recv(fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT) != 1 || bytes[0] < 'A' || bytes[0] > 'Z')
        return;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t i = 0; i < n && take_trigger(c, bytes[i]); i++)
        ;
}

/* The first request, or a trigger: who was accepted last is served, also when the process drains.
 */
static bool first_request(struct client *c, struct stream *s)
{
    int64_t until = c->process->draining ? task_now() + PASS_WAIT_MS : 0;
    bool came = wait_request(c, s, until);

    if (!came)
        take_late_triggers(c, s);
    return came;
}

/* What has been read is served also while the process drains: after a request that wanted no
 * answer there may be the next. */
static bool next_request(struct client *c, struct stream *s)
{
    if (stream_ahead(s) > 0)
        return true;
    return !c->process->draining && wait_request(c, s, 0) &&
           !drain_if_stale(c->process, service_glance_at_dirs);
}

static void serve_channel(struct client *c, struct arena *mem)
{
    struct process *p = c->process;
    size_t limit = p->service->request_limit > 0 ? p->service->request_limit : REQUEST_LIMIT;
    struct attrs ask = ATTRS(limit), answer = ATTRS(ANSWER_LIMIT);
    struct stream *s = attrs_stream(c->fd);

    c->role = trust_role_of_peer(c->fd);
    c->pid = trust_pid_of_peer(c->fd);
    c->channel = s;
    if (first_request(c, s)) {
        if (is_trigger(p, s))
            take_triggers(c, s);
        else if (p->service->request != NULL || p->service->stream_request != NULL)
            while (serve_request(c, s, &ask, &answer, mem) && next_request(c, s))
                ;
    }
    attrs_free(&ask);
    attrs_free(&answer);
    stream_free(&s);
}

/* A session over a UNIX socket, of a program that has rules. Which command may be said in it, the
 * service asks itself (service_may_ask). */
static bool may_begin(struct client *c)
{
    struct process *p = c->process;

    if (p->type != SERVICE_UNIX || !trust_has_rules(p->program))
        return true;
    c->role = trust_role_of_peer(c->fd);
    if (c->role == ROLE_ROOT || c->role == ROLE_SELF ||
        (trust_askers(p->program) & ROLE_BIT(c->role)) != 0)
        return true;
    return clients_may_ask(p, c->role, TRUST_CONNECT);
}

static void serve_session(struct client *c, struct arena *mem)
{
    struct stream *s = stream_new(c->fd);

    if (may_begin(c))
        c->process->service->session(s, &c->peer, mem);
    stream_free(&s);
    clients_served(c->process);
}

static bool put_end(struct attrs *hand, const char *address, const char *port, struct addr *a)
{
    int64_t number = attrs_getn(hand, port, 0, 65535);

    if (!addr_parse(strz(attrs_get(hand, address)), a))
        return false;
    a->port = (in_port_t)number;
    return true;
}

/* Who the client is, by its socket, or as a proxy has told whoever passes it. */
static bool passed_peer(struct client *c, struct attrs *hand)
{
    struct addr client, server;

    if (!peer_of(&c->peer, c->fd))
        return false;
    if (attrs_opt(hand, A_CLIENT_ADDRESS, NULL) != NULL) {
        if (!put_end(hand, A_CLIENT_ADDRESS, A_CLIENT_PORT, &client) ||
            !put_end(hand, A_SERVER_ADDRESS, A_SERVER_PORT, &server) || !attrs_ok(hand))
            return false;
        peer_set(&c->peer, &client, &server);
    }
    c->peer.passed = true;
    return true;
}

/* A "pass" service gets the client's socket from the process that has spoken with it so far. */
static bool take_passed(struct client *c)
{
    struct attrs hand = ATTRS(REQUEST_LIMIT);
    bool may = clients_may_ask(c->process, trust_role_of_peer(c->fd), TRUST_PASS);
    struct stream *s = attrs_stream(c->fd);

    stream_set_deadline(s, task_now() + PASS_WAIT_MS);
    c->fd = may && attrs_recv(s, &hand, NULL) == 0 ? attrs_take_fd(&hand) : -1;
    stream_free(&s);
    bool known = c->fd >= 0 && sock_set_nonblocking(c->fd) == 0 && passed_peer(c, &hand);
    attrs_free(&hand);
    if (known)
        return true;
    task_close(c->fd);
    return false;
}

static void client_gone(struct client *c)
{
    struct process *p = c->process;

    list_drop(&c->link);
    p->nevictable -= c->evictable;
    free(c);
    p->page->sessions = (uint32_t)--p->nclients;
    p->last_used = task_now();
    if (p->max_uses > 0 && p->uses >= p->max_uses)
        drain_begin(p, NULL);
    drain_check(p);
    clients_accept_more(p);
}

static void client_task(void *arg)
{
    struct client *c = arg;
    struct process *p = c->process;
    struct arena *mem = arena_new(NULL);

    c->task = task_self();
    if (p->type == SERVICE_PASS && !take_passed(c))
        ;
    else if (p->service->session != NULL)
        serve_session(c, mem);
    else
        serve_channel(c, mem);
    arena_free(&mem);
    client_gone(c);
}

/* The oldest of those that may be ended. */
static void end_one(struct process *p)
{
    LIST_EACH (&p->clients, l) {
        struct client *c = LIST_OF(l, struct client, link);
        if (!c->evictable)
            continue;
        c->evictable = false;
        p->nevictable--;
        task_cancel(c->task);
        return;
    }
}

static void client_new(struct process *p, int fd, const struct peer *peer)
{
    struct client *c = mem_new(sizeof *c);

    c->process = p;
    c->fd = fd;
    c->peer = *peer;
    list_add(&p->clients, &c->link);
    p->page->sessions = (uint32_t)++p->nclients;
    p->uses++;
    p->last_used = task_now();
    c->task = task_start(p->program, client_task, c);
    if (p->nclients > p->limit)
        end_one(p);
    if (is_full(p) && !p->told_full) {
        p->told_full = true;
        drain_tell(p, SPAWN_FULL);
    }
}

/* Enough has gone that it is worth telling. */
void clients_accept_more(struct process *p)
{
    int enough = p->limit - p->limit / 8 - 1;

    if (p->told_full && p->nclients <= enough && !p->draining) {
        p->told_full = false;
        drain_tell(p, SPAWN_ROOM);
    }
    if (!may_accept(p))
        return;
    VEC_EACH (&p->listeners, l)
        if (l->task != NULL)
            task_wake(l->task);
}

void clients_may_evict(struct process *p, bool evictable)
{
    struct client *c = task_arg();

    if (p->nclients == 0 || c->evictable == evictable) /* 0: a test calls the session itself */
        return;
    c->evictable = evictable;
    p->nevictable += evictable ? 1 : -1;
    if (p->saturated)
        clients_accept_more(p);
}

/* Errors that the next call may not have; the others end the process and master starts anew. */
static bool passes(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO ||
           error == ENETDOWN || error == EHOSTUNREACH || error == ENETUNREACH;
}

/* No descriptor or memory free: sessions must end first. */
static void wait_for_room(const char *what)
{
    enum { PAUSE_MS = 1000 };
    msg_warn("accept %s: %m", what);
    task_sleep(task_now() + PAUSE_MS);
}

static void rest(struct listener *l)
{
    task_close(l->active);
    l->active = -1;
}

static void take_part(struct listener *l)
{
    if (l->active < 0)
        l->active = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (l->active < 0)
        wait_for_room(l->process->name);
}

static void accept_one(struct listener *l)
{
    struct process *p = l->process;
    struct peer peer;

    if (drain_if_stale(p, service_look_at_dirs))
        return;
    int fd = sock_accept(l->active, &peer);

    if (fd >= 0)
        client_new(p, fd, &peer);
    else if (errno == EAGAIN)
        task_wait_again(l->active, POLLIN, 0);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        wait_for_room(p->name);
    else if (errno == EINVAL)
        drain_begin(p, NULL); /* master has shut the socket: a reload needs its address */
    else if (!passes(errno))
        msg_fatal("accept: %m");
}

void clients_listener_gone(struct listener *l)
{
    rest(l);
    task_close(l->fd);
    l->fd = -1;
    l->task = NULL;
}

/* Those that are there wait while many more come at once, but not until all of these have come. */
static void accept_clients(void *arg)
{
    enum { AT_ONCE = 32 };
    struct listener *l = arg;

    for (int n = 1; !l->process->draining && !task_is_cancelled(); n++) {
        if (n % AT_ONCE == 0)
            task_yield();
        if (may_accept(l->process)) {
            take_part(l);
            if (l->active >= 0)
                accept_one(l);
        } else {
            rest(l);
            task_park(0);
        }
    }
    clients_listener_gone(l);
}

static void read_fifo(void *arg)
{
    struct listener *l = arg;
    char bytes[TRIGGERS];

    while (!l->process->draining && task_wait_fd(l->fd, POLLIN, 0) == WAIT_READY) {
        ssize_t n = read(l->fd, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++)
            clients_wake(l->process, bytes[i]);
    }
    clients_listener_gone(l);
}

void clients_start(struct process *p)
{
    task_fn *fn = p->type == SERVICE_FIFO         ? read_fifo
                  : p->type == SERVICE_UNIX_DGRAM ? datagrams_read
                                                  : accept_clients;

    p->last_used = task_now();
    VEC_EACH (&p->listeners, l)
        l->task = task_start("accept", fn, l);
}

void clients_stop_accepting(struct process *p)
{
    VEC_EACH (&p->listeners, l)
        if (l->task != NULL)
            task_cancel(l->task);
}

void clients_cancel(struct process *p, bool idle_only)
{
    LIST_EACH (&p->clients, l) {
        struct client *c = LIST_OF(l, struct client, link);
        if (c->idle || !idle_only)
            task_cancel(c->task);
    }
}

void clients_stress(struct process *p, bool on)
{
    conf_set_stress(on);
    if (p->service->session == NULL)
        return;
    LIST_EACH (&p->clients, l)
        task_wake(LIST_OF(l, struct client, link)->task);
}

/* In a forked child: its task goes on, but not with the channel that the request came by. */
void clients_forked(struct process *p)
{
    LIST_EACH (&p->clients, l) {
        struct client *c = LIST_OF(l, struct client, link);
        if (c->task == task_self() && c->channel != NULL)
            stream_abort(&c->channel);
    }
    list_init(&p->clients);
    p->nclients = p->nevictable = 0;
}
