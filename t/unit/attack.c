/*
 * Preloaded into the daemons by t/e2e/test_trust.py: what would a process be able to do that was
 * taken over in its jail? When a daemon is about to lock itself in, with all that went before done,
 * a child does so for each act, with the daemon's own filter, and tries it. The acts are lines
 * "verb argument" of $ATTACK/acts; the results go to $ATTACK/PROGRAM.PID.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/jail_parts.h"

enum { ACTS = 50, TEXT = 300 };
static struct {
    int out;
    size_t n;
    char verb[ACTS][TEXT], arg[ACTS][TEXT];
    int tcp; /* a socket of TCP that the process has: a client's, or that by which clients come */
} attack = {.out = -1, .tcp = -1};

/* While it is still root and sees the whole file system. */
static void __attribute__((constructor)) begin(void)
{
    char path[TEXT];
    const char *dir = getenv("ATTACK");

    if (dir == NULL)
        return;
    snprintf(path, sizeof path, "%s/acts", dir);
    FILE *f = fopen(path, "re");
    while (f != NULL && attack.n < ACTS &&
           fscanf(f, "%299s %299s", attack.verb[attack.n], attack.arg[attack.n]) == 2)
        attack.n++;
    if (f != NULL)
        fclose(f);
    snprintf(path, sizeof path, "%s/%s.%d", dir, program_invocation_short_name, (int)getpid());
    attack.out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static bool dial(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(port))};

    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

static bool dial_by_message(const char *port, bool many)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(port))};
    struct iovec part = {attack.verb, 1};
    struct mmsghdr m = {
        .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1}};
    const int flags = MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT;

    return (many ? sendmmsg(attack.tcp, &m, 1, flags)
                 : (int)sendmsg(attack.tcp, &m.msg_hdr, flags)) == 1 ||
           errno == EINPROGRESS;
}

/* By zeroes among the addresses that connect(2) may have. */
static bool disconnect(void)
{
    for (int i = 0; i < JAIL_SOCKETS_MOST; i++) {
        const void *at = (const char *)0 + JAIL_SOCKETS_AT + i * SOCK_KNOWN_STEP;
        if (connect(attack.tcp, at, sizeof(struct sockaddr_un)) == 0)
            return true;
    }
    return false;
}

/* A socket with a path: of the host, or of another program. */
static bool dial_path(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

/* A new one each time: others have been here. */
static bool create(const char *path)
{
    char name[TEXT + 20];

    snprintf(name, sizeof name, "%s.%d", path, (int)getpid());
    return open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0;
}

/* As they are: what tries them again finds the same. */
static bool set_mode(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && chmod(path, st.st_mode & 07777) == 0;
}

static bool set_times(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    struct timespec at[2] = {st.st_atim, st.st_mtim};
    return utimensat(AT_FDCWD, path, at, 0) == 0;
}

static bool cut(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && truncate(path, st.st_size) == 0;
}

static bool lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
}

static bool run(const char *program)
{
    execl(program, program, (char *)NULL);
    return false;
}

static bool act(const char *verb, const char *arg)
{
    if (strcmp(verb, "read") == 0)
        return open(arg, O_RDONLY | O_CLOEXEC) >= 0;
    if (strcmp(verb, "write") == 0)
        return open(arg, O_WRONLY | O_CLOEXEC) >= 0;
    if (strcmp(verb, "mode") == 0)
        return set_mode(arg);
    if (strcmp(verb, "times") == 0)
        return set_times(arg);
    if (strcmp(verb, "cut") == 0)
        return cut(arg);
    if (strcmp(verb, "lock") == 0)
        return lock(arg);
    if (strcmp(verb, "create") == 0)
        return create(arg);
    if (strcmp(verb, "connect") == 0)
        return dial(arg);
    if (strcmp(verb, "message") == 0)
        return dial_by_message(arg, false);
    if (strcmp(verb, "messages") == 0)
        return dial_by_message(arg, true);
    if (strcmp(verb, "disconnect") == 0)
        return disconnect();
    if (strcmp(verb, "dial") == 0)
        return dial_path(arg);
    if (strcmp(verb, "exec") == 0)
        return run(arg); /* if it works, /bin/true says yes */
    if (strcmp(verb, "signal") == 0)
        return kill(atoi(arg), 0) == 0;
    if (strcmp(verb, "trace") == 0)
        return ptrace(PTRACE_SEIZE, atoi(arg), 0, 0) == 0;
    if (strcmp(verb, "become") == 0)
        return setresuid((uid_t)atoi(arg), (uid_t)atoi(arg), (uid_t)atoi(arg)) == 0;
    if (strcmp(verb, "group") == 0)
        return setresgid((gid_t)atoi(arg), (gid_t)atoi(arg), (gid_t)atoi(arg)) == 0;
    return false;
}

typedef int load_fn(const scmp_filter_ctx);

static bool may(load_fn *load, const scmp_filter_ctx ctx, size_t i)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        attack.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (load(ctx) < 0)
            _exit(1);
        _exit(act(attack.verb[i], attack.arg[i]) ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int seccomp_load(const scmp_filter_ctx ctx);
int seccomp_load(const scmp_filter_ctx ctx)
{
    void *symbol = dlsym(RTLD_NEXT, "seccomp_load");
    load_fn *load;

    memcpy(&load, &symbol, sizeof load);
    for (size_t i = 0; attack.out >= 0 && i < attack.n; i++)
        dprintf(attack.out, "%s %s %s\n", attack.verb[i], attack.arg[i],
                may(load, ctx, i) ? "yes" : "no");
    if (attack.out >= 0)
        dprintf(attack.out, "end\n");
    return load(ctx);
}
