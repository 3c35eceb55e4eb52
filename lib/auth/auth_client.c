/*
 * The connection to the authentication service, shared by all tasks of a process, and its
 * hand-shake: which mechanisms there are.
 *
 * The socket is watched, not read by a task: a line is taken apart in the loop's callback, which
 * fills the attempt it is for and wakes the task that waits for it.
 */
#include "auth/auth_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth_client_inside.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/dns.h"
#include "task/task.h"

static struct auth_client *client_new(const char *where, struct endpoint at)
{
    struct auth_client *c = mem_new(sizeof *c);

    c->path = mem_dupz(where);
    c->at = at;
    c->fd = -1;
    c->in = BUF(AUTH_LINE_MAX); /* fits: receive reads no more than there is room */
    c->logins = hash_new();
    return c;
}

struct auth_client *auth_client_new(const char *path)
{
    return client_new(path, (struct endpoint){.path = mem_dupz(path)});
}

struct auth_client *auth_client_open(const char *where, struct why *why)
{
    struct str text = strz(where);
    struct endpoint at;

    if (!str_starts(text, STR("inet:")) && !str_starts(text, STR("unix:")))
        return auth_client_new(where);
    return endpoint_parse(text, false, &at, why) == 0 ? client_new(where, at) : NULL;
}

int auth_client_port(const struct auth_client *c)
{
    return c->at.port;
}

struct auth_client *auth_client_new_tokens(const char *path)
{
    struct auth_client *c = auth_client_new(path);

    c->for_tokens = true;
    return c;
}

static void forget_mechs(struct auth_client *c)
{
    VEC_EACH (&c->mechs, m)
        free(m->name);
    c->mechs.n = 0;
    free(c->stamp);
    c->stamp = NULL;
}

struct str auth_id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

static void wake_waiting(struct auth_client *c)
{
    for (struct waiter *w = c->waiting; w != NULL; w = w->next)
        task_wake(w->task);
}

void auth_client_hang_up(struct auth_client *c)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    if (c->fd >= 0) {
        task_watch(c->fd, 0, NULL, NULL);
        task_close(c->fd);
    }
    c->fd = -1;
    c->ready = false;
    buf_clear(&c->in);
    while (hash_next(c->logins, &cursor, &key, &value)) {
        struct auth_login *l = value;
        hash_drop(c->logins, auth_id_key(&l->id));
        auth_login_lost(l);
    }
    wake_waiting(c);
}

void auth_client_free(struct auth_client **c)
{
    if (*c == NULL)
        return;
    auth_client_hang_up(*c);
    forget_mechs(*c);
    VEC_FREE(&(*c)->mechs);
    hash_free(&(*c)->logins, NULL);
    buf_free(&(*c)->in);
    free((*c)->path);
    endpoint_free(&(*c)->at);
    free(*c);
    *c = NULL;
}

/* ---- lines of the server */

static void add_mech(struct auth_client *c, const struct auth_msg *m)
{
    struct mech *mech = VEC_ADD(&c->mechs);
    struct str name = auth_msg_arg(m, 0);

    mech->name = mem_dup(name.p, name.n);
    for (size_t i = 1; i < m->n; i++)
        mech->traits |= sasl_trait(m->arg[i]);
}

static void add_stamp(struct auth_client *c, const struct auth_msg *m)
{
    struct buf stamp = BUF(64); /* fits: two numbers, or is left out whole */

    if (c->stamp != NULL)
        buf_addf(&stamp, "%s.", c->stamp);
    buf_add(&stamp, auth_msg_arg(m, 0));
    free(c->stamp);
    c->stamp = buf_take(&stamp);
}

/* False: this is not a server that we understand. */
static bool take_line(struct auth_client *c, char *line, size_t n)
{
    struct auth_msg m;
    uint32_t major;

    if (!auth_msg_parse(line, n, &m))
        return false;
    switch (m.verb) {
    case AUTH_V_VERSION:
        return num_parse_u32(auth_msg_arg(&m, 0), 0, UINT32_MAX, &major) && major == AUTH_MAJOR;
    case AUTH_V_MECH:
        if (!c->ready && c->mechs.n < 64)
            add_mech(c, &m);
        return true;
    case AUTH_V_SPID:
    case AUTH_V_CUID:
        if (!c->ready)
            add_stamp(c, &m);
        return true;
    case AUTH_V_DONE:
        c->ready = true;
        wake_waiting(c);
        return true;
    case AUTH_V_CONT:
    case AUTH_V_OK:
    case AUTH_V_FAIL:
    case AUTH_V_USER:
    case AUTH_V_TICKET:
    case AUTH_V_NOTFOUND:
        auth_login_answer(c, &m);
        return true;
    default:
        return true;
    }
}

static bool take_lines(struct auth_client *c)
{
    size_t start = 0;

    for (char *end; (end = memchr(c->in.p + start, '\n', c->in.n - start)) != NULL;) {
        char *line = c->in.p + start;
        start = (size_t)(end - c->in.p) + 1;
        if (!take_line(c, line, (size_t)(end - line)))
            return false;
    }
    buf_skip(&c->in, start);
    return true;
}

/* What has come: 1 something, 0 nothing, -1 the connection is over. No memory is kept between two
 * answers: imap and pop3 fork while none is to come. */
static int receive(struct auth_client *c)
{
    char piece[1024]; /* many answers, most of the time */
    size_t room = c->in.max - c->in.n;
    ssize_t n = recv(c->fd, piece, room < sizeof piece ? room : sizeof piece, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0) {
        buf_add(&c->in, (struct str){piece, (size_t)n});
        c->heard++;
    }
    int result = n > 0 && take_lines(c) ? 1 : -1;
    if (n > 0)
        explicit_bzero(piece, (size_t)n);
    if (c->in.n == 0)
        auth_wipe(&c->in);
    return result;
}

static void readable(void *arg, int fd, short events)
{
    (void)fd;
    (void)events;
    if (receive(arg) < 0)
        auth_client_hang_up(arg);
}

/* ---- asking */

/* A socket that does not take a few lines at once belongs to a server that is stuck, or has gone.
 * What it said before it went holds: a token that it has redeemed is not asked for again. */
bool auth_client_send(struct auth_client *c, const struct buf *out)
{
    ssize_t n = !buf_ok(out) ? -1 : send(c->fd, out->p, out->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == (ssize_t)out->n)
        return true;
    while (receive(c) > 0)
        ;
    auth_client_hang_up(c);
    return false;
}

int auth_no_answer(const struct auth_client *c, struct why *why)
{
    return why_set(why, "4.7.0", "authentication service %s does not answer", c->path);
}

static int connect_server(struct auth_client *c, int64_t deadline, struct why *why)
{
    struct buf hello = BUF(200);

    c->connecting = true;
    int fd = endpoint_connect(&c->at, dns_families(conf.inet_protocols), deadline, why);
    c->connecting = false;
    if (fd < 0) {
        wake_waiting(c);
        return -1;
    }
    c->fd = fd;
    forget_mechs(c);
    auth_wire_begin(&hello, AUTH_V_VERSION);
    auth_wire_argn(&hello, AUTH_MAJOR);
    auth_wire_argn(&hello, AUTH_MINOR);
    auth_wire_end(&hello);
    if (!c->for_tokens) {
        auth_wire_begin(&hello, AUTH_V_CPID);
        auth_wire_argn(&hello, getpid());
        auth_wire_end(&hello);
    }
    bool sent = auth_client_send(c, &hello);
    buf_free(&hello);
    if (!sent)
        return auth_no_answer(c, why);
    task_watch(fd, POLLIN, readable, c);
    return 0;
}

/* (waits) while there is a connection whose hand-shake is not complete. False: for too long; then
 * that connection is given up. */
static bool wait_greeting(struct auth_client *c, int64_t deadline)
{
    struct waiter me = {.next = c->waiting, .task = task_self()};
    enum wait w = WAIT_READY;

    c->waiting = &me;
    while (!c->ready && (c->fd >= 0 || c->connecting) && w != WAIT_TIMEOUT && w != WAIT_CANCELLED)
        w = task_park(deadline);
    for (struct waiter **p = &c->waiting; *p != NULL; p = &(*p)->next)
        if (*p == &me) {
            *p = me.next;
            break;
        }
    if (w == WAIT_TIMEOUT && c->fd >= 0 && !c->ready)
        auth_client_hang_up(c);
    return w != WAIT_TIMEOUT && w != WAIT_CANCELLED;
}

/* (waits) until the server's hand-shake is complete; connects if need be, again when the server
 * goes just then. */
int auth_client_ready(struct auth_client *c, int64_t deadline, struct why *why)
{
    for (int i = 0; !c->ready && i < ATTEMPTS; i++) {
        if (c->fd < 0 && !c->connecting && connect_server(c, deadline, why) < 0)
            return -1;
        if (!wait_greeting(c, deadline))
            break;
    }
    return c->ready ? 0 : auth_no_answer(c, why);
}

static bool fits(const struct mech *m, unsigned forbid, unsigned require)
{
    return (m->traits & (forbid | AUTH_PRIVATE)) == 0 && (m->traits & require) == require;
}

int auth_client_mechs(struct auth_client *c, unsigned forbid, unsigned require, struct buf *names,
                      int64_t deadline, struct why *why)
{
    size_t start = names->n;

    if (auth_client_ready(c, deadline, why) < 0)
        return -1;
    VEC_EACH (&c->mechs, m)
        if (fits(m, forbid, require))
            buf_addf(names, "%s%s", names->n > start ? " " : "", m->name);
    return 0;
}

int auth_client_has(struct auth_client *c, struct str mech, unsigned forbid, unsigned require,
                    int64_t deadline, struct why *why)
{
    if (auth_client_ready(c, deadline, why) < 0)
        return -1;
    VEC_EACH (&c->mechs, m)
        if (str_ieqz(mech, m->name))
            return (m->traits & forbid) == 0 && (m->traits & require) == require;
    return 0;
}

int auth_client_stamp(struct auth_client *c, struct buf *out, int64_t deadline, struct why *why)
{
    if (auth_client_ready(c, deadline, why) < 0)
        return -1;
    buf_addz(out, c->stamp != NULL ? c->stamp : "");
    return 0;
}
