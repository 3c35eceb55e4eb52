#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

int lock_try_flock(int fd, bool exclusive)
{
    return flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
}

int lock_release_flock(int fd)
{
    return flock(fd, LOCK_UN);
}

static int set(int fd, int command, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET};
    int result = fcntl(fd, command, &l);

    if (result < 0 && errno == EACCES)
        errno = EAGAIN;
    return result;
}

int lock_try_fcntl(int fd, bool exclusive)
{
    return set(fd, F_OFD_SETLK, exclusive ? F_WRLCK : F_RDLCK);
}

int lock_release_fcntl(int fd)
{
    return set(fd, F_OFD_SETLK, F_UNLCK);
}

int lock_try_posix(int fd, bool exclusive)
{
    return set(fd, F_SETLK, exclusive ? F_WRLCK : F_RDLCK);
}

int lock_release_posix(int fd)
{
    return set(fd, F_SETLK, F_UNLCK);
}

/*
 * Removes a lock file that is as old as that. Two processes may find the same stale one: the first
 * removes it and makes its own, and the second must not remove that. So the file is held with flock
 * while it is looked at, and removed only if it is still the one that has the name.
 */
static void break_stale(const char *name, int stale_seconds)
{
    struct stat held, named;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 &&
        held.st_mtime + stale_seconds < clock_wall() && stat(name, &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev)
        unlink(name);
    close(fd);
}

int lock_try_dot(const char *path, int stale_seconds)
{
    struct buf name = BUF(4096);

    buf_addf(&name, "%s.lock", path);
    if (!buf_ok(&name)) {
        buf_free(&name);
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(name.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        break_stale(name.p, stale_seconds); /* the next try may have it */
        errno = EAGAIN;
    }
    int saved = errno;
    if (fd >= 0)
        close(fd);
    buf_free(&name);
    errno = saved;
    return fd < 0 ? -1 : 0;
}

void lock_release_dot(const char *path)
{
    struct buf name = BUF(4096);
    buf_addf(&name, "%s.lock", path);
    if (buf_ok(&name))
        unlink(name.p);
    buf_free(&name);
}
