/*
 * The filter of a session: compiled once by the process that forks sessions, since that takes
 * longer than the rest of a login, and loaded by each child with its own numbers in it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "service/jail.h"
#include "service/jail_parts.h"

static struct {
    struct sock_filter *code; /* null: none was made ready */
    unsigned short n;
    int channel;
} session = {.channel = -1};

void jail_session_take(int fd)
{
    struct stat st = {0};

    if (fstat(fd, &st) < 0)
        msg_fatal("seccomp filter of sessions: %m");
    size_t size = (size_t)st.st_size;
    free(session.code);
    session.code = mem_new(size);
    session.n = (unsigned short)(size / sizeof *session.code);
    if (pread(fd, session.code, size, 0) != st.st_size)
        msg_fatal("seccomp filter of sessions: %m");
}

void jail_session_channel(int fd)
{
    session.channel = fd;
}

static void put_number(struct sock_fprog *to, uint32_t placeholder, uint32_t number)
{
    for (size_t i = 0; i < to->len; i++)
        if (BPF_CLASS(to->filter[i].code) == BPF_JMP && to->filter[i].k == placeholder)
            to->filter[i].k = number;
}

int jail_session_enter(void)
{
    struct sock_fprog own = {session.n, NULL};

    if (session.code == NULL)
        return 0;
    /* A copy: the page of the original stays shared by all sessions. */
    own.filter = mem_array(session.n, sizeof *own.filter);
    memcpy(own.filter, session.code, session.n * sizeof *own.filter);
    put_number(&own, JAIL_PID, (uint32_t)getpid());
    put_number(&own, JAIL_CHANNEL, (uint32_t)session.channel);
    put_number(&own, JAIL_LOG, (uint32_t)msg_fd());
    int result =
        (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &own);
    int saved = errno;
    free(own.filter);
    errno = saved;
    return result;
}
