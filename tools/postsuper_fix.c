/*
 * The structure of the queue: every file in its hash directory, named after its inode.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "queue/qid.h"

#include "postsuper.h"

enum { TEMPORARY_AGE = 24 * 3600, TEMPORARY_AGE_DEAD = 3600, OWNERS_TOLD = 10 };

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

/* Renames never hit what is there already. */
static bool rename_new(const char *from, const char *to)
{
    if (link(from, to) < 0)
        return false;
    if (unlink(from) == 0)
        return true;
    int saved = errno;
    unlink(to);
    errno = saved;
    return false;
}

static bool move_to(const char *path, enum queue q, const char *id)
{
    struct buf to = BUF(512);
    bool moved;

    queue_path(&to, q, id);
    moved = rename_new(path, to.p);
    if (!moved && errno == ENOENT && queue_make_dirs(q, id, NULL) == 0)
        moved = rename_new(path, to.p);
    if (!moved)
        msg_warn("rename %s to %s: %s", path, to.p, strerror(errno));
    buf_free(&to);
    return moved;
}

/* A short name says the inode, so that it is given once only. A long one is unique as it is, but
 * must go when long names are no longer wanted. */
static bool right_id(const char *id, const char *path, struct buf *out)
{
    struct stat st;
    uint64_t inode = 0;
    bool is_long = qid_is_long(strz(id));

    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    buf_setz(out, id);
    if (is_long && conf.enable_long_queue_ids)
        return true;
    if (!is_long && qid_inode(strz(id), &inode) && inode == st.st_ino)
        return true;
    qid_short(out, clock_wall_us(), st.st_ino);
    return true;
}

/* The logs of a message bear its name. */
static void rename_logs(const char *old, const char *id)
{
    struct buf path = BUF(512);

    for (const enum queue *q = logs; *q != Q_COUNT; q++) {
        queue_path(&path, *q, old);
        if (access(path.p, F_OK) == 0)
            move_to(path.p, *q, id);
    }
    buf_free(&path);
}

static bool fix(enum queue q, const char *path, const char *id)
{
    struct buf right = BUF(QID_MAX); /* fits: a queue id */
    struct buf place = BUF(512);
    bool changed = false;

    buf_setz(&right, id);
    if (!is_message_queue(q) || right_id(id, path, &right)) {
        queue_path(&place, q, right.p);
        if (strcmp(place.p, path) != 0)
            changed = move_to(path, q, right.p);
        if (changed && strcmp(right.p, id) != 0) {
            msg_info("renamed %s to %s", id, right.p);
            rename_logs(id, right.p);
        }
    }
    buf_free(&right);
    buf_free(&place);
    return changed;
}

static struct list_of_found list_queue(enum queue q)
{
    struct list_of_found all = {0};
    struct queue_scan *scan = queue_scan_new(q);
    const char *id;

    while ((id = queue_scan_next(scan)) != NULL)
        *VEC_ADD(&all) = (struct found){mem_dupz(queue_scan_path(scan)), mem_dupz(id)};
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

size_t fix_names(enum queue q)
{
    struct list_of_found all = list_queue(q);
    size_t changed = 0;

    tell_owners(q, &all);
    VEC_EACH (&all, f)
        changed += fix(q, f->path, f->id);
    free_found(&all);
    return changed;
}

/* Twice, because a message that moves meanwhile may be in none of the queues as we look. */
static bool is_orphan(const char *id)
{
    return queue_locate(id, messages, NULL) == Q_COUNT &&
           queue_locate(id, messages, NULL) == Q_COUNT;
}

size_t fix_orphans(enum queue log)
{
    struct list_of_found all = list_queue(log);
    size_t removed = 0;

    VEC_EACH (&all, f)
        if (is_orphan(f->id) && unlink(f->path) == 0)
            removed++;
    free_found(&all);
    return removed;
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
