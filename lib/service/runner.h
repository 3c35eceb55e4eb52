/* runner.h - running a command as somebody else, from a process that itself may not */
#ifndef SERVICE_RUNNER_H
#define SERVICE_RUNNER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"

/*
 * A jailed process cannot run commands itself: its seccomp filter and no_new_privs would also
 * restrict the command, which may be the set-gid postdrop or need any system call. So a service
 * with RIGHT_EXEC forks a small helper before it enters the jail. The helper reads no mail, only
 * requests of its parent, refuses uid 0 and gid 0 when it is root, and ends all its commands when
 * the parent ends.
 */
struct run {
    uid_t uid;
    gid_t gid;
    const char *const *argv; /* argv[0] is a path, or a name searched in PATH of env */
    const char *const *env; /* "name=value", the whole environment; null-terminated like argv */
    const char *dir; /* working directory, as it is seen below root; null: "/" */
    int in; /* becomes standard input; -1: /dev/null. Not taken over. */
    int out; /* standard output and error; -1: /dev/null */
    int64_t deadline_ms; /* of task_now(); then the process group is killed */
    const char *root; /* becomes its root directory; null or "/": it does not */
};

enum { RUN_TEXT_MAX = 128 * 1024 }; /* of argv and env together, with their zero bytes */

/*
 * runner_run (waits) until the command has ended. 0 and its status as waitpid gives it; -1 and why
 * when it could not be run (4.3.0) or was killed at the deadline (4.3.0 "Command time limit
 * exceeded"). The caller feeds and drains in and out from other tasks, or uses files.
 */
/* By service.open, where the configuration names the one user of all commands: the helper refuses
 * every other user, group and root directory, also if its parent is an intruder. root: as in struct
 * run; it must stay. */
void runner_only(uid_t uid, gid_t gid, const char *root);
void runner_start(void); /* by service_main, before the jail */
void runner_on_loss(void (*fn)(void)); /* called when the helper has died: no command runs then */
void runner_stop(void); /* ends the helper and what it runs */
int runner_run(const struct run *r, int *status, struct why *why);

#endif
