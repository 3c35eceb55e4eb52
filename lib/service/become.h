/* become.h - acting as a recipient: for one file operation, or for the rest of the process */
#ifndef SERVICE_BECOME_H
#define SERVICE_BECOME_H

#include <stddef.h>
#include <sys/types.h>

#include "base/why.h"

/*
 * Between begin and end, every open, mkdir, rename, unlink, connect of the running task is done
 * with the rights of uid and gid (and no further group), and new files belong to them. The task may
 * wait in between: other tasks keep their own rights. Root (uid 0 or gid 0) is refused. In a
 * process that does not run as root, both calls change nothing.
 *   0, or -1 and why (4.3.0).
 */
int become_begin(uid_t uid, gid_t gid, struct why *why);
void become_end(void);

/*
 * For good: in a child forked for this user, before it reads one byte of his. Groups (gid only),
 * gid, uid, no capability left, Landlock on the directories of the list (what lies outside cannot
 * be opened at all, also when many users share one uid), and the filter of jail_session_enter. -1
 * and why if a step fails; the child must then exit, since only a part of its rights is gone.
 */
int become_forever(uid_t uid, gid_t gid, const char *const *dirs, size_t ndirs, struct why *why);

#endif
