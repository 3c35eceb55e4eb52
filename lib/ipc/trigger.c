#include "ipc/trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/sock.h"

enum { SENDINGS = 5 }; /* each time another process had to go */

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

/* 1 when it was written; what a process that drains has not read before it closed fails. */
static ssize_t send_byte(const char *path, char reason)
{
    int fd = open_any(path);

    if (fd < 0)
        return -1;
    ssize_t n = write(fd, &reason, 1);
    int error = errno;
    close(fd);
    errno = error;
    return n;
}

int trigger_send(const char *path, char reason, struct why *why)
{
    for (int i = 0; i < SENDINGS; i++) {
        if (send_byte(path, reason) == 1)
            return 0;
        if (errno != EPIPE && errno != ECONNRESET)
            break;
    }
    return why_errno(why, "4.3.0", "trigger %s", path);
}
