#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "task/task.h"

enum { BLOCK = 64 * 1024 };

struct mbox {
    int fd;
    char *dot_locked; /* the path, if the dot lock is ours */
    bool regular;
    bool any_file; /* as in mbox_rules */
    bool readable; /* false: who may write it may not read it, or it is a device */
    bool line_start; /* the next byte begins a line */
    off_t start;
    int64_t size_limit, size;
    int error; /* the first one, sticks */
    struct buf out;
};

/* The status that an error of the file means. What only the owner or the administrator can mend is
 * said to the sender at once, as Postfix does. */
static const char *code_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENXIO:
    case ENAMETOOLONG:
        return "5.2.0";
    case EDQUOT:
    case EFBIG:
        return "5.2.2";
    case ENOSPC:
        return "4.3.1";
    default:
        return "4.2.0";
    }
}

static int mbox_fail(int error, const char *what, const char *path, struct why *why)
{
    errno = error;
    return why_errno(why, code_of(error), "%s%s%s", what, *path != 0 ? " " : "", path);
}

/* A link that root made, and that nobody else can have put here: where others may write, they can
 * make a hard link to a link of root's, or move one. */
static int check_link(const char *path, struct why *why)
{
    struct stat link, dir;
    char *copy = mem_dupz(path);
    bool known = lstat(path, &link) == 0 && stat(dirname(copy), &dir) == 0;
    int saved = errno;

    free(copy);
    if (!known)
        return mbox_fail(saved, "look at link", path, why);
    if (link.st_uid == 0 && dir.st_uid == 0 && (dir.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return 0;
    return why_set(why, "5.2.0", "file is a symbolic link");
}

/* In order to write, and to read how it ends where that is possible. Of a FIFO a reader is wanted,
 * who would not be missed if it was open for reading here. What is there is opened without O_CREAT:
 * in a directory such as /tmp Linux refuses that for the files of others. */
static int open_file(struct mbox *m, const char *path, struct why *why)
{
    int flags = O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
    struct stat st;

    m->readable = stat(path, &st) < 0 || S_ISREG(st.st_mode);
    int access = m->readable ? O_RDWR : O_WRONLY;
    m->fd = open(path, flags | access);
    if (m->fd < 0 && errno == ENOENT)
        m->fd = open(path, flags | O_CREAT | access, 0600);
    else if (m->fd < 0 && errno == ELOOP && stat(path, &st) == 0) { /* else: ENOENT */
        if (check_link(path, why) < 0)
            return -1;
        flags &= ~O_NOFOLLOW;
        m->fd = open(path, flags | access);
    }
    if (m->fd < 0 && errno == EACCES && m->readable) {
        m->readable = false;
        m->fd = open(path, flags | O_WRONLY);
    }
    return m->fd < 0 ? mbox_fail(errno, "cannot open file", "", why) : 0;
}

static int check_file(struct mbox *m, const char *path, const struct mbox_rules *r, struct why *why)
{
    struct stat st;

    if (fstat(m->fd, &st) < 0)
        return mbox_fail(errno, "fstat", path, why);
    m->regular = S_ISREG(st.st_mode);
    if (!m->regular && (!r->any_file || S_ISDIR(st.st_mode)))
        return why_set(why, "5.2.0", "destination %s is not a regular file", path);
    if (m->regular && st.st_nlink != 1)
        return why_set(why, "5.2.0", "file has %ld hard links", (long)st.st_nlink);
    if (r->any_file && m->regular && (st.st_mode & 0111) != 0)
        return why_set(why, "5.7.1", "file is executable");
    if (m->regular && st.st_size == 0 && r->give_to != NULL && st.st_uid == geteuid() &&
        st.st_uid != *r->give_to) {
        if (fchown(m->fd, *r->give_to, *r->give_to_group) < 0)
            return mbox_fail(errno, "fchown", path, why);
        st.st_uid = *r->give_to;
    }
    if (m->regular && r->owner != NULL && st.st_uid != *r->owner)
        return why_set(why, "4.2.0", "destination %s is not owned by recipient", path);
    return 0;
}

enum lock { LOCK_FCNTL, LOCK_FLOCK, LOCK_DOT };

static int try_lock(struct mbox *m, const char *path, enum lock how)
{
    if (how == LOCK_FCNTL)
        return lock_try_fcntl(m->fd, true);
    if (how == LOCK_FLOCK)
        return lock_try_flock(m->fd, true);
    if (lock_try_dot(path, (int)conf.stale_lock_time) < 0)
        return -1;
    m->dot_locked = mem_dupz(path);
    return 0;
}

/* A file that is no mailbox goes without a dot lock in a directory where the user may make none:
 * only programs that make a mailbox anew need it. */
static int lock_failed(const struct mbox *m, const char *path, enum lock how, struct why *why)
{
    if (how != LOCK_DOT)
        return mbox_fail(errno, "lock", path, why);
    if (m->any_file) {
        msg_warn("unable to create lock file %s.lock: %s", path, strerror(errno));
        return 0;
    }
    return why_errno(why, code_of(errno), "unable to create lock file %s.lock", path);
}

/* (waits) */
static int take_lock(struct mbox *m, const char *path, enum lock how, struct why *why)
{
    for (int64_t left = conf.deliver_lock_attempts; try_lock(m, path, how) < 0;) {
        bool held = errno == EAGAIN || errno == (how == LOCK_FCNTL ? EACCES : EEXIST);
        if (!held)
            return lock_failed(m, path, how, why);
        if (--left <= 0 ||
            task_sleep(task_now() + conf.deliver_lock_delay * 1000) == WAIT_CANCELLED)
            return why_set(why, "4.2.0", "unable to lock for exclusive access: %s", path);
    }
    return 0;
}

/* (waits) Before the file is opened: others that hold the dot lock may replace the file. A device
 * needs none. */
static int take_dot_lock(struct mbox *m, const char *path, const char *locks, struct why *why)
{
    struct stat st;

    if (!str_listed(locks, "dotlock") || (stat(path, &st) == 0 && !S_ISREG(st.st_mode)))
        return 0;
    return take_lock(m, path, LOCK_DOT, why);
}

/* Whoever had the lock may have put another file in its place: what is added to the old one is
 * gone. */
static int check_place(const struct mbox *m, const char *path, struct why *why)
{
    struct stat file, place;

    if (fstat(m->fd, &file) < 0 || stat(path, &place) < 0)
        return mbox_fail(errno, "stat", path, why);
    if (file.st_ino != place.st_ino || file.st_dev != place.st_dev)
        return why_set(why, "4.2.0", "%s was replaced while we waited for its lock", path);
    return 0;
}

/* (waits) */
static int take_file_locks(struct mbox *m, const char *path, const char *locks, struct why *why)
{
    if (str_listed(locks, "flock") && take_lock(m, path, LOCK_FLOCK, why) < 0)
        return -1;
    if (str_listed(locks, "fcntl") && take_lock(m, path, LOCK_FCNTL, why) < 0)
        return -1;
    return check_place(m, path, why);
}

static void release(struct mbox **mbox)
{
    struct mbox *m = *mbox;

    *mbox = NULL;
    if (m->dot_locked != NULL)
        lock_release_dot(m->dot_locked);
    if (m->fd >= 0)
        close(m->fd); /* and with it the other locks */
    buf_free(&m->out);
    free(m->dot_locked);
    free(m);
}

/* Half a message that a crash or a full disk has left: what is appended must begin a line, or it
 * would be a part of that. -1 and why: where the mailbox ends cannot be known now. */
static int find_end(struct mbox *m, const char *path, struct why *why)
{
    char last = '\n';

    m->start = m->regular ? lseek(m->fd, 0, SEEK_END) : 0;
    m->size = m->start;
    if (m->start < 0 || (m->start > 0 && m->readable && pread(m->fd, &last, 1, m->start - 1) < 0))
        return mbox_fail(errno, "read", path, why);
    if (last != '\n')
        mbox_put_raw(m, STR("\n\n"));
    return 0;
}

struct mbox *mbox_open(const char *path, const struct mbox_rules *rules, struct why *why)
{
    struct mbox *m = mem_new(sizeof *m);

    /* fits: put_bytes flushes from BLOCK on */
    *m = (struct mbox){.out = BUF(2 * BLOCK), .line_start = true, .size_limit = rules->size_limit};
    m->fd = -1;
    m->any_file = rules->any_file;
    if (take_dot_lock(m, path, rules->locks, why) < 0) {
        release(&m);
        return NULL;
    }
    if (open_file(m, path, why) < 0 || check_file(m, path, rules, why) < 0 ||
        (m->regular && take_file_locks(m, path, rules->locks, why) < 0) ||
        find_end(m, path, why) < 0) {
        release(&m);
        return NULL;
    }
    return m;
}

static void flush(struct mbox *m)
{
    if (m->error == 0 && m->out.n > 0) {
        m->size += (int64_t)m->out.n;
        if (m->regular && m->size_limit > 0 && m->size > m->size_limit)
            m->error = EFBIG;
        else if (file_write_all(m->fd, m->out.p, m->out.n) < 0)
            m->error = errno;
    }
    buf_clear(&m->out);
}

void mbox_put_raw(struct mbox *m, struct str bytes)
{
    while (bytes.n > 0) {
        size_t n = bytes.n < BLOCK ? bytes.n : BLOCK;
        buf_add(&m->out, str_upto(bytes, n));
        m->line_start = bytes.p[n - 1] == '\n';
        bytes = str_from(bytes, n);
        if (m->out.n >= BLOCK)
            flush(m);
    }
}

/* Pieces begin a line or continue one; a line end is at the end of a piece only. */
void mbox_put(struct mbox *m, struct str bytes)
{
    if (m->line_start && str_starts(bytes, STR("From ")))
        mbox_put_raw(m, STR(">"));
    mbox_put_raw(m, bytes);
}

int mbox_commit(struct mbox **mbox, struct why *why)
{
    struct mbox *m = *mbox;
    int error;

    mbox_put_raw(m, m->line_start ? STR("\n") : STR("\n\n"));
    flush(m);
    if (m->error == 0 && m->regular && task_fsync(m->fd) < 0)
        m->error = errno;
    error = m->error;
    if (error != 0) {
        mbox_abort(mbox);
        return mbox_fail(error, "write", "message", why);
    }
    release(mbox);
    return 0;
}

void mbox_abort(struct mbox **mbox)
{
    struct mbox *m = *mbox;

    if (m == NULL)
        return;
    if (m->regular && (ftruncate(m->fd, m->start) < 0 || task_fsync(m->fd) < 0))
        msg_warn("cannot take back half a message from a mailbox: %m");
    release(mbox);
}
