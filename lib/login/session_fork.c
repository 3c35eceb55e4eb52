/*
 * The program that forks a process for each user who has logged in: imap, pop3.
 *
 * It may become any user and believes nobody but authd: the mailbox broker shows a ticket, and
 * authd says who the user is, once for each ticket. Whoever else can reach its socket gets no
 * session.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_client.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "login/session.h"
#include "login/session_parts.h"
#include "service/become.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

static struct {
    const struct session_program *program;
    /* A pipe that nothing is written to. The children watch its reading end, which hangs up when
     * this process ends or closes the writing end: then they stop. They cannot be sent a signal:
     * they are other users, and this process has no CAP_KILL. */
    int lifeline[2];
    /* The children hold the writing end: the reading end hangs up with the last of them. */
    int alive[2];
    int children;
    struct auth_client *authd;
    uid_t owner_uid; /* of mail_owner, who may reach the sockets in private/ */
    gid_t owner_gid;
} state;

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

/* (waits) Root without the capabilities of root may not search private/: the owner may. authd sees
 * the uid of the process all the same, which is 0. */
static enum auth_answer ask_authd(const struct handover *h, struct user *u, struct arena *mem,
                                  struct why *why)
{
    int64_t until = task_now() + conf.auth_request_timeout * 1000; /* as long as the broker waits */

    if (become_begin(state.owner_uid, state.owner_gid, why) < 0)
        return AUTH_LATER;
    enum auth_answer answer =
        auth_client_redeem(state.authd, h->ticket, h->service, until, u, mem, why);
    become_end();
    return answer;
}

static bool may_become_users(void)
{
    return geteuid() == 0 || jail_may_become();
}

/* (waits) Who the ticket is for, once. The broker must mean the same user: it goes by the name when
 * it passes on the next connection. */
static int redeem(const struct handover *h, struct user *u, struct arena *mem, struct why *why)
{
    enum auth_answer answer = ask_authd(h, u, mem, why);

    if (answer == AUTH_OK && strcmp(u->name, h->user) != 0)
        why_set(why, "4.3.0", "the ticket is for user %s", u->name);
    else if (answer == AUTH_OK && user_check(u, !may_become_users(), why) == 0)
        return 0;
    msg_warn("no session for user %s from %s: %s", h->user, h->client_address, why_text(why));
    return -1;
}

/* The process id, for the log of the login, or -1. */
static pid_t start_session(struct session_start *s, struct why *why)
{
    s->program = state.program;
    s->lifeline = state.lifeline[0];
    s->alive = state.alive[1];
    msg_flush();
    pid_t pid = fork();
    if (pid == 0)
        session_live(s);
    if (pid < 0)
        return why_errno(why, "4.3.0", "fork");
    state.children++;
    return pid;
}

static bool is_for_us(struct attrs *ask, struct handover *h, struct arena *mem)
{
    return strcmp(attrs_get(ask, A_REQUEST), REQUEST_SERVE) == 0 && handover_get(ask, h, mem) &&
           strcmp(h->service, state.program->name) == 0 && *h->user != '\0' && *h->ticket != '\0';
}

static void session_fork_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    struct why why = WHY;
    struct handover h;
    struct user u;
    int client = attrs_take_fd(ask), broker = attrs_take_fd(ask);
    struct session_start s = {.user = &u, .ask = ask, .client = client, .broker = broker};
    pid_t pid = -1;

    if (client < 0 || broker < 0 || !is_for_us(ask, &h, mem)) {
        why_set(&why, "4.3.0", "malformed request");
        msg_warn("request \"%s\" of the mailbox broker is malformed or not allowed",
                 attrs_opt(ask, A_REQUEST, ""));
    } else if (redeem(&h, &u, mem, &why) == 0) {
        pid = start_session(&s, &why);
    }
    /* Pages of ours that later children get hold nothing of this user. */
    explicit_bzero(ask->wire.p, ask->wire.n);
    task_close(client);
    task_close(broker);
    attrs_put_why(answer, &why);
    if (pid > 0)
        attrs_putn(answer, A_PID, pid);
    why_free(&why);
}

/* Master ends everything when we have ended, so the children get the time to say good-bye first.
 * Nothing else is left to do in this process, so this may block it. */
static void end_children(void)
{
    enum { PATIENCE_MS = 3000 };
    struct pollfd alive = {.fd = state.alive[0]};

    close(state.lifeline[1]);
    close(state.alive[1]);
    poll(&alive, 1, PATIENCE_MS);
}

static void wait_for_stop(void *arg)
{
    (void)arg;
    while (task_park(0) != WAIT_CANCELLED)
        ;
    end_children();
}

/* What changes with each login is in memory behind all that was there before, beside what a child
 * changes: a page that we write to afterwards is no longer shared with the children. */
static void session_fork_start(void)
{
    struct buf path = BUF(4096);

    mem_fill_holes();
    buf_addf(&path, "private/%s", conf.auth_service_name);
    if (!buf_ok(&path))
        msg_fatal("auth_service_name is too long");
    state.authd = auth_client_new_tokens(path.p);
    buf_free(&path);
    task_on_signal(SIGCHLD, reap);
    task_start("lifeline", wait_for_stop, NULL);
}

/* The filter is that of the sessions, which inherit it; their own jail is the user's directory. */
static void session_fork_paths(void)
{
    jail_write("/");
}

/* Sessions outlive a reload. We stay with them: a stop reaches them through us, and they stop when
 * we end. */
static bool has_sessions(void)
{
    return state.children > 0;
}

static void open_program(void)
{
    /* A child inherits them all, and has a copy of each page that is written to here later. */
    task_setup(&(struct task_settings){.idle_stacks = 1});
    if (pipe2(state.lifeline, O_CLOEXEC) < 0 || pipe2(state.alive, O_CLOEXEC) < 0)
        msg_fatal("pipe: %m");
    const struct passwd *owner = getpwnam(conf.mail_owner);
    state.owner_uid = owner != NULL ? owner->pw_uid : geteuid();
    state.owner_gid = owner != NULL ? owner->pw_gid : getegid();
    if (state.program->open != NULL)
        state.program->open();
}

int session_main(const struct session_program *p, int argc, char **argv)
{
    const struct service service = {.name = p->name,
                                    .rights = RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE |
                                              RIGHT_SHUT,
                                    .open = open_program,
                                    .paths = session_fork_paths,
                                    .start = session_fork_start,
                                    .request = session_fork_request,
                                    .lingers = has_sessions,
                                    .request_limit = HANDOVER_MAX};

    state.program = p;
    return service_main(&service, argc, argv);
}
