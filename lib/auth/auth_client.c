/*
 * The client side of the authentication protocol: many attempts on one connection.
 *
 * The socket is watched, not read by a task: a line is taken apart in the loop's callback, which
 * fills the attempt it is for and wakes the task that waits for it.
 */
#include "auth/auth_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth_wire.h"
#include "auth/user.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "net/sock.h"
#include "task/task.h"

struct mech {
    char *name;
    unsigned traits;
};

/* A task that waits for the hand-shake or for an answer; it stands on that task's stack. */
struct waiter {
    struct waiter *next;
    struct task *task;
};

struct auth_client {
    char *path;
    int fd; /* -1: not connected */
    bool broker; /* redeems tokens, and says no CPID */
    bool connecting, ready; /* ready: the server's DONE has come */
    struct buf in;
    VEC(struct mech) mechs;
    char *stamp; /* "spid.cuid" */
    uint32_t last_id;
    struct hash *logins; /* outstanding, by id */
    struct waiter *waiting; /* for the hand-shake */
};

enum { SENDINGS = 10 }; /* of what a server has not answered before it ended */

enum login_state { LOGIN_IDLE, LOGIN_ASKED, LOGIN_ANSWERED, LOGIN_LOST };

struct auth_login {
    struct auth_client *client;
    uint32_t id;
    enum login_state state;
    enum auth_answer answer;
    struct task *task; /* parked here */
    struct buf challenge, user, token, code, reason;
    struct user *found; /* redeeming: filled by the answer, texts in mem */
    struct arena *mem;
};

struct auth_client *auth_client_new(const char *path)
{
    struct auth_client *c = mem_new(sizeof *c);

    c->path = mem_dupz(path);
    c->fd = -1;
    c->in = BUF(AUTH_LINE_MAX);
    c->logins = hash_new();
    return c;
}

struct auth_client *auth_client_new_broker(const char *path)
{
    struct auth_client *c = auth_client_new(path);

    c->broker = true;
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

static struct str id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

static void wake_waiting(struct auth_client *c)
{
    for (struct waiter *w = c->waiting; w != NULL; w = w->next)
        task_wake(w->task);
}

/* The connection is over: whoever waits for something on it is told. */
static void hang_up(struct auth_client *c)
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
        l->state = LOGIN_LOST;
        if (l->task != NULL)
            task_wake(l->task);
        hash_drop(c->logins, id_key(&l->id));
    }
    wake_waiting(c);
}

void auth_client_free(struct auth_client **c)
{
    if (*c == NULL)
        return;
    hang_up(*c);
    forget_mechs(*c);
    VEC_FREE(&(*c)->mechs);
    hash_free(&(*c)->logins, NULL);
    buf_free(&(*c)->in);
    free((*c)->path);
    free(*c);
    *c = NULL;
}

/* ---- lines of the server */

static void set_field(struct buf *b, const struct auth_msg *m, const char *name)
{
    struct str value = auth_msg_get(m, name);
    if (value.p != NULL && str_find(value, '\0') < 0)
        buf_set(b, value);
}

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
    struct buf stamp = BUF(64);

    if (c->stamp != NULL)
        buf_addf(&stamp, "%s.", c->stamp);
    buf_add(&stamp, auth_msg_arg(m, 0));
    free(c->stamp);
    c->stamp = buf_take(&stamp);
}

static const char *keep(struct arena *mem, const struct auth_msg *m, const char *name)
{
    struct str value = auth_msg_get(m, name);
    return value.p == NULL || str_find(value, '\0') >= 0 ? "" : arena_strz(mem, value);
}

/* False: not complete. */
static bool take_user(struct user *u, struct arena *mem, const struct auth_msg *m)
{
    struct str name = auth_msg_arg(m, 0);

    if (name.n == 0 || str_find(name, '\0') >= 0)
        return false;
    *u = (struct user){.name = arena_strz(mem, name),
                       .home = keep(mem, m, "home"),
                       .mail = keep(mem, m, "mail"),
                       .quota_rule = keep(mem, m, "quota_rule")};
    return num_parse_u32(auth_msg_get(m, "uid"), 0, UINT32_MAX - 1, &u->uid) &&
           num_parse_u32(auth_msg_get(m, "gid"), 0, UINT32_MAX - 1, &u->gid) && *u->mail != '\0';
}

static void take_answer(struct auth_client *c, const struct auth_msg *m)
{
    struct auth_login *l = hash_find(c->logins, id_key(&m->id));

    if (l == NULL || l->state != LOGIN_ASKED)
        return; /* given up in the meantime */
    set_field(&l->user, m, "user");
    if (m->verb == AUTH_V_CONT) {
        l->answer = AUTH_MORE;
        buf_set(&l->challenge, auth_msg_arg(m, 0));
    } else if (m->verb == AUTH_V_USER) {
        l->answer = l->found != NULL && take_user(l->found, l->mem, m) ? AUTH_OK : AUTH_LATER;
    } else if (m->verb == AUTH_V_OK) {
        l->answer = l->user.n > 0 ? AUTH_OK : AUTH_LATER;
        set_field(&l->token, m, "token");
    } else {
        l->answer = auth_msg_has(m, "temp") ? AUTH_LATER : AUTH_DENIED;
        set_field(&l->code, m, "code");
        set_field(&l->reason, m, "reason");
    }
    if (m->verb != AUTH_V_CONT)
        hash_drop(c->logins, id_key(&m->id));
    l->state = LOGIN_ANSWERED;
    if (l->task != NULL)
        task_wake(l->task);
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
    case AUTH_V_NOTFOUND:
        take_answer(c, &m);
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

/* What has come: 1 something, 0 nothing, -1 the connection is over. */
static int receive(struct auth_client *c)
{
    size_t room = c->in.max - c->in.n;
    char *to = room > 0 ? buf_room(&c->in, room < 4096 ? room : 4096) : NULL;
    ssize_t n = to == NULL ? 0 : recv(c->fd, to, room < 4096 ? room : 4096, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0)
        buf_grown(&c->in, (size_t)n);
    return n > 0 && take_lines(c) ? 1 : -1;
}

static void readable(void *arg, int fd, short events)
{
    (void)fd;
    (void)events;
    if (receive(arg) < 0)
        hang_up(arg);
}

/* ---- asking */

/* A socket that does not take a few lines at once belongs to a server that is stuck, or has gone.
 * What it said before it went holds: a token that it has redeemed is not asked for again. */
static bool send_lines(struct auth_client *c, const struct buf *out)
{
    ssize_t n = out->full ? -1 : send(c->fd, out->p, out->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == (ssize_t)out->n)
        return true;
    while (receive(c) > 0)
        ;
    hang_up(c);
    return false;
}

static int no_answer(struct auth_client *c, struct why *why)
{
    return why_set(why, "4.7.0", "authentication service %s does not answer", c->path);
}

static int connect_server(struct auth_client *c, int64_t deadline, struct why *why)
{
    struct buf hello = BUF(200);

    c->connecting = true;
    int fd = sock_connect_unix(c->path, deadline, why); /* waits */
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
    if (!c->broker) {
        auth_wire_begin(&hello, AUTH_V_CPID);
        auth_wire_argn(&hello, getpid());
        auth_wire_end(&hello);
    }
    bool sent = send_lines(c, &hello);
    buf_free(&hello);
    if (!sent)
        return no_answer(c, why);
    task_watch(fd, POLLIN, readable, c);
    return 0;
}

/* (waits) while there is a connection whose hand-shake is not complete. False: for too long. */
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
    return w != WAIT_TIMEOUT && w != WAIT_CANCELLED;
}

/* (waits) until the server's hand-shake is complete; connects if need be, again when the server
 * goes just then. */
static int be_ready(struct auth_client *c, int64_t deadline, struct why *why)
{
    for (int i = 0; !c->ready && i < SENDINGS; i++) {
        if (c->fd < 0 && !c->connecting && connect_server(c, deadline, why) < 0)
            return -1;
        if (!wait_greeting(c, deadline))
            break;
    }
    return c->ready ? 0 : no_answer(c, why);
}

static bool fits(const struct mech *m, unsigned forbid, unsigned require)
{
    return (m->traits & (forbid | AUTH_PRIVATE)) == 0 && (m->traits & require) == require;
}

int auth_client_mechs(struct auth_client *c, unsigned forbid, unsigned require, struct buf *names,
                      int64_t deadline, struct why *why)
{
    size_t start = names->n;

    if (be_ready(c, deadline, why) < 0)
        return -1;
    VEC_EACH (&c->mechs, m)
        if (fits(m, forbid, require))
            buf_addf(names, "%s%s", names->n > start ? " " : "", m->name);
    return 0;
}

bool auth_client_has(struct auth_client *c, struct str mech, unsigned forbid, unsigned require,
                     int64_t deadline)
{
    if (be_ready(c, deadline, NULL) < 0)
        return false;
    VEC_EACH (&c->mechs, m)
        if (str_ieqz(mech, m->name))
            return (m->traits & forbid) == 0 && (m->traits & require) == require;
    return false;
}

int auth_client_stamp(struct auth_client *c, struct buf *out, int64_t deadline, struct why *why)
{
    if (be_ready(c, deadline, why) < 0)
        return -1;
    buf_addz(out, c->stamp != NULL ? c->stamp : "");
    return 0;
}

static bool is_base64(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/' && c != '=')
            return false;
    }
    return true;
}

static enum auth_answer denied(struct auth_login *l, const char *reason, struct why *why)
{
    buf_setz(&l->reason, reason);
    why_set(why, "5.7.8", "%s", reason);
    return AUTH_DENIED;
}

/* (waits) for the server's word on what has been sent. */
static enum auth_answer wait_answer(struct auth_login *l, int64_t deadline, struct why *why)
{
    enum wait w = WAIT_READY;

    l->task = task_self();
    while (l->state == LOGIN_ASKED && w != WAIT_TIMEOUT && w != WAIT_CANCELLED)
        w = task_park(deadline);
    l->task = NULL;
    if (l->state != LOGIN_ANSWERED) {
        no_answer(l->client, why);
        return AUTH_LATER;
    }
    if (l->answer == AUTH_LATER)
        why_set(why, "4.7.0", "%s",
                l->reason.n > 0 ? l->reason.p : "temporary authentication failure");
    else if (l->answer == AUTH_DENIED)
        why_set(why, "5.7.8", "%s", l->reason.n > 0 ? l->reason.p : "authentication failed");
    return l->answer;
}

static void pair_if(struct buf *out, const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        auth_wire_pair(out, name, strz(value));
}

static void format_ask(struct buf *out, uint32_t id, const struct auth_ask *ask)
{
    auth_wire_begin_id(out, AUTH_V_AUTH, id);
    auth_wire_arg(out, ask->mech);
    auth_wire_pair(out, "service", strz(ask->service));
    if (ask->secured)
        auth_wire_arg(out, STR("secured"));
    if (ask->tls)
        auth_wire_arg(out, STR("tls"));
    pair_if(out, "rip", ask->client_address);
    pair_if(out, "rport", ask->client_port);
    pair_if(out, "lip", ask->server_address);
    pair_if(out, "lport", ask->server_port);
    if (ask->initial.p != NULL)
        auth_wire_pair(out, "resp", str_eqz(ask->initial, "=") ? STR("") : ask->initial);
    auth_wire_end(out);
}

/* (waits) Sends the line as a request of this attempt, then waits for the answer. */
static enum auth_answer ask(struct auth_login *l, const struct buf *line, int64_t deadline,
                            struct why *why)
{
    struct auth_client *c = l->client;

    if (line->full)
        return denied(l, "authentication response too long", why);
    if (!send_lines(c, line)) {
        l->state = LOGIN_LOST;
        no_answer(c, why);
        return AUTH_LATER;
    }
    if (hash_find(c->logins, id_key(&l->id)) == NULL)
        hash_put(c->logins, id_key(&l->id), l);
    l->state = LOGIN_ASKED;
    return wait_answer(l, deadline, why);
}

static void wipe(struct buf *line)
{
    if (line->room > 0)
        explicit_bzero(line->p, line->room);
    buf_free(line);
}

/* (waits) The same for the first line of an attempt: it stands for itself, so it can be sent again
 * when the connection ends without an answer, as it does when the server is started anew. */
static enum auth_answer ask_first(struct auth_login *l, const struct buf *line, int64_t deadline,
                                  struct why *why)
{
    enum auth_answer answer;
    int sendings = 0;

    do {
        l->state = LOGIN_IDLE;
        answer = be_ready(l->client, deadline, why) < 0 ? AUTH_LATER : ask(l, line, deadline, why);
    } while (l->state == LOGIN_LOST && ++sendings < SENDINGS && !task_is_cancelled());
    if (answer == AUTH_OK || answer == AUTH_MORE)
        why_clear(why);
    return answer;
}

static struct auth_login *new_login(struct auth_client *c)
{
    struct auth_login *l = mem_new(sizeof *l);

    l->client = c;
    l->challenge = BUF(AUTH_LINE_MAX);
    l->user = l->token = l->code = l->reason = BUF(SASL_FIELD_MAX);
    return l;
}

static void number(struct auth_login *l)
{
    do
        l->id = ++l->client->last_id;
    while (l->id == 0 || hash_find(l->client->logins, id_key(&l->id)) != NULL);
}

enum auth_answer auth_login_start(struct auth_client *c, const struct auth_ask *what,
                                  int64_t deadline, struct auth_login **login, struct why *why)
{
    struct auth_login *l = *login = new_login(c);
    struct buf line = BUF(AUTH_LINE_MAX);

    if (!is_base64(what->initial))
        return denied(l, "malformed authentication response", why);
    number(l);
    format_ask(&line, l->id, what);
    enum auth_answer answer = ask_first(l, &line, deadline, why);
    wipe(&line);
    return answer;
}

enum auth_answer auth_login_reply(struct auth_login *l, struct str base64, int64_t deadline,
                                  struct why *why)
{
    struct buf line = BUF(AUTH_LINE_MAX);

    if (l->state != LOGIN_ANSWERED || l->answer != AUTH_MORE) {
        no_answer(l->client, why);
        return AUTH_LATER;
    }
    if (!is_base64(base64))
        return denied(l, "malformed authentication response", why);
    auth_wire_begin_id(&line, AUTH_V_CONT, l->id);
    auth_wire_arg(&line, base64);
    auth_wire_end(&line);
    enum auth_answer answer = ask(l, &line, deadline, why);
    wipe(&line);
    return answer;
}

enum auth_answer auth_client_redeem(struct auth_client *c, const char *token, const char *service,
                                    int64_t deadline, struct user *u, struct arena *mem,
                                    struct why *why)
{
    struct auth_login *l = new_login(c);
    struct buf line = BUF(AUTH_LINE_MAX);

    l->found = u;
    l->mem = mem;
    number(l);
    auth_wire_begin_id(&line, AUTH_V_REQUEST, l->id);
    auth_wire_arg(&line, strz(token));
    auth_wire_pair(&line, "service", strz(service));
    auth_wire_end(&line);
    enum auth_answer answer = ask_first(l, &line, deadline, why);
    wipe(&line);
    auth_login_free(&l);
    return answer;
}

void auth_login_free(struct auth_login **login)
{
    struct auth_login *l = *login;
    struct buf line = BUF(64);

    if (l == NULL)
        return;
    *login = NULL;
    if (l->id != 0 && hash_drop(l->client->logins, id_key(&l->id)) != NULL && l->client->fd >= 0) {
        auth_wire_begin_id(&line, AUTH_V_CANCEL, l->id);
        auth_wire_end(&line);
        send_lines(l->client, &line);
        buf_free(&line);
    }
    buf_free(&l->challenge);
    buf_free(&l->user);
    buf_free(&l->token);
    buf_free(&l->code);
    buf_free(&l->reason);
    free(l);
}

const char *auth_login_challenge(const struct auth_login *l)
{
    return l->challenge.p;
}

const char *auth_login_user(const struct auth_login *l)
{
    return l->user.p;
}

const char *auth_login_token(const struct auth_login *l)
{
    return l->token.p;
}

const char *auth_login_code(const struct auth_login *l)
{
    return l->code.p;
}

const char *auth_login_reason(const struct auth_login *l)
{
    return l->reason.p;
}
