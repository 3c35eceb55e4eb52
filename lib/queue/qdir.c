/*
 * The directories of the queue: one rename is a move.
 */
#include "queue/qdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qid.h"
#include "task/task.h"

static const char *const queue_names[Q_COUNT] = {
    [Q_MAILDROP] = "maildrop", [Q_INCOMING] = "incoming", [Q_ACTIVE] = "active",
    [Q_DEFERRED] = "deferred", [Q_HOLD] = "hold",         [Q_CORRUPT] = "corrupt",
    [Q_SAVED] = "saved",       [Q_DEFER] = "defer",       [Q_BOUNCE] = "bounce",
    [Q_TRACE] = "trace",       [Q_FLUSH] = "flush",
};

const char *queue_name(enum queue q)
{
    return queue_names[q];
}

bool queue_by_name(const char *name, enum queue *q)
{
    for (int i = 0; i < Q_COUNT; i++)
        if (strcmp(name, queue_names[i]) == 0) {
            *q = (enum queue)i;
            return true;
        }
    return false;
}

static unsigned hash_depth(enum queue q)
{
    return str_listed(conf.hash_queue_names, queue_names[q]) ? (unsigned)conf.hash_queue_depth : 0;
}

static void dir_path(struct buf *path, enum queue q, const char *id)
{
    unsigned depth = hash_depth(q);

    if (!qid_valid(strz(id)))
        msg_panic("a path is to be made of what is no queue id");
    buf_setz(path, queue_names[q]);
    buf_addc(path, '/');
    if (depth > 0)
        qid_hash(strz(id), depth, path);
}

void queue_path(struct buf *path, enum queue q, const char *id)
{
    dir_path(path, q, id);
    buf_addz(path, id);
}

int queue_make_dirs(enum queue q, const char *id, struct why *why)
{
    struct buf path = BUF(512); /* fits: see queue_path */
    int result = 0;

    dir_path(&path, q, id);
    for (size_t i = 0; i < path.n && result == 0; i++) {
        if (path.p[i] != '/')
            continue;
        path.p[i] = 0;
        if (mkdir(path.p, 0700) < 0 && errno != EEXIST)
            result = why_errno(why, "4.3.0", "create directory %s", path.p);
        path.p[i] = '/';
    }
    buf_free(&path);
    return result;
}

int queue_move_found(const char *path, const char *id, enum queue to, struct why *why)
{
    struct buf new = BUF(512);
    int result, saved;

    queue_path(&new, to, id);
    result = rename(path, new.p);
    if (result < 0 && errno == ENOENT && hash_depth(to) > 0 && queue_make_dirs(to, id, why) == 0)
        result = rename(path, new.p);
    saved = errno;
    if (result < 0)
        why_errno(why, "4.3.0", "rename %s to %s", path, new.p);
    buf_free(&new);
    errno = saved;
    return result;
}

int queue_move(const char *id, enum queue from, enum queue to, struct why *why)
{
    struct buf old = BUF(512);

    queue_path(&old, from, id);
    int result = queue_move_found(old.p, id, to, why);
    int saved = errno;
    buf_free(&old);
    errno = saved;
    return result;
}

int queue_remove(enum queue q, const char *id, struct why *why)
{
    struct buf path = BUF(512);
    int result, saved;

    queue_path(&path, q, id);
    result = unlink(path.p);
    saved = errno;
    if (result < 0)
        why_errno(why, "4.3.0", "remove %s", path.p);
    buf_free(&path);
    errno = saved;
    return result;
}

bool queue_stat(enum queue q, const char *id, struct stat *st)
{
    struct buf path = BUF(512);
    struct stat own;
    bool found;

    queue_path(&path, q, id);
    found = lstat(path.p, st != NULL ? st : &own) == 0;
    int saved = errno;
    buf_free(&path);
    errno = saved;
    return found;
}

bool queue_may_have(enum queue q, const char *id)
{
    return queue_stat(q, id, NULL) || (errno != ENOENT && errno != ENOTDIR);
}

bool queue_is_file(enum queue q, const char *id, int fd, struct stat *st)
{
    struct stat named;
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_RDWR && fstat(fd, st) == 0 &&
           queue_stat(q, id, &named) && S_ISREG(st->st_mode) && st->st_dev == named.st_dev &&
           st->st_ino == named.st_ino;
}

bool queue_is_taken(const char *id, const struct stat *st)
{
    uint64_t inode;

    if (qid_inode(strz(id), &inode) && inode == st->st_ino)
        return false;
    return queue_stat(Q_ACTIVE, id, NULL) || queue_stat(Q_DEFERRED, id, NULL) ||
           queue_stat(Q_HOLD, id, NULL);
}

enum queue queue_locate(const char *id, const enum queue *list, struct stat *st)
{
    while (*list != Q_COUNT && !queue_stat(*list, id, st))
        list++;
    return *list;
}

/* Hash directories have names of one character; more than eight levels are not ours. */
enum { SCAN_DEPTH = 8 };

struct queue_scan {
    DIR *dir[SCAN_DEPTH + 1];
    size_t length[SCAN_DEPTH + 1]; /* of path, up to and with the slash */
    int depth; /* of the innermost open one; -1: at the end */
    struct buf path;
    bool all;
    bool failed;
};

struct queue_scan *queue_scan_new(enum queue q)
{
    struct queue_scan *s = mem_new(sizeof *s);

    /* fits: SCAN_DEPTH letters and one name of 255 bytes */
    s->path = BUF(1024);
    buf_addf(&s->path, "%s/", queue_names[q]);
    s->length[0] = s->path.n;
    s->dir[0] = opendir(s->path.p);
    s->depth = s->dir[0] != NULL ? 0 : -1;
    s->failed = s->dir[0] == NULL && errno != ENOENT;
    return s;
}

void queue_scan_all(struct queue_scan *s, bool all)
{
    s->all = all;
}

static void enter(struct queue_scan *s)
{
    if (s->depth == SCAN_DEPTH)
        return;
    buf_addc(&s->path, '/');
    DIR *d = opendir(s->path.p);
    if (d == NULL) {
        s->failed |= errno != ENOENT;
        return;
    }
    s->depth++;
    s->dir[s->depth] = d;
    s->length[s->depth] = s->path.n;
}

const char *queue_scan_next(struct queue_scan *s)
{
    while (s->depth >= 0) {
        const struct dirent *e = file_next_entry(s->dir[s->depth]);
        if (e == NULL) {
            s->failed |= errno != 0;
            closedir(s->dir[s->depth--]);
            continue;
        }
        struct str name = strz(e->d_name);
        buf_cut(&s->path, s->length[s->depth]);
        buf_add(&s->path, name);
        if (name.p[0] == '.')
            continue;
        if (name.n == 1)
            enter(s);
        else if (s->all || qid_valid(name))
            return s->path.p + s->length[s->depth];
    }
    return NULL;
}

const char *queue_scan_path(const struct queue_scan *s)
{
    return s->path.p;
}

bool queue_scan_failed(const struct queue_scan *s)
{
    return s->failed;
}

void queue_scan_free(struct queue_scan **s)
{
    if (*s == NULL)
        return;
    for (; (*s)->depth >= 0; (*s)->depth--)
        closedir((*s)->dir[(*s)->depth]);
    buf_free(&(*s)->path);
    free(*s);
    *s = NULL;
}

/* Where there is plenty, the file system is asked once a second. */
static struct {
    uint64_t bytes; /* free, when it was looked at */
    int64_t until_ms;
} space;

static bool has_plenty(uint64_t need)
{
    static const uint64_t plenty = 1 << 30; /* nobody writes so much in a second */

    return task_now() < space.until_ms && need < space.bytes && space.bytes - need > plenty;
}

static void remember_space(const struct statvfs *fs)
{
    bool files = fs->f_files == 0 || fs->f_favail > 100000;

    space.bytes = files ? fs->f_bavail * fs->f_frsize : 0;
    space.until_ms = task_now() + 1000;
}

/* As Postfix: what must be free for any message, whatever its client says of its size. Reports,
 * logs and mail of local programs need some, too. */
static uint64_t room_wanted(int64_t size)
{
    uint64_t for_this = (uint64_t)conf.queue_minfree + (uint64_t)(size > 0 ? size : 0);
    uint64_t limit = conf.message_size_limit > 0 ? (uint64_t)conf.message_size_limit : 0;
    uint64_t for_any = limit + limit / 2;

    return for_this > for_any ? for_this : for_any;
}

int queue_check_space(int64_t size, struct why *why)
{
    struct statvfs fs;
    uint64_t wanted = room_wanted(size);

    if (has_plenty(wanted))
        return 0;
    if (statvfs(".", &fs) < 0)
        return why_errno(why, "4.3.0", "look at the file system of the queue");
    /* In blocks, so that no file system is too large to count. */
    uint64_t block = fs.f_frsize > 0 ? fs.f_frsize : 1;
    uint64_t need = wanted / block;
    remember_space(&fs);
    if (fs.f_bavail > need && (fs.f_files == 0 || fs.f_favail > 0))
        return 0;
    msg_warn("not enough free space in mail queue: %" PRIu64 " bytes and %" PRIu64
             " files, and queue_minfree, the message or 1.5*message_size_limit want %" PRIu64
             " bytes",
             (uint64_t)fs.f_bavail * block, (uint64_t)fs.f_favail, wanted);
    return why_set(why, "4.3.1", "Insufficient system storage");
}
