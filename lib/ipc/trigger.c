#include "ipc/trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/sock.h"

/* A fifo refuses to be connected to; only then is it looked at. */
static int open_any(const char *path)
{
    struct stat st;
    int fd = sock_try_unix(path);

    if (fd >= 0 || errno != ECONNREFUSED)
        return fd;
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    errno = ECONNREFUSED;
    return -1;
}

int trigger_send(const char *path, char reason, struct why *why)
{
    int fd = open_any(path);

    if (fd < 0)
        return why_errno(why, "4.3.0", "trigger %s", path);
    ssize_t n = write(fd, &reason, 1);
    if (n != 1)
        why_errno(why, "4.3.0", "trigger %s", path);
    close(fd);
    return n == 1 ? 0 : -1;
}
