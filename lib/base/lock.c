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

int lock_try_dot(const char *path, int stale_seconds)
{
    struct buf name = BUF(4096);
    struct stat st;

    buf_addf(&name, "%s.lock", path);
    int fd = open(name.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (stat(name.p, &st) == 0 && st.st_mtime + stale_seconds < clock_wall())
            unlink(name.p); /* the next try may have it */
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
    unlink(name.p);
    buf_free(&name);
}
