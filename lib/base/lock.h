/* lock.h - file locks by try; waiting is a loop of tries by timer, in the layer above */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <stdbool.h>

/* 0: taken (or released); -1 with errno EAGAIN: somebody else has it; other errno: not possible. */
int lock_try_flock(int fd, bool exclusive);
int lock_try_fcntl(int fd, bool exclusive); /* whole file; open file description lock */
int lock_try_posix(
    int fd, bool exclusive); /* whole file; the process-owned fcntl lock that other programs know */
int lock_release_flock(int fd);
int lock_release_fcntl(int fd);
int lock_release_posix(int fd);
/* path.lock beside path; older than stale_seconds: broken. */
int lock_try_dot(const char *path, int stale_seconds);
void lock_release_dot(const char *path);

#endif
