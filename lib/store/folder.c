/*
 * Folders of a store: found open or opened, locked, kept for the next time.
 */
#include "store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/msg.h"
#include "base/str.h"
#include "task/task.h"

/* ---- open and close ---- */

static struct folder_dir *find_dir(struct store *s, const struct stat *st)
{
    LIST_EACH (&s->dirs, l) {
        struct folder_dir *d = LIST_OF(l, struct folder_dir, link);
        if (d->ino == st->st_ino && d->dev == st->st_dev)
            return d;
    }
    return NULL;
}

/* Takes fd, or closes it if the directory is open already. */
static struct folder_dir *use_dir(struct store *s, int fd, const struct stat *st)
{
    struct folder_dir *d = find_dir(s, st);

    if (d != NULL) {
        close(fd);
    } else {
        d = mem_new(sizeof *d);
        *d = (struct folder_dir){.fd = fd, .dev = st->st_dev, .ino = st->st_ino};
        d->watch_dir = d->watch_new = d->watch_cur = -1;
        list_init(&d->waiters);
        list_add(&s->dirs, &d->link);
    }
    d->uses++;
    return d;
}

static void leave_dir(struct folder_dir *d)
{
    if (--d->uses > 0)
        return;
    list_drop(&d->link);
    close(d->fd);
    free(d);
}

static struct folder *new_folder(struct store *s, const char *name, const char *dir,
                                 struct folder_dir *on)
{
    struct folder *f = mem_new(sizeof *f);

    f->store = s;
    f->name = mem_dupz(name);
    f->dir = mem_dupz(dir);
    f->on = on;
    f->dirfd = on->fd;
    f->blobs = (struct blobs){f->dirfd, s->set.mode};
    f->jfd = -1;
    list_init(&f->link);
    list_init(&f->views);
    /* asked: by write_records */
    f->out = BUF(JOURNAL_MAX);
    state_init(&f->state);
    cache_init(&f->cache, f->dirfd, 0);
    return f;
}

void folder_close(struct folder *f)
{
    list_drop(&f->link);
    cache_close(&f->cache);
    state_free(&f->state);
    VEC_FREE(&f->events.list);
    buf_free(&f->out);
    VEC_FREE(&f->replaced);
    if (f->jfd >= 0)
        close(f->jfd);
    leave_dir(f->on);
    free(f->name);
    free(f->dir);
    free(f);
}

struct folder *folder_beside(const struct folder *f)
{
    f->on->uses++;
    return new_folder(f->store, f->name, f->dir, f->on);
}

static bool has_cache(const struct folder *f)
{
    return faccessat(f->dirfd, "pombal.cache", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Only a folder that never had a journal takes over the numbers of another program: else an old
 * file would bring back numbers that have been used since. */
static int make_journal(struct folder *f, struct why *why)
{
    struct state state;

    state_init(&state);
    uint32_t uidvalidity = 0;
    int result = has_cache(f) ? 0 : takeover(f, &state, &uidvalidity, why);
    if (result == 0)
        result = folder_make(f, &state, uidvalidity, true, why);
    state_free(&state);
    return result;
}

/* The journal, made if there is none. */
static int open_journal(struct folder *f, struct why *why)
{
    int result = folder_open_journal(f, false, why);

    if (result != 0)
        return result < 0 ? -1 : 0;
    if (folder_lock(f, why) < 0)
        return -1;
    if (blobs_make(&f->blobs) < 0)
        result = why_errno(why, "4.3.0", "cannot create the directories of folder %s", f->name);
    else
        result = folder_open_journal(f, true, why);
    if (result == 0)
        result = make_journal(f, why);
    folder_unlock(f);
    return result < 0 ? -1 : 0;
}

/* Another process may have removed or renamed it. INBOX is the root itself. Where it cannot be told
 * just now, nothing is known of another one. */
static bool is_current(const struct folder *f)
{
    struct stat now;

    if (strcmp(f->dir, ".") == 0)
        return true;
    if (fstatat(f->store->rootfd, f->dir, &now, 0) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return now.st_ino == f->on->ino && now.st_dev == f->on->dev;
}

static struct folder *find_open(struct store *s, struct str canonical)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        if (f->failed || !str_eqz(canonical, f->name))
            continue;
        if (is_current(f))
            return f;
        f->failed = true;
        if (f->uses == 0)
            folder_close(f);
    }
    return NULL;
}

/* The same directory, opened by another name: a link leads to it. */
static struct folder *find_same(struct store *s, const struct stat *st)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        if (!f->failed && f->on->ino == st->st_ino && f->on->dev == st->st_dev)
            return f;
    }
    return NULL;
}

/* Somebody else in this process has it, or is just opening it, or it was kept. */
static struct folder *share(struct folder *f, const char *name, struct why *why)
{
    struct store *s = f->store;
    bool idle = f->uses++ == 0;

    while (f->opening && task_sleep(task_now() + 1) != WAIT_CANCELLED)
        ;
    if (idle && folder_refresh(f, false, why) < 0 && f->failed) {
        /* Meanwhile it was removed or numbered anew: nobody has seen it as it was. */
        folder_release(f);
        why_clear(why);
        return folder_open(s, name, why);
    }
    if (!f->failed && !f->opening)
        return f;
    folder_release(f);
    why_set(why, "4.2.0", "folder %s is not available", name);
    return NULL;
}

static struct folder *open_dir(struct store *s, const char *name, const char *dir,
                               struct folder_dir *on, struct why *why)
{
    struct folder *f = new_folder(s, name, dir, on);

    list_add(&s->folders, &f->link);
    f->uses = 1;
    f->opening = true;
    int result = open_journal(f, why);
    f->opening = false;
    if (result == 0)
        return f;
    f->failed = true;
    folder_release(f);
    return NULL;
}

static struct folder *open_new(struct store *s, const char *name, const char *canonical,
                               struct why *why)
{
    struct buf dir = BUF(NAME_MAX + 1);
    struct stat st;
    struct folder *f = NULL;

    store_dir(strz(canonical), &dir);
    int fd = -1;
    errno = ENAMETOOLONG;
    if (buf_ok(&dir))
        fd = openat(s->rootfd, dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && store_make_auto(s, name))
        fd = openat(s->rootfd, dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        f = find_same(s, &st);
        if (f == NULL) {
            f = open_dir(s, canonical, dir.p, use_dir(s, fd, &st), why);
        } else {
            close(fd);
            f = share(f, name, why);
        }
    } else if (errno == ENOENT || errno == ENOTDIR) {
        why_set(why, "5.2.0", "folder %s does not exist", name);
    } else {
        why_errno(why, "4.3.0", "cannot open folder %s", name);
    }
    buf_free(&dir);
    return f;
}

struct folder *folder_open(struct store *s, const char *name, struct why *why)
{
    struct buf canonical = BUF(NAME_MAX + 1);
    struct folder *f = NULL;

    if (!store_name_ok(s, name, why))
        return NULL;
    store_canonical(s, name, &canonical);
    if (!buf_ok(&canonical))
        why_set(why, "5.1.3", "the folder name is too long");
    else if ((f = find_open(s, buf_str(&canonical))) != NULL)
        f = share(f, name, why);
    else
        f = open_new(s, name, canonical.p, why);
    buf_free(&canonical);
    return f;
}

enum { KEEP_FOLDERS = 8, KEEP_MESSAGES = 100000 };

/* What nobody uses stays open for the next time, within bounds. */
void folder_release(struct folder *f)
{
    struct store *s = f->store;
    size_t idle = 0, messages = 0;

    if (--f->uses > 0)
        return;
    if (f->failed || f->in_memory || f->frozen) { /* perhaps it can be written next time */
        folder_close(f);
        return;
    }
    f->events_base += f->events.list.n;
    f->events.list.n = 0;
    list_drop(&f->link);
    list_push(&s->folders, &f->link); /* the youngest in front */
    LIST_EACH (&s->folders, l) {
        struct folder *other = LIST_OF(l, struct folder, link);
        if (other->uses > 0)
            continue;
        messages += other->state.n;
        if (++idle > KEEP_FOLDERS) {
            folder_close(other);
        } else if (messages > KEEP_MESSAGES && other->loaded) {
            state_forget(&other->state);
            other->loaded = false;
        }
    }
}
/* ---- lock ---- */

struct waiter {
    struct list link;
    struct task *task;
};

static bool wait_in_line(struct folder_dir *d, int64_t deadline)
{
    while (d->locked) {
        struct waiter w = {.task = task_self()};
        list_add(&d->waiters, &w.link);
        enum wait result = task_park(deadline);
        list_drop(&w.link);
        if (result == WAIT_TIMEOUT || result == WAIT_CANCELLED)
            return !d->locked;
    }
    return true;
}

int folder_lock(struct folder *f, struct why *why)
{
    int64_t deadline = task_now() + f->store->set.lock_ms, pause = 2;

    if (!wait_in_line(f->on, deadline))
        return why_set(why, "4.2.0", "folder %s is busy", f->name);
    f->on->locked = true;
    while (lock_try_flock(f->dirfd, true) < 0) {
        int error = errno;
        bool again = error == EAGAIN || error == EINTR;
        if (again && task_now() < deadline && task_sleep(task_now() + pause) != WAIT_CANCELLED) {
            pause = pause < 50 ? pause * 2 : 50;
            continue;
        }
        errno = error;
        why_errno(why, "4.2.0", "cannot lock folder %s", f->name);
        folder_unlock(f);
        return -1;
    }
    return 0;
}

void folder_unlock(struct folder *f)
{
    struct folder_dir *d = f->on;

    lock_release_flock(d->fd);
    d->locked = false;
    if (!list_empty(&d->waiters))
        task_wake(LIST_OF(d->waiters.next, struct waiter, link)->task);
}

struct mime_limits folder_mime_limits(const struct folder *f)
{
    const struct store_settings *set = &f->store->set;

    return (struct mime_limits){set->depth, set->parts, set->header};
}

void folder_warn_cut(const struct folder *f, const struct mime_part *root)
{
    if (root->header_cut)
        msg_warn("folder %s of %s: what is behind mime_header_limit in the header of a message is "
                 "not in its ENVELOPE",
                 f->name, f->store->path);
}
