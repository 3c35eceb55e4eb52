/* lock.h - file locks. None of these waits: a caller that must wait tries again by a timer */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <stdbool.h>

/* 0: locked (or released). -1: errno is EAGAIN if somebody else holds the lock, else another. */
int lock_try_flock(int fd, bool exclusive);
int lock_try_fcntl(int fd, bool exclusive); /* whole file; open file description lock */
int lock_try_posix(int fd, bool exclusive); /* whole file; the traditional fcntl lock, which the
                                               process owns and other mail programs use */
int lock_release_flock(int fd);
int lock_release_fcntl(int fd);
int lock_release_posix(int fd);
/* Makes path.lock beside path. If there is one that is older than stale_seconds, it is removed
 * first. */
int lock_try_dot(const char *path, int stale_seconds);
void lock_release_dot(const char *path);

#endif
