#include "base/track.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum { LINKS_MOST = 40, PATH_LIMIT = 2 * PATH_MAX, LOOK_MS = 1000 };

static void add_step(struct track *t, int fd, const struct stat *st)
{
    *VEC_ADD(&t->steps) = (struct track_step){.fd = fd,
                                              .mtime_ns = clock_ns(&st->st_mtim),
                                              .ctime_ns = clock_ns(&st->st_ctim),
                                              .size = st->st_size};
}

/* The link's text takes the place of its name: at is the directory it is in. */
static bool enter_link(int fd, struct buf *at, struct buf *rest)
{
    struct buf joined = BUF(PATH_LIMIT); /* asked: by step, as rest */
    char *text = buf_room(&joined, PATH_MAX);
    ssize_t n = readlinkat(fd, "", text, PATH_MAX);

    buf_grown(&joined, n > 0 ? (size_t)n : 0);
    if (n > 0 && text[0] == '/')
        buf_clear(at);
    buf_addc(&joined, '/');
    buf_add(&joined, buf_str(rest));
    buf_swap(rest, &joined);
    buf_free(&joined);
    return n > 0;
}

static void leave_last(struct buf *at)
{
    ptrdiff_t slash = str_rfind(buf_str(at), '/');

    buf_cut(at, slash < 0 ? 0 : (size_t)slash);
}

/* Cuts the next name off rest. */
static bool next_name(struct buf *rest, struct buf *name)
{
    struct str left = buf_str(rest), word;

    if (!str_word(&left, "/", &word))
        return false;
    buf_set(name, word);
    buf_skip(rest, rest->n - left.n);
    return true;
}

/* One name further: at is the way so far, without links. False: there is nothing of that name. */
static bool step(struct track *t, struct buf *at, struct buf *rest, const char *name)
{
    struct stat st;

    buf_addf(at, "/%s", name);
    if (!buf_ok(at) || !buf_ok(rest))
        return false;
    int fd = open(at->p, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0;
    bool is_link = ok && S_ISLNK(st.st_mode);
    if (!ok || S_ISDIR(st.st_mode)) {
        close(fd);
        return ok;
    }
    add_step(t, fd, &st);
    if (is_link)
        leave_last(at);
    return t->steps.n <= LINKS_MOST && (!is_link || enter_link(fd, at, rest));
}

static bool walk(struct track *t)
{
    struct buf at = BUF(PATH_LIMIT), rest = BUF(PATH_LIMIT); /* asked: by step */
    struct buf name = BUF(PATH_LIMIT); /* fits: a part of rest */
    bool ok = true;

    buf_addz(&rest, t->path);
    while (ok && next_name(&rest, &name))
        if (strcmp(name.p, "..") == 0)
            leave_last(&at);
        else if (strcmp(name.p, ".") != 0)
            ok = step(t, &at, &rest, name.p);
    buf_free(&at);
    buf_free(&rest);
    buf_free(&name);
    return ok;
}

static char *absolute(const char *path)
{
    struct buf full = BUF(PATH_LIMIT); /* fits: or step says that it does not */
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);

    if (cwd != NULL)
        buf_addf(&full, "%s/", cwd);
    free(cwd);
    buf_addz(&full, path);
    return buf_take(&full);
}

bool track_begin(struct track *t, const char *path)
{
    struct stat st, root;

    t->path = absolute(path);
    if (walk(t) && stat(t->path, &st) == 0 && stat("/", &root) == 0) {
        t->dev = st.st_dev;
        t->ino = st.st_ino;
        t->root_dev = root.st_dev;
        t->root_ino = root.st_ino;
        return true;
    }
    int saved = errno;
    track_end(t);
    errno = saved;
    return false;
}

void track_entries(struct track *t)
{
    struct stat st;

    if (t->path != NULL && stat(t->path, &st) == 0 && S_ISDIR(st.st_mode))
        t->entries_ns = clock_ns(&st.st_mtim);
}

static bool step_changed(const struct track_step *s)
{
    struct stat st;

    return fstat(s->fd, &st) < 0 || st.st_nlink == 0 || clock_ns(&st.st_mtim) != s->mtime_ns ||
           clock_ns(&st.st_ctim) != s->ctime_ns || st.st_size != s->size;
}

/* In another root directory the name says nothing. Nor is it a change when nothing can be seen
 * there: what is open stays good until there is something else. */
static bool leads_elsewhere(const struct track *t)
{
    struct stat st;

    return t->path != NULL && stat("/", &st) == 0 && st.st_dev == t->root_dev &&
           st.st_ino == t->root_ino && stat(t->path, &st) == 0 &&
           (st.st_dev != t->dev || st.st_ino != t->ino ||
            (t->entries_ns != 0 && clock_ns(&st.st_mtim) != t->entries_ns));
}

static bool any_step_changed(struct track *t)
{
    VEC_EACH (&t->steps, s)
        if (step_changed(s))
            return true;
    return false;
}

bool track_changed(struct track *t)
{
    return any_step_changed(t) || leads_elsewhere(t);
}

bool track_glance(struct track *t, int64_t now_ms)
{
    if (any_step_changed(t))
        return true;
    if (now_ms - t->looked_ms < LOOK_MS)
        return false;
    t->looked_ms = now_ms;
    return leads_elsewhere(t);
}

void track_end(struct track *t)
{
    VEC_EACH (&t->steps, s)
        close(s->fd);
    VEC_FREE(&t->steps);
    free(t->path);
    *t = (struct track){0};
}
