/*
 * NAME
 *     mailbox - from a login to the session of the user
 *
 * SYNOPSIS
 *     mailbox [service options]; started by master
 *
 * DESCRIPTION
 *     The mailbox broker. A front (pop3d, imapd) that has a token from authd passes it here with
 *     the client's descriptor. The broker exchanges the token at authd for the user's name and a
 *     ticket, and hands the descriptor to the process that serves this user; if there is none, the
 *     program of the service (imap, pop3) redeems the ticket and forks one. All connections of a
 * user by one protocol are in one process.
 *
 * SECURITY
 *     Has no right at all: it opens no file, starts no process, becomes nobody, and reads no byte
 *     of a client. A front can name nobody here without a password that authd has seen, and neither
 *     can the broker name anybody to imap and pop3.
 *
 * SEE ALSO
 *     authd, imap, pop3, login/handover.h
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth_client.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "login/handover.h"
#include "net/sock.h"
#include "net/stream.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

/* The programs that fork sessions. */
enum { PROGRAMS = 2 };
static const char *const programs[PROGRAMS] = {"imap", "pop3"};

/* A user's session process, as long as it takes connections. */
struct session {
    const char *key; /* service, blank, user */
    const char *user;
    struct arena *mem;
    int fd; /* to the process */
    int64_t pid; /* for the log; 0: not known yet */
};

/*
 * A new session inherits what such a program holds for each other one that is being started just
 * then, so many at once make each of them dearer. A few keep the program busy while it waits for
 * authd; the channel lets the others wait their turn.
 */
enum { STARTS_AT_A_TIME = 4 };

static struct {
    struct auth_client *authd;
    struct channel *forkers[PROGRAMS];
    struct hash *sessions; /* by key */
    int ending; /* processes that take no more, and may still give back */
} state;

/* The channel to the program of a service; null: there is none. */
static struct channel *forker_of(const char *service)
{
    for (size_t i = 0; i < PROGRAMS; i++)
        if (strcmp(programs[i], service) == 0)
            return state.forkers[i];
    return NULL;
}

static int pass_on(const struct handover *h, int client, struct why *why);

static void free_session(struct session *s)
{
    struct arena *mem = s->mem; /* s is in it */

    task_close(s->fd);
    arena_free(&mem);
}

/* It gets no more connections; what it has to say is still to be read. */
static void take_out(struct session *s)
{
    task_watch(s->fd, 0, NULL, NULL);
    hash_drop(state.sessions, strz(s->key));
}

/* A connection that the process could not serve goes to another process of the same user. */
static void take_back(struct session *s, struct attrs *tell, struct arena *mem)
{
    struct handover h;
    struct why why = WHY;
    int client = attrs_take_fd(tell);

    if (client < 0 || strcmp(attrs_get(tell, A_REQUEST), REQUEST_AGAIN) != 0 ||
        !handover_get(tell, &h, mem) || forker_of(h.service) == NULL ||
        strcmp(h.user, s->user) != 0)
        msg_warn("request \"%s\" of a session process is malformed or not allowed",
                 attrs_opt(tell, A_REQUEST, ""));
    else if (pass_on(&h, client, &why) < 0)
        msg_warn("%s: %s", s->key, why_text(&why));
    task_close(client);
    why_free(&why);
}

static void drain_process(void *arg)
{
    enum { PATIENCE_MS = 5000 };
    struct session *s = arg;
    struct attrs tell = ATTRS(HANDOVER_MAX);
    struct stream *process = attrs_stream(s->fd);

    s->fd = -1; /* the stream's */
    stream_set_deadline(process, task_now() + PATIENCE_MS);
    while (attrs_recv(process, &tell, NULL) == 0)
        take_back(s, &tell, s->mem);
    attrs_free(&tell);
    stream_abort(&process);
    free_session(s);
    state.ending--;
}

/* The process takes no more connections, or has ended. */
static void session_speaks(void *arg, int fd, short events)
{
    (void)fd;
    (void)events;
    take_out(arg);
    state.ending++;
    task_start("session", drain_process, arg);
}

static void new_session(const char *key, const char *user, int fd)
{
    struct arena *mem = arena_new(NULL);
    struct session *s = arena_alloc(mem, sizeof *s);

    s->mem = mem;
    s->key = arena_strz(mem, strz(key));
    s->user = arena_strz(mem, strz(user));
    s->fd = fd;
    hash_put(state.sessions, strz(key), s);
    task_watch(fd, POLLIN, session_speaks, s);
}

/* To a process that is there. */
static int join(struct session *s, const struct handover *h, int client, struct why *why)
{
    struct attrs ask = ATTRS(HANDOVER_MAX);

    attrs_putz(&ask, A_REQUEST, REQUEST_JOIN);
    handover_put(&ask, h);
    attrs_put_fd(&ask, client);
    int result = attrs_post(s->fd, &ask, why);
    attrs_take_fd(&ask); /* the caller's */
    attrs_free(&ask);
    return result;
}

/*
 * To a new process. It is known from here on: a connection of the same user that comes while it is
 * being forked writes to the pair already, and the process finds it there.
 */
static int mailbox_broker_begin(const char *key, const struct handover *h, int client,
                                struct why *why)
{
    struct attrs ask = ATTRS(HANDOVER_MAX), answer = ATTRS(HANDOVER_MAX);
    int pair[2];

    if (sock_pair(pair) < 0)
        return why_errno(why, "4.3.0", "socket pair");
    new_session(key, h->user, pair[0]);
    ++*metrics_counter("session_processes");
    attrs_putz(&ask, A_REQUEST, REQUEST_SERVE);
    handover_put(&ask, h);
    attrs_put_fd(&ask, client);
    attrs_put_fd(&ask, pair[1]);
    int64_t until = task_now() + conf.auth_request_timeout * 1000; /* as long as the front waits */
    int result = channel_call(forker_of(h->service), &ask, &answer, until, why);
    struct session *s = hash_find(state.sessions, strz(key)); /* it may have ended meanwhile */
    if (result == 0 && s != NULL && s->fd == pair[0])
        s->pid = attrs_getn(&answer, A_PID, 0, INT32_MAX);
    attrs_take_fd(&ask); /* the client's is the caller's; ours ends the session if that failed */
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

/* Of state.sessions. */
static void add_key(struct buf *key, const struct handover *h)
{
    buf_addf(key, "%s %s", h->service, h->user);
}

static int pass_on(const struct handover *h, int client, struct why *why)
{
    /* fits: both come from one message of HANDOVER_MAX */
    struct buf key = BUF(HANDOVER_MAX);

    add_key(&key, h);
    struct session *s = hash_find(state.sessions, buf_str(&key));
    int result = s != NULL ? join(s, h, client, why) : -1;
    if (s != NULL && result < 0) { /* it is stuck, or has just gone */
        msg_warn("%s: %s", key.p, why_text(why));
        take_out(s);
        free_session(s);
    }
    if (result < 0) {
        why_clear(why);
        result = mailbox_broker_begin(key.p, h, client, why);
    }
    buf_free(&key);
    return result;
}

/* (waits) Fills in the user and the ticket. */
static int exchange(const char *token, struct handover *h, struct arena *mem, struct why *why)
{
    int64_t until = task_now() + conf.auth_request_timeout * 1000;
    struct ticket t;
    enum auth_answer answer =
        auth_client_exchange(state.authd, token, h->service, until, &t, mem, why);

    if (answer == AUTH_OK) {
        h->user = t.user;
        h->ticket = t.text;
        return 0;
    }
    if (answer == AUTH_DENIED)
        msg_warn("%s from %s: %s", h->service, h->client_address, why_text(why));
    return -1;
}

static void put_pid(struct attrs *answer, const struct handover *h)
{
    /* fits: both come from one message of HANDOVER_MAX */
    struct buf key = BUF(HANDOVER_MAX);

    add_key(&key, h);
    struct session *s = hash_find(state.sessions, buf_str(&key));
    if (s != NULL && s->pid > 0)
        attrs_putn(answer, A_PID, s->pid);
    buf_free(&key);
}

static void mailbox_broker_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    const char *token = attrs_get(ask, A_TOKEN);
    int client = attrs_take_fd(ask);
    struct why why = WHY;
    struct handover h;

    if (client < 0 || strcmp(attrs_get(ask, A_REQUEST), REQUEST_OPEN) != 0 ||
        !handover_get(ask, &h, mem) || forker_of(h.service) == NULL) {
        msg_warn("request \"%s\" of a front is malformed or not allowed",
                 attrs_opt(ask, A_REQUEST, ""));
        why_set(&why, "4.3.0", "malformed request");
    } else if (exchange(token, &h, mem, &why) == 0) {
        pass_on(&h, client, &why);
    }
    task_close(client);
    attrs_put_why(answer, &why);
    if (why.text.n == 0)
        put_pid(answer, &h);
    why_free(&why);
}

static void mailbox_broker_open_all(void)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(200);

    buf_addf(&path, "private/%s", conf.auth_service_name);
    state.authd = auth_client_new_tokens(path.p);
    for (size_t i = 0; i < PROGRAMS; i++) {
        buf_clear(&path);
        buf_addf(&path, "private/%s", programs[i]);
        state.forkers[i] = channel_new(path.p, STARTS_AT_A_TIME);
    }
    buf_free(&path);
    state.sessions = hash_new();
}

/* The sessions serve what they have; their next connections go to the next broker's. */
static void drain(void)
{
    enum { LOOK_MS = 20 };
    size_t cursor = 0;
    struct str key;
    void *value;

    for (size_t i = 0; i < PROGRAMS; i++)
        channel_close_idle(state.forkers[i]);
    while (hash_next(state.sessions, &cursor, &key, &value)) {
        take_out(value);
        free_session(value);
        cursor = 0;
    }
    while (state.ending > 0 && task_sleep(task_now() + LOOK_MS) != WAIT_CANCELLED)
        ;
}

int main(int argc, char **argv)
{
    static const struct service mailbox = {.name = "mailbox",
                                           .rights = 0,
                                           .in_queue = true,
                                           .alone = true,
                                           .open = mailbox_broker_open_all,
                                           .request = mailbox_broker_request,
                                           .drain = drain,
                                           .request_limit = HANDOVER_MAX};

    return service_main(&mailbox, argc, argv);
}
