/*
 * One master at a time: the pid file and its lock. And what the service manager is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "service/become.h"

#include "master.h"

static struct {
    int pid_file, lock_file;
    const char *manager; /* its socket, or null */
} control = {-1, -1, NULL};

static int open_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        msg_fatal("open lock file %s: %m", path);
    if (lock_try_posix(fd, true) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            msg_fatal("lock file %s: %m", path);
        close(fd);
        return -1;
    }
    return fd;
}

static void pid_path(struct buf *path)
{
    buf_addf(path, "%s/master.pid", conf.process_id_directory);
    if (!buf_ok(path))
        msg_fatal("process_id_directory: the name is too long");
}

bool control_is_locked(void)
{
    /* asked: by pid_path */
    struct buf path = BUF(4096);
    bool locked = false;

    pid_path(&path);
    int fd = open(path.p, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        locked = lock_try_posix(fd, true) < 0;
        close(fd);
    } else if (errno != ENOENT) {
        msg_fatal("open lock file %s: %m", path.p);
    }
    buf_free(&path);
    return locked;
}

/* The queue directory's lock is for tools; the data directory's guards against two queues with one
 * data directory, as Postfix's does. */
void control_lock(void)
{
    /* asked: by pid_path */
    struct buf path = BUF(4096), text = BUF_TEXT(40);

    pid_path(&path);
    control.pid_file = open_lock(path.p);
    if (control.pid_file < 0)
        msg_fatal("open lock file %s: unable to set exclusive lock: another master is running",
                  path.p);
    buf_addf(&text, "%d\n", (int)master.pid);
    if (ftruncate(control.pid_file, 0) < 0 ||
        pwrite(control.pid_file, text.p, text.n, 0) != (ssize_t)text.n)
        msg_fatal("write %s: %m", path.p);
    buf_clear(&path);
    buf_addf(&path, "%s/master.lock", conf.data_directory);
    if (!buf_ok(&path))
        msg_fatal("data_directory: the name is too long");
    control.lock_file = open_lock(path.p);
    if (control.lock_file < 0)
        msg_fatal("open lock file %s: unable to set exclusive lock: another master uses this "
                  "data_directory",
                  path.p);
    buf_free(&path);
    buf_free(&text);
}

void control_reloaded(void)
{
    if (futimens(control.pid_file, NULL) < 0)
        msg_warn("pid file: %m");
}

void control_unlock(void)
{
    if (control.pid_file >= 0 && ftruncate(control.pid_file, 0) < 0)
        msg_warn("pid file: %m");
}

/* Before the environment is cleaned: the processes have no business with it. */
void control_find_manager(void)
{
    const char *path = getenv("NOTIFY_SOCKET");

    control.manager = path != NULL ? mem_dupz(path) : NULL;
}

/* sd_notify(3), without its library: one datagram. A leading @ stands for the abstract name space.
 */
void control_notify(const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = control.manager;

    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    size_t n = strlen(path);
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
        msg_warn("notify the service manager: %m");
    if (fd >= 0)
        close(fd);
}
