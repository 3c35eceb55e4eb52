/*
 * NAME
 *   spawn - runs a command for each client, with the connection as its standard input and output
 *
 * SYNOPSIS
 *   in master.cf:  policy unix - n n - 0 spawn user=nobody argv=/some/program argument...
 *
 * DESCRIPTION
 *   user=name or name:group (required)  whom the command runs as: neither root nor the mail owner
 *   argv=command...                     the command, without a shell; all that follows belongs to
 * it
 *
 *   SERVICE_time_limit (command_time_limit) bounds its time. Its environment is PATH and what
 *   export_environment names.
 *
 * SECURITY
 *   The process itself reads nothing of the client. Commands are started by the helper of
 *   service/runner.h, which refuses root.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "service/runner.h"
#include "service/service.h"
#include "task/task.h"

static struct {
    uid_t uid;
    gid_t gid;
    char **argv;
    VEC(const char *) env;
    int64_t limit_ms;
} state;

static void set_user(const char *text)
{
    struct str all = strz(text);
    ptrdiff_t colon = str_find(all, ':');
    char *name = mem_dup(all.p, colon < 0 ? all.n : (size_t)colon);
    const struct passwd *pw = getpwnam(name), *owner;

    if (pw == NULL)
        msg_fatal("service %s: unknown user: %s", service_name(), name);
    state.uid = pw->pw_uid;
    state.gid = pw->pw_gid;
    if (colon >= 0) {
        const struct group *gr = getgrnam(text + colon + 1);
        if (gr == NULL)
            msg_fatal("service %s: unknown group: %s", service_name(), text + colon + 1);
        state.gid = gr->gr_gid;
    }
    if (state.uid == 0 || state.gid == 0)
        msg_fatal("service %s: user=%s: commands never run as root", service_name(), text);
    owner = getpwnam(conf.mail_owner);
    if (geteuid() == 0 && owner != NULL && owner->pw_uid == state.uid)
        msg_fatal("service %s: user=%s: that is the owner of the queue", service_name(), text);
    free(name);
}

static void set_environment(void)
{
    struct str rest = strz(conf.export_environment), word;

    *VEC_ADD(&state.env) = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        if (word.p[0] == '{')
            word = str_trim(str_part(word, 1, word.n - 2));
        char *name = mem_dup(word.p, word.n);
        const char *value = getenv(name);
        struct buf entry = BUF(RUN_TEXT_MAX);
        if (strchr(name, '=') != NULL)
            buf_addz(&entry, name);
        else if (value != NULL)
            buf_addf(&entry, "%s=%s", name, value);
        if (!buf_ok(&entry))
            msg_fatal("export_environment: %.100s is too long", name);
        if (entry.n > 0)
            *VEC_ADD(&state.env) = buf_take(&entry);
        free(name);
    }
    *VEC_ADD(&state.env) = NULL;
}

static void open_arguments(void)
{
    char **argv;
    int argc = service_args(&argv), i;

    for (i = 0; i < argc && !str_starts(strz(argv[i]), STR("argv=")); i++) {
        if (!str_starts(strz(argv[i]), STR("user=")))
            msg_fatal("service %s: unknown attribute: %s", service_name(), argv[i]);
        set_user(argv[i] + strlen("user="));
    }
    if (i == argc || state.uid == 0)
        msg_fatal("service %s: user= and argv= are required", service_name());
    argv[i] += strlen("argv=");
    state.argv = argv + i;
    runner_only(state.uid, state.gid, NULL);
    state.limit_ms = 1000 * conf_time_of(service_name(), "_time_limit", conf.command_time_limit);
    set_environment();
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    struct why why = WHY;
    int status;
    struct run run = {
        .uid = state.uid,
        .gid = state.gid,
        .argv = (const char *const *)state.argv,
        .env = state.env.at,
        .dir = conf.queue_directory,
        .in = stream_fd(client),
        .out = stream_fd(client),
        .deadline_ms = task_now() + state.limit_ms,
    };

    (void)peer;
    (void)mem;
    if (runner_run(&run, &status, &why) < 0)
        msg_warn("%s", why_text(&why));
    else if (WIFSIGNALED(status))
        msg_warn("command %s killed by signal %d", state.argv[0], WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        msg_warn("command %s exit status %d", state.argv[0], WEXITSTATUS(status));
    why_free(&why);
}

int main(int argc, char **argv)
{
    static const struct service spawn = {
        .name = "spawn",
        .rights = RIGHT_EXEC,
        .has_arguments = true,
        .open = open_arguments,
        .session = session,
    };
    return service_main(&spawn, argc, argv);
}
