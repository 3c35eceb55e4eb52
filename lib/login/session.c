/*
 * The process of one user: becoming the user, taking connections, ending.
 */
#include "login/session.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "login/session_parts.h"
#include "net/addr.h"
#include "net/stream.h"
#include "service/become.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

/* How long an ending process waits for the broker to close the pair. */
enum { LEAVE_MS = 10 * 1000 };

struct connection {
    struct list link;
    struct handover h;
    struct arena *mem; /* of the handover, and then of the connection */
    struct task *task;
    struct addr network; /* that counts as one client */
    int fd; /* until its stream has it */
};

static struct {
    const struct session_program *program;
    struct user user; /* its texts are the hand-over's, which stays */
    struct list connections;
    int nconnections;
    struct task *control; /* reads what the broker sends, and is woken when a connection ends */
    bool stopping; /* the sessions say good-bye */
    bool leaving; /* the broker was told: no more connections */
    int64_t idle_since; /* no connection from then on */
    int64_t leave_at; /* give up waiting for the broker's end of the pair */
    int64_t trim_at, trim_step; /* memory is given back then; 0: not again */
    int dir; /* the mail directory that we are confined to; open, so that no other has its number */
    dev_t dir_dev; /* of dir */
    ino_t dir_ino;
    bool unusable; /* start has failed */
    struct why why; /* the reason */
} state;

const struct user *session_user(void)
{
    return &state.user;
}

bool session_draining(void)
{
    return state.stopping;
}

/* ---- connections of the child */

/* Whoever has one IPv6 address has as many as he likes: his network counts, as before login. */
static struct addr network_of(const char *address)
{
    struct addr a = {0};

    if (addr_parse(strz(address), &a))
        addr_mask(&a, (unsigned)(a.family == AF_INET ? conf.login_client_ipv4_prefix_length
                                                     : conf.login_client_ipv6_prefix_length));
    return a;
}

/* All connections of the user by this protocol are here, so here they are counted. */
static bool too_many_from(const struct connection *c, struct why *why)
{
    int64_t n = 0;

    LIST_EACH (&state.connections, l)
        n += addr_same_host(&LIST_OF(l, struct connection, link)->network, &c->network);
    if (conf.mail_max_userip_connections == 0 || n <= conf.mail_max_userip_connections)
        return false;
    why_set(why, SESSION_LIMIT,
            "Maximum number of connections from user+IP exceeded "
            "(mail_max_userip_connections=%lld)",
            (long long)conf.mail_max_userip_connections);
    return true;
}

static void serve_connection(void *arg)
{
    struct connection *c = arg;
    struct stream *client = stream_new(c->fd);
    struct why why = WHY;

    stream_unread(client, c->h.pending);
    if (state.unusable) {
        state.program->refuse(client, &c->h, &state.why);
    } else if (too_many_from(c, &why)) {
        msg_info("%s: Disconnected: %s: user=<%s>, rip=%s, session=<%s>", state.program->name,
                 why_text(&why), state.user.name, c->h.client_address, c->h.session);
        state.program->refuse(client, &c->h, &why);
    } else {
        state.program->connection(client, &c->h, c->mem);
    }
    why_free(&why);
    stream_free(&client);
    list_drop(&c->link);
    state.nconnections--;
    state.idle_since = task_now();
    struct arena *mem = c->mem; /* c is in it */
    arena_free(&mem);
    task_wake(state.control);
}

/*
 * There may be thousands of these processes, each for one idle user: what malloc keeps for later
 * goes back, soon after a connection has come, and then more and more rarely.
 */
static void trim(void)
{
    enum { TRIM_MOST_MS = 300 * 1000 };

    if (state.trim_at == 0 || task_now() < state.trim_at)
        return;
    malloc_trim(0);
    state.trim_step = state.trim_step >= TRIM_MOST_MS / 10 ? TRIM_MOST_MS : state.trim_step * 10;
    state.trim_at = task_now() + state.trim_step;
}

static void trim_soon(void)
{
    enum { TRIM_FIRST_MS = 3000 };

    state.trim_step = TRIM_FIRST_MS;
    state.trim_at = task_now() + TRIM_FIRST_MS;
}

/* Takes the client's descriptor of a message over into a task of its own. */
static void add_connection(struct attrs *ask)
{
    struct arena *mem = arena_new(NULL);
    struct connection *c = arena_alloc(mem, sizeof *c);

    c->mem = mem;
    c->fd = attrs_take_fd(ask);
    if (c->fd < 0 || !handover_get(ask, &c->h, mem) ||
        strcmp(c->h.service, state.program->name) != 0 || strcmp(c->h.user, state.user.name) != 0) {
        msg_warn("malformed hand-over from the mailbox broker");
        task_close(c->fd);
        arena_free(&mem);
        return;
    }
    c->network = network_of(c->h.client_address);
    list_add(&state.connections, &c->link);
    state.nconnections++;
    trim_soon();
    c->task = task_start(state.program->name, serve_connection, c);
}

/* ---- the life of the child */

static void stop_all(void)
{
    state.stopping = true;
    LIST_EACH (&state.connections, l)
        task_cancel(LIST_OF(l, struct connection, link)->task);
    task_wake(state.control);
}

static void on_signal(int signo)
{
    (void)signo;
    stop_all();
}

static void lifeline_ended(void *arg, int fd, short events)
{
    (void)arg;
    (void)events;
    task_watch(fd, 0, NULL, NULL);
    stop_all();
}

/* We are confined to a directory, not to a name: when another one stands there now (restored from a
 * backup, say), only a new process can serve it. */
static bool directory_was_replaced(void)
{
    struct buf path = BUF(4096); /* fits: or is left out whole, and "" names no file */
    struct stat now;

    buf_add(&path, user_maildir(&state.user));
    bool same =
        stat(path.p, &now) == 0 && now.st_ino == state.dir_ino && now.st_dev == state.dir_dev;
    buf_free(&path);
    return !same && !state.unusable;
}

static void leave(int fd)
{
    if (state.leaving)
        return;
    state.leaving = true;
    state.leave_at = task_now() + LEAVE_MS;
    shutdown(fd, SHUT_WR);
}

/* To the broker, which finds or makes another process for it. */
static void send_back(struct attrs *ask, int fd)
{
    struct attrs again = ATTRS(HANDOVER_MAX);
    struct arena *mem = arena_new(NULL);
    struct handover h;
    struct why why = WHY;

    if (handover_get(ask, &h, mem)) {
        attrs_putz(&again, A_REQUEST, REQUEST_AGAIN);
        handover_put(&again, &h);
        attrs_put_fd(&again, attrs_take_fd(ask));
        if (attrs_post(fd, &again, &why) < 0)
            msg_warn("to the mailbox broker: %s", why_text(&why));
    }
    why_free(&why);
    attrs_free(&again);
    arena_free(&mem);
}

/* One message; false when the broker has closed the pair. */
static bool take_message(struct stream *broker)
{
    struct attrs ask = ATTRS(HANDOVER_MAX);
    bool taken = attrs_recv(broker, &ask, NULL) == 0;

    if (taken && strcmp(attrs_get(&ask, A_REQUEST), REQUEST_JOIN) != 0) {
        msg_warn("request \"%s\" of the mailbox broker is not allowed in this state",
                 attrs_opt(&ask, A_REQUEST, ""));
    } else if (taken && !state.leaving && directory_was_replaced()) {
        send_back(&ask, stream_fd(broker));
        leave(stream_fd(broker));
    } else if (taken) {
        add_connection(&ask);
    }
    attrs_free(&ask);
    return taken;
}

/* Until when there is nothing to do but to wait for the broker; 0: for ever. */
static int64_t rest_until(void)
{
    int64_t linger = state.unusable || state.stopping ? 0 : conf.mail_session_linger * 1000;

    if (state.leaving)
        return state.leave_at;
    return state.nconnections > 0 ? 0 : state.idle_since + linger;
}

/* The broker may send us a connection at the moment when we want to end. So we say that we will,
 * and go on reading until it has seen that. */
static void control(int fd)
{
    struct stream *broker = attrs_stream(fd);

    for (;;) {
        int64_t until = rest_until();
        bool trims = state.trim_at != 0 && (until == 0 || state.trim_at < until);
        enum wait w = stream_wait(broker, trims ? state.trim_at : until);
        bool over = w == WAIT_TIMEOUT && until != 0 && task_now() >= until;
        trim();
        if (w == WAIT_READY && !take_message(broker))
            break;
        if (w == WAIT_CANCELLED || (over && state.leaving))
            break;
        if (over || state.stopping)
            leave(fd);
    }
    stream_abort(&broker);
    while (state.nconnections > 0)
        task_park_anyway(0);
}

static int keep_dir(const char *path)
{
    struct stat st;

    state.dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (state.dir < 0 || fstat(state.dir, &st) < 0)
        return -1;
    state.dir_dev = st.st_dev;
    state.dir_ino = st.st_ino;
    return 0;
}

/* As the user, who is confined from here on. A directory that is missing is made, as the user. */
static int become_user(const struct user *u, struct why *why)
{
    struct buf path = BUF(4096); /* fits: or is left out whole, and "" names no file */

    buf_add(&path, user_maildir(u));
    const char *const dirs[] = {path.p};
    int result = become_forever(u->uid, u->gid, dirs, 1, why);
    if (result < 0 && geteuid() != 0 && access(path.p, F_OK) < 0 && errno == ENOENT) {
        why_clear(why);
        result = file_make_dirs(path.p, 0700, why);
        if (result == 0)
            result = become_forever(u->uid, u->gid, dirs, 1, why);
    }
    if (result == 0 && keep_dir(path.p) < 0)
        result = why_errno(why, "4.3.0", "%s", path.p);
    buf_free(&path);
    return result;
}

static void begin_session(int lifeline)
{
    state.why = WHY;
    list_init(&state.connections);
    state.idle_since = task_now();
    if (become_user(&state.user, &state.why) < 0) {
        /* Nothing of the user's has been read, and nothing may be. */
        msg_error("user %s: %s", state.user.name, why_text(&state.why));
        state.unusable = true;
    }
    task_watch(lifeline, POLLIN, lifeline_ended, NULL);
    task_on_signal(SIGTERM, on_signal);
    task_on_signal(SIGINT, on_signal);
    task_on_signal(SIGHUP, on_signal);
    if (!state.unusable && state.program->start != NULL &&
        state.program->start(&state.user, &state.why) < 0) {
        msg_error("user %s: %s", state.user.name, why_text(&state.why));
        state.unusable = true;
    }
}

void session_live(const struct session_start *s)
{
    const int keep[] = {s->client, s->broker, s->lifeline, s->alive};

    service_forked(keep, 4);
    state.program = s->program;
    state.user = *s->user;
    jail_session_channel(s->broker);
    state.control = task_self();
    begin_session(s->lifeline);
    attrs_put_fd(s->ask, s->client);
    add_connection(s->ask);
    explicit_bzero(s->ask->wire.p, s->ask->wire.n);
    attrs_free(s->ask);
    control(s->broker);
    if (state.program->stop != NULL)
        state.program->stop();
    msg_flush();
    _exit(0);
}
