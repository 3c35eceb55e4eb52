/*
 * The structure of the queue: every file in its hash directory, named after its inode.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "queue/qid.h"

#include "postsuper.h"

enum { TEMPORARY_AGE = 24 * 3600, TEMPORARY_AGE_DEAD = 3600, OWNERS_TOLD = 10 };
enum { LOCK_TRIES = 1000, LOCK_MS = 10 };

static const enum queue messages[] = {Q_MAILDROP, Q_INCOMING, Q_ACTIVE, Q_DEFERRED,
                                      Q_HOLD,     Q_CORRUPT,  Q_COUNT};
static const enum queue logs[] = {Q_BOUNCE, Q_DEFER, Q_TRACE, Q_COUNT};

/* Paths as found: a directory that changes must not be walked at the same time. */
struct found {
    char *path, *id;
};
struct list_of_found {
    struct found *at;
    size_t n, room;
};

static bool is_message_queue(enum queue q)
{
    return q <= Q_HOLD;
}

/* Renames never hit what is there already. A file in maildrop is another user's, of which the
 * kernel may let nobody else make a link; where a file system knows no such rename, there is the
 * link. */
static bool rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if ((errno != EINVAL && errno != ENOSYS) || link(from, to) < 0)
        return false;
    if (unlink(from) == 0)
        return true;
    int saved = errno;
    unlink(to);
    errno = saved;
    return false;
}

static bool link_to(const char *from, const char *to)
{
    return link(from, to) == 0;
}

/* from gets its place in the queue by act, a link or a rename. */
static bool to_place(bool (*act)(const char *from, const char *to), const char *from, enum queue q,
                     const char *id)
{
    struct buf to = BUF(512);
    bool done;

    queue_path(&to, q, id);
    done = act(from, to.p);
    if (!done && errno == ENOENT && queue_make_dirs(q, id, NULL) == 0)
        done = act(from, to.p);
    if (!done)
        msg_warn("rename %s to %s: %s", from, to.p, strerror(errno));
    buf_free(&to);
    return done;
}

/* From where in is, behind the end of out, or nothing of it. */
static bool append_all(int in, int out)
{
    struct stat st;
    off_t end = lseek(out, 0, SEEK_END);
    ssize_t n = 1;

    if (end < 0 || fstat(in, &st) < 0)
        return false;
    for (off_t left = st.st_size; left > 0 && n > 0; left -= n)
        n = sendfile(out, in, NULL, (size_t)left);
    if (n > 0 && fsync(out) == 0)
        return true;
    int saved = n == 0 ? EIO : errno;
    if (ftruncate(out, end) < 0)
        msg_warn("cannot take back a record: %m");
    errno = saved;
    return false;
}

/* bounce holds it for one record and its sync. */
static bool lock_log(int fd)
{
    int left = LOCK_TRIES;

    while (lock_try_flock(fd, true) < 0) {
        if (errno != EAGAIN || left-- == 0)
            return false;
        usleep(LOCK_MS * 1000);
    }
    return true;
}

/* Whoever had the lock before may have removed it. */
static bool has_name(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    errno = ENOENT;
    return st.st_nlink > 0;
}

/* The directories were hashed in another way while a log was kept (hash_queue_depth, a reload): so
 * it was begun again in its right place, where the rest is added to it. A bounce process of before
 * the reload may still write to the first one. */
static bool add_to_log(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int out = open(to, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    bool added = in >= 0 && out >= 0 && lock_log(in) && has_name(in) && lock_log(out) &&
                 has_name(out) && append_all(in, out) && unlink(from) == 0;
    int saved = errno;

    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    errno = saved;
    return added;
}

static bool move_log(const char *from, const char *to)
{
    return rename_new(from, to) || (errno == EEXIST && add_to_log(from, to));
}

/* A short name says the inode, so that it is given once only. A long one is unique as it is, but
 * must go when long names are no longer wanted; not while the mail system runs: whoever delivers
 * the message knows it by that name, could not say what became of it, and it would go out again. */
static bool right_id(const char *id, const char *path, bool running, struct buf *out)
{
    struct stat st;
    uint64_t inode = 0;
    bool is_long = qid_is_long(strz(id));

    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    buf_setz(out, id);
    if (is_long && (conf.enable_long_queue_ids || running))
        return true;
    if (!is_long && qid_inode(strz(id), &inode) && inode == st.st_ino)
        return true;
    qid_short(out, clock_wall_us(), st.st_ino);
    return true;
}

/* The logs of a message bear its name. They have both names while it gets the new one: whatever
 * fails, and whenever the machine stops, they are found with the message. */
static bool link_logs(const char *old, const char *id)
{
    struct buf path = BUF(512);
    bool linked = true;

    for (const enum queue *q = logs; *q != Q_COUNT && linked; q++) {
        queue_path(&path, *q, old);
        if (queue_may_have(*q, old))
            linked = to_place(link_to, path.p, *q, id);
    }
    buf_free(&path);
    return linked;
}

static void remove_logs(const char *id)
{
    for (const enum queue *q = logs; *q != Q_COUNT; q++)
        queue_remove(*q, id, NULL); /* one that stays is an orphan */
}

static bool rename_message(enum queue q, const char *path, const char *old, const char *id)
{
    bool renamed = link_logs(old, id) && to_place(rename_new, path, q, id);

    remove_logs(renamed ? old : id);
    if (renamed)
        msg_info("renamed %s to %s", old, id);
    return renamed;
}

/* 1: it has been given its right name and place; 0: it had them; -1: it could not be. */
static int fix(enum queue q, const char *path, const char *id, bool running)
{
    struct buf right = BUF(QID_MAX); /* fits: a queue id */
    struct buf place = BUF(512);
    int result = 0;

    buf_setz(&right, id);
    if (is_message_queue(q) && !right_id(id, path, running, &right)) {
        result = -1;
    } else {
        queue_path(&place, q, right.p);
        if (strcmp(right.p, id) != 0)
            result = rename_message(q, path, id, right.p) ? 1 : -1;
        else if (strcmp(place.p, path) != 0)
            result = to_place(is_message_queue(q) ? rename_new : move_log, path, q, id) ? 1 : -1;
    }
    buf_free(&right);
    buf_free(&place);
    return result;
}

static struct list_of_found list_queue(enum queue q, bool *failed)
{
    struct list_of_found all = {0};
    struct queue_scan *scan = queue_scan_new(q);
    const char *id;

    while ((id = queue_scan_next(scan)) != NULL)
        *VEC_ADD(&all) = (struct found){mem_dupz(queue_scan_path(scan)), mem_dupz(id)};
    if (queue_scan_failed(scan)) {
        msg_warn("cannot read all of the %s queue", queue_name(q));
        *failed = true;
    }
    queue_scan_free(&scan);
    return all;
}

static void free_found(struct list_of_found *all)
{
    VEC_EACH (all, f) {
        free(f->path);
        free(f->id);
    }
    VEC_FREE(all);
}

/* After a backup was played back, for example: the mail system cannot open such a file, and its
 * mail would wait unseen. A file in maildrop belongs to whoever has submitted it. */
static void tell_owners(enum queue q, struct list_of_found *all)
{
    size_t count = 0;
    struct stat st;

    VEC_EACH (all, f)
        if (q != Q_MAILDROP && lstat(f->path, &st) == 0 && st.st_uid != geteuid() &&
            count++ < OWNERS_TOLD)
            msg_warn("not owned by %s: %s/%s: chown %s", conf.mail_owner, conf.queue_directory,
                     f->path, conf.mail_owner);
    if (count > OWNERS_TOLD)
        msg_warn("not owned by %s: %zu more files below %s/%s", conf.mail_owner,
                 count - OWNERS_TOLD, conf.queue_directory, queue_name(q));
}

/* One that is gone has moved on. */
static bool is_still_a_file(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? S_ISREG(st.st_mode) : errno != ENOENT;
}

size_t fix_names(enum queue q, bool running, bool *failed)
{
    struct list_of_found all = list_queue(q, failed);
    size_t changed = 0;

    tell_owners(q, &all);
    VEC_EACH (&all, f) {
        int result = fix(q, f->path, f->id, running);
        changed += result > 0;
        *failed |= result < 0 && is_still_a_file(f->path);
    }
    free_found(&all);
    return changed;
}

static bool may_have_message(const char *id)
{
    for (const enum queue *q = messages; *q != Q_COUNT; q++)
        if (queue_may_have(*q, id))
            return true;
    return false;
}

/* Twice, because a message that moves meanwhile may be in none of the queues as we look. */
static bool is_orphan(const char *id)
{
    return !may_have_message(id) && !may_have_message(id);
}

void fix_orphans(enum queue log, bool *failed)
{
    struct list_of_found all = list_queue(log, failed);

    VEC_EACH (&all, f)
        if (is_orphan(f->id))
            unlink(f->path); /* or the next time */
    free_found(&all);
}

/* "NUMBER.PID": seen as dead, or too old for anything that lives. A process that we cannot see may
 * be in another container. */
static bool is_abandoned(const char *name, const struct stat *st)
{
    const char *dot = strrchr(name, '.');
    int64_t pid, age = clock_wall() - st->st_mtime;

    if (dot == NULL || !S_ISREG(st->st_mode))
        return false;
    bool dead =
        num_parse(strz(dot + 1), 2, INT32_MAX, &pid) && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
    return age > (dead ? TEMPORARY_AGE_DEAD : TEMPORARY_AGE);
}

void fix_purge(enum queue q)
{
    struct queue_scan *scan = queue_scan_new(q);
    const char *name;
    struct stat st;

    queue_scan_all(scan, true);
    while ((name = queue_scan_next(scan)) != NULL)
        if (lstat(queue_scan_path(scan), &st) == 0 && is_abandoned(name, &st) &&
            unlink(queue_scan_path(scan)) == 0)
            msg_info("removed temporary file %s", queue_scan_path(scan));
    queue_scan_free(&scan);
}
