/*
 * Signals, taken through a signalfd.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/msg.h"
#include "task/loop.h"

enum { SIGNALS = 65 };

static struct {
    int fd;
    sigset_t set; /* what the signalfd takes; empty before the first */
    bool any;
    void (*fn[SIGNALS])(int signo);
} signals = {.fd = -1};

static void taken(void *arg, int fd, short events)
{
    struct signalfd_siginfo info;

    (void)arg;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo < SIGNALS && signals.fn[info.ssi_signo] != NULL)
            signals.fn[info.ssi_signo]((int)info.ssi_signo);
}

void task_on_signal(int signo, void (*fn)(int signo))
{
    sigset_t one;

    if (signo <= 0 || signo >= SIGNALS)
        msg_panic("no such signal: %d", signo);
    if (!signals.any)
        sigemptyset(&signals.set);
    signals.any = true;
    signals.fn[signo] = fn;
    if (fn != NULL)
        sigaddset(&signals.set, signo);
    else
        sigdelset(&signals.set, signo);
    bool opened = signals.fd < 0;
    signals.fd = signalfd(signals.fd, &signals.set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals.fd < 0)
        msg_fatal("signalfd: %s", strerror(errno));
    sigemptyset(&one);
    sigaddset(&one, signo);
    sigprocmask(fn != NULL ? SIG_BLOCK : SIG_UNBLOCK, &one, NULL);
    if (opened)
        task_watch(signals.fd, POLLIN, taken, NULL);
}

void task_signals_default(void)
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL); /* task_loop ignores it */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_forked(void)
{
    if (signals.fd >= 0)
        close(signals.fd);
    if (signals.any)
        sigprocmask(SIG_UNBLOCK, &signals.set, NULL);
    signals.fd = -1;
    signals.any = false;
    memset(signals.fn, 0, sizeof signals.fn);
}
