#include "running.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

void running_path(struct buf *path)
{
    const char *dir = conf.process_id_directory;

    if (dir[0] != '/')
        buf_addf(path, "%s/", conf.queue_directory);
    buf_addf(path, "%s/master.pid", dir);
    if (!buf_ok(path))
        msg_fatal("process_id_directory: the name is too long");
}

static pid_t holder_of(int fd)
{
    struct buf text = BUF(100); /* text by file_read_fd */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t pid = 0;

    if (fcntl(fd, F_GETLK, &lock) < 0)
        return -1;
    if (lock.l_type != F_UNLCK &&
        (file_read_fd(fd, &text) < 0 || !num_parse(str_trim(buf_str(&text)), 2, INT32_MAX, &pid)))
        pid = lock.l_pid;
    buf_free(&text);
    return (pid_t)pid;
}

pid_t running_master(void)
{
    struct buf path = BUF(4096); /* asked: by running_path */

    running_path(&path);
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    pid_t pid = fd >= 0 ? holder_of(fd) : errno == ENOENT ? 0 : -1;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    buf_free(&path);
    errno = saved;
    return pid;
}
