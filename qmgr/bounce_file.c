/*
 * Appending to the log of a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/service.h"
#include "task/task.h"

#include "bounce.h"

enum { LOCK_MS = 10 };

static int open_log(enum queue log, const char *id, const char *path)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags, 0600);

    if (fd < 0 && errno == ENOENT && queue_make_dirs(log, id, NULL) == 0)
        fd = open(path, flags, 0600);
    return fd;
}

/* Others hold the lock for one record and its sync: with a slow disk and many recipients that
 * bounce at a time it may take as long as the lock of a mailbox. */
static int wait_for_lock(int fd)
{
    int64_t left = conf.deliver_lock_attempts, next_ms = 0;

    while (lock_try_flock(fd, true) < 0) {
        if (errno != EAGAIN || (task_now() >= next_ms && left-- == 0))
            return -1;
        if (task_now() >= next_ms)
            next_ms = task_now() + conf.deliver_lock_delay * 1000;
        if (task_sleep(task_now() + LOCK_MS) == WAIT_CANCELLED)
            return -1;
    }
    return 0;
}

/* Whoever had the lock before may have removed the file: it was reported, or postsuper has added it
 * to the one in its right place. */
static int open_locked(enum queue log, const char *id, const char *path)
{
    struct stat st;
    int fd;

    while ((fd = open_log(log, id, path)) >= 0) {
        bool locked = wait_for_lock(fd) == 0 && fstat(fd, &st) == 0;
        int saved = errno;
        if (locked && st.st_nlink > 0)
            return fd;
        close(fd);
        errno = saved;
        if (!locked)
            return -1;
    }
    return -1;
}

/*
 * A record is there whole or not at all: half of one would name a wrong recipient, and one that the
 * agent was not told of would report a failure of a recipient that is tried again. Under the lock.
 *
 * What is put off is tried again whether its reason is known or not: no need to wait for the disk.
 * A recipient that bounces is never looked at again: this must be found after a crash.
 */
static int write_record(int fd, struct str record, bool sync)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    if (file_write_all(fd, record.p, record.n) == 0 && (!sync || task_fsync(fd) == 0))
        return 0;
    int error = errno;
    if (ftruncate(fd, st.st_size) < 0)
        msg_warn("cannot take back a record: %m");
    errno = error;
    return -1;
}

int bounce_file_append(enum queue log, const char *id, const struct bounce_record *r,
                       struct why *why)
{
    struct buf path = BUF(512), text = BUF(4 * BOUNCE_REQUEST_MAX); /* some of it stands twice */
    int result = 0;

    queue_path(&path, log, id);
    bounce_record_format(r, &text);
    int fd = open_locked(log, id, path.p);
    if (!buf_ok(&text))
        result = why_set(why, "4.3.0", "append to %s: the record is too long", path.p);
    else if (fd < 0 || write_record(fd, buf_str(&text), log != Q_DEFER) < 0)
        result = why_errno(why, "4.3.0", "append to %s", path.p);
    if (fd >= 0)
        close(fd);
    else
        service_look_at_dirs();
    buf_free(&path);
    buf_free(&text);
    return result;
}
