/*
 * .forward files: the first of forward_path that exists and is the user's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/become.h"

#include "local.h"
#include "local_lines.h"

enum { PATH_LIMIT = 8192 };

/* Nobody else may say where a user's mail goes. 1: it is the user's own, 0: it is not, or it is no
 * file, -1: cannot be known now. */
static int is_trusted(int fd, const char *path, const struct rights *r, struct why *why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return why_errno(why, "4.3.0", "cannot look at file %s", path);
    if (!S_ISREG(st.st_mode)) {
        msg_warn("file %s is not a regular file", path);
        return 0;
    }
    if (st.st_uid != 0 && st.st_uid != r->uid) {
        msg_warn("file %s has bad owner uid %ld", path, (long)st.st_uid);
        return 0;
    }
    if ((st.st_mode & S_IWOTH) != 0) {
        msg_warn("file %s is world writable", path);
        return 0;
    }
    return 1;
}

/* 1: text is its contents, 0: no such file, -1: cannot be known now. */
static int read_forward(const char *path, const struct rights *r, struct buf *text, struct why *why)
{
    int status = 0, fd;

    if (become_begin(r->uid, r->gid, why) < 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP &&
        errno != ENAMETOOLONG)
        status = why_errno(why, "4.3.0", "cannot open file %s", path);
    else if (fd >= 0)
        status = is_trusted(fd, path, r, why);
    if (status > 0 && (file_read_fd(fd, text) < 0 || !buf_ok(text)))
        status = why_set(why, "4.3.0", "error reading forwarding file %s", path);
    if (fd >= 0)
        close(fd);
    become_end();
    return status;
}

/* A file that lists its own user leads here again: the mailbox then. */
static bool forward_by(struct local *l, struct address *a, const char *path, struct str text,
                       bool ext_used)
{
    struct address next = *a;

    if (local_seen(l, "forward %s", path))
        return false;
    next.origin = FROM_FORWARD;
    next.owner = a->user;
    next.expanded = "";
    if (ext_used || !str_listed(conf.propagate_unmatched_extensions, "forward"))
        next.unmatched = "";
    if (!conf.frozen_delivered_to)
        next.delivered = a->address;
    return local_lines(l, &next, text) > 0;
}

static bool try_path(struct local *l, struct address *a, const char *path, bool ext_used,
                     bool *tried)
{
    /* asked: by read_forward */
    struct buf text = BUF((size_t)conf.include_size_limit);
    struct why why = WHY;
    int found = path[0] != '/' ? 0 : read_forward(path, &a->rights, &text, &why);

    *tried = found != 0;
    bool done = found < 0;
    if (found < 0)
        local_failed(l, a, &why);
    if (found > 0)
        done = forward_by(l, a, path, buf_str(&text), ext_used);
    buf_free(&text);
    why_free(&why);
    return done;
}

static bool home_is_there(struct local *l, const struct address *a)
{
    struct why why = WHY;
    struct stat st;
    bool there = !conf.require_home_directory || stat(a->rights.home, &st) == 0;

    if (!there) {
        why_errno(&why, "4.3.0", "cannot access home directory %s", a->rights.home);
        local_failed(l, a, &why);
    }
    why_free(&why);
    return there;
}

static bool search(struct local *l, struct address *a)
{
    struct str rest = strz(conf.forward_path), word;
    bool done = false, tried = false;

    while (!tried && str_word_braces(&rest, ", \t\r\n", &word)) {
        struct buf path = BUF(PATH_LIMIT);
        if (local_expand(l, a, arena_strz(l->mem, word), conf.forward_expansion_filter, &path) &&
            buf_ok(&path))
            done = try_path(l, a, path.p, str_search(word, STR("extension")) >= 0, &tried);
        buf_free(&path);
    }
    return done;
}

bool local_forward(struct local *l, struct address *from)
{
    struct address a = *from;
    struct why why = WHY;
    bool done = false;
    int found;

    if (*conf.forward_path == 0)
        return false;
    found = local_user(l->mem, a.user, &a.rights, &why);
    if (found < 0)
        local_failed(l, &a, &why);
    if (found > 0 && a.rights.uid != 0 && a.rights.gid != 0)
        done = !home_is_there(l, &a) || search(l, &a);
    why_free(&why);
    return done || found < 0;
}
