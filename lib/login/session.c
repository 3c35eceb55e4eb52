/*
 * The program that forks a process for each user, and that process: becoming the user, taking
 * connections, ending.
 */
#include "login/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
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
    int fd; /* until its stream has it */
};

static struct {
    const struct session_program *program;
    /* A pipe that nothing is written to: when the forking process ends, or closes its end, its
     * children read the end of it, and stop. It may not signal them: they are other users. */
    int lifeline[2];
    int children; /* of the forking process */
    /* In the child: */
    struct user user;
    struct arena *mem; /* of the user's data */
    struct list connections;
    int nconnections;
    struct task *control; /* reads what the broker sends, and is woken when a connection ends */
    bool stopping; /* the sessions say good-bye */
    int dir; /* the user's mail directory, to which we are confined */
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

/* All connections of the user by this protocol are here, so here they are counted. */
static bool too_many_from(const struct connection *c, struct why *why)
{
    int64_t n = 0;

    LIST_EACH (&state.connections, l)
        if (strcmp(LIST_OF(l, struct connection, link)->h.client_address, c->h.client_address) == 0)
            n++;
    if (conf.mail_max_userip_connections == 0 || n <= conf.mail_max_userip_connections)
        return false;
    why_set(why, "4.7.0",
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
    if (state.unusable)
        state.program->refuse(client, &c->h, &state.why);
    else if (too_many_from(c, &why))
        state.program->refuse(client, &c->h, &why);
    else
        state.program->connection(client, &c->h, c->mem);
    why_free(&why);
    stream_free(&client);
    list_drop(&c->link);
    state.nconnections--;
    struct arena *mem = c->mem; /* c is in it */
    arena_free(&mem);
    task_wake(state.control);
}

/* Takes the client's descriptor of a message over into a task of its own. */
static void add_connection(struct attrs *ask)
{
    struct arena *mem = arena_new(NULL);
    struct connection *c = arena_alloc(mem, sizeof *c);

    c->mem = mem;
    c->fd = attrs_take_fd(ask);
    if (c->fd < 0 || !handover_get(ask, &c->h, mem) ||
        strcmp(c->h.service, state.program->name) != 0) {
        msg_warn("malformed hand-over from the mailbox broker");
        task_close(c->fd);
        arena_free(&mem);
        return;
    }
    list_add(&state.connections, &c->link);
    state.nconnections++;
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

/* The directory was removed, or another one stands in its place: that one we may not open. */
static bool directory_replaced(void)
{
    struct buf path = BUF(4096);
    struct stat mine, there;

    buf_add(&path, user_maildir(&state.user));
    bool same = state.dir >= 0 && fstat(state.dir, &mine) == 0 && stat(path.p, &there) == 0 &&
                mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
    buf_free(&path);
    return !same && !state.unusable;
}

/* To a new process, through the broker. */
static void give_back(int broker, struct attrs *ask)
{
    struct attrs again = ATTRS(HANDOVER_MAX);
    struct arena *mem = arena_new(NULL);
    struct handover h;
    int client = attrs_take_fd(ask);

    if (client >= 0 && handover_get(ask, &h, mem)) {
        attrs_putz(&again, A_REQUEST, REQUEST_AGAIN);
        handover_put(&again, &h);
        attrs_put_fd(&again, client);
        attrs_post(broker, &again, NULL);
        attrs_take_fd(&again);
    }
    task_close(client);
    attrs_free(&again);
    arena_free(&mem);
}

/* One message; false when the broker has closed the pair. */
static bool take_message(struct stream *broker)
{
    struct attrs ask = ATTRS(HANDOVER_MAX);
    bool taken = attrs_recv(broker, &ask, NULL) == 0;

    if (taken && strcmp(attrs_get(&ask, A_REQUEST), REQUEST_JOIN) == 0 && directory_replaced())
        give_back(stream_fd(broker), &ask);
    else if (taken && strcmp(attrs_get(&ask, A_REQUEST), REQUEST_JOIN) == 0)
        add_connection(&ask);
    else if (taken)
        msg_warn("request \"%s\" of the mailbox broker is not allowed in this state",
                 attrs_opt(&ask, A_REQUEST, ""));
    attrs_free(&ask);
    return taken;
}

/* The broker may send us a connection at the moment when we want to end. So we say that we will,
 * and go on reading until it has seen that. */
static void control(int fd)
{
    struct stream *broker = attrs_stream(fd);
    bool leaving = false;

    for (;;) {
        int64_t linger = state.unusable || state.stopping ? 0 : conf.mail_session_linger * 1000;
        int64_t until = leaving                  ? task_now() + LEAVE_MS
                        : state.nconnections > 0 ? 0
                                                 : task_now() + linger;
        enum wait w = stream_wait(broker, until);
        if (w == WAIT_READY && !take_message(broker))
            break;
        if (w == WAIT_CANCELLED || (w == WAIT_TIMEOUT && leaving))
            break;
        if (w == WAIT_TIMEOUT || (state.stopping && !leaving)) {
            leaving = true;
            shutdown(fd, SHUT_WR);
        }
    }
    stream_abort(&broker);
    while (state.nconnections > 0)
        task_park(0);
}

/* As the user, who is confined from here on. A directory that is missing is made, as the user. */
static int become_user(const struct user *u, struct why *why)
{
    struct buf path = BUF(4096);

    buf_add(&path, user_maildir(u));
    const char *const dirs[] = {path.p};
    int result = become_forever(u->uid, u->gid, dirs, 1, why);
    if (result < 0 && geteuid() != 0 && access(path.p, F_OK) < 0 && errno == ENOENT) {
        why_clear(why);
        result = file_make_dirs(path.p, 0700, why);
        if (result == 0)
            result = become_forever(u->uid, u->gid, dirs, 1, why);
    }
    buf_free(&path);
    return result;
}

static void settle(struct attrs *ask)
{
    state.mem = arena_new(NULL);
    state.why = WHY;
    list_init(&state.connections);
    if (!handover_get_user(ask, &state.user, state.mem))
        msg_panic("malformed user from the mailbox broker");
    if (become_user(&state.user, &state.why) < 0) {
        /* Nothing of the user's has been read, and nothing may be. */
        msg_error("user %s: %s", state.user.name, why_text(&state.why));
        state.unusable = true;
    }
    if (!state.unusable) {
        struct buf path = BUF(4096);
        buf_add(&path, user_maildir(&state.user));
        state.dir = open(path.p, O_PATH | O_DIRECTORY | O_CLOEXEC);
        buf_free(&path);
    }
    task_watch(state.lifeline[0], POLLIN, lifeline_ended, NULL);
    task_on_signal(SIGTERM, on_signal);
    task_on_signal(SIGINT, on_signal);
    task_on_signal(SIGHUP, on_signal);
    if (!state.unusable && state.program->start != NULL &&
        state.program->start(&state.user, &state.why) < 0) {
        msg_error("user %s: %s", state.user.name, why_text(&state.why));
        state.unusable = true;
    }
}

static void __attribute__((noreturn)) live(struct attrs *ask, int client, int broker)
{
    const int keep[] = {client, broker, state.lifeline[0]};

    service_forked(keep, 3);
    state.control = task_self();
    settle(ask);
    attrs_put_fd(ask, client);
    add_connection(ask);
    explicit_bzero(ask->wire.p, ask->wire.n);
    attrs_free(ask);
    control(broker);
    if (state.program->stop != NULL)
        state.program->stop();
    msg_flush();
    _exit(0);
}

/* ---- what forks */

static void reap(int signo)
{
    int status;

    (void)signo;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        state.children--;
        if (WIFSIGNALED(status))
            msg_error("session process %d was killed by signal %d", (int)pid, WTERMSIG(status));
    }
}

static void request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    struct why why = WHY;
    struct handover h;
    struct user u;
    int client = attrs_take_fd(ask), broker = attrs_take_fd(ask);

    if (client < 0 || broker < 0 || strcmp(attrs_get(ask, A_REQUEST), REQUEST_SERVE) != 0 ||
        !handover_get(ask, &h, mem) || !handover_get_user(ask, &u, mem)) {
        why_set(&why, "4.3.0", "malformed request");
        msg_warn("request \"%s\" of the mailbox broker is malformed or not allowed",
                 attrs_opt(ask, A_REQUEST, ""));
    } else {
        msg_flush();
        pid_t pid = fork();
        if (pid == 0)
            live(ask, client, broker);
        if (pid < 0)
            why_errno(&why, "4.3.0", "fork");
        else
            state.children++;
    }
    /* Pages of ours that later children get hold nothing of this user. */
    explicit_bzero(ask->wire.p, ask->wire.n);
    close(client);
    close(broker);
    attrs_put_why(answer, &why);
    why_free(&why);
}

/* Master ends everything when we have ended, so the children get the time to say good-bye first.
 * Nothing else is left to do in this process, so this may block it. */
static void end_children(void)
{
    enum { PATIENCE_MS = 3000, LOOK_MS = 10 };

    close(state.lifeline[1]);
    for (int ms = 0; state.children > 0 && ms < PATIENCE_MS; ms += LOOK_MS) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
        reap(SIGCHLD);
    }
}

static void wait_for_stop(void *arg)
{
    (void)arg;
    while (task_park(0) != WAIT_CANCELLED)
        ;
    end_children();
}

static void start(void)
{
    task_on_signal(SIGCHLD, reap);
    task_start("lifeline", wait_for_stop, NULL);
}

/* The filter is that of the sessions, which inherit it; their own jail is the user's directory. */
static void paths(void)
{
    jail_write("/");
}

/* Sessions outlive a reload; we stay with them, or a stop would not reach them. */
static void drain(void)
{
    enum { LOOK_MS = 200 };

    while (state.children > 0 && task_sleep(task_now() + LOOK_MS) != WAIT_CANCELLED)
        ;
}

static void open_program(void)
{
    if (pipe2(state.lifeline, O_CLOEXEC) < 0)
        msg_fatal("pipe: %m");
    if (state.program->open != NULL)
        state.program->open();
}

int session_main(const struct session_program *p, int argc, char **argv)
{
    const struct service service = {.name = p->name,
                                    .rights = RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE,
                                    .open = open_program,
                                    .paths = paths,
                                    .start = start,
                                    .request = request,
                                    .drain = drain,
                                    .request_limit = HANDOVER_MAX};

    state.program = p;
    return service_main(&service, argc, argv);
}
