/*
 * What happens when the filter refuses a call: the log names it, and the process ends.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <unistd.h>

#include "base/msg.h"
#include "service/jail_parts.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* The process is about to end, so this may do what a signal handler otherwise should not. No call
 * of the memory allocator is ever refused, so the handler cannot have interrupted it. */
static void refused(int signo, siginfo_t *info, void *context)
{
    char *name = seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

    (void)context;
    msg_error("system call %s (%d) is not allowed in this process: see jail_seccomp.c",
              name != NULL ? name : "unknown", info->si_syscall);
    msg_flush();
    signal(signo, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signo);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(signo);
    _exit(1);
}

void jail_catch_refusals(void)
{
    struct sigaction act = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};

    sigemptyset(&act.sa_mask);
    if (sigaction(SIGSYS, &act, NULL) < 0)
        msg_fatal("sigaction: %m");
}

bool jail_is_valgrind(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}
