/*
 * :include: files, and reading of them and of .forward files line by line.
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

size_t local_lines(struct local *l, const struct address *a, struct str text)
{
    struct str line;
    size_t n = 0;

    while (str_split(&text, '\n', &line)) {
        local_step(l);
        ptrdiff_t zero = str_find(line, 0); /* as Postfix, where a line ends there */
        if (zero >= 0)
            line = str_upto(line, (size_t)zero);
        if (line.n > 0 && line.p[0] != '#')
            n += local_targets(l, a, line);
    }
    return n;
}

/* The details are for the log only. */
static void local_include_fail(struct local *l, const struct address *a, const char *code,
                               const char *what, const char *path)
{
    struct why why = WHY;

    msg_warn("%s %s", what, path);
    why_set(&why, code, "mail system configuration error");
    local_failed(l, a, &why);
    why_free(&why);
}

/* Of a file that cannot be looked at: what may be another time makes the mail wait. */
static const char *include_code(int error)
{
    bool for_good = error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
                    error == ENAMETOOLONG;

    return for_good ? "5.3.5" : "4.3.5";
}

/* A file that belongs to a user, in an alias of root's: it can do what its owner can, not what the
 * default user can. */
static bool take_rights(struct local *l, struct address *a, const struct stat *st, const char *path)
{
    struct why why = WHY;
    struct rights owner;
    int found;

    if (a->rights.uid != 0 || st->st_uid == 0)
        return true;
    found = local_user_by_id(l->mem, st->st_uid, &owner, &why);
    if (found <= 0) /* the name service may know the owner another time */
        local_include_fail(l, a, "4.3.5", "cannot find :include: file owner username:", path);
    else
        a->rights = owner;
    why_free(&why);
    return found > 0;
}

/* Opened with the rights that count here; what root's alias names is opened by root. */
static int open_include(const struct address *a, const char *path, struct why *why)
{
    int fd;

    if (a->rights.uid != 0 && become_begin(a->rights.uid, a->rights.gid, why) < 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        why_errno(why, "4.3.5", "cannot open include file %s", path);
    if (a->rights.uid != 0)
        become_end();
    return fd;
}

static void include(struct local *l, struct address *a, const char *path)
{
    struct buf text = BUF((size_t)conf.include_size_limit);
    struct why why = WHY;
    int fd = open_include(a, path, &why);

    bool fits = true;
    if (fd < 0 || file_read_fd(fd, &text) < 0 || !(fits = buf_ok(&text))) {
        if (why.code[0] == 0)
            why_set(&why, "4.3.5", "error reading :include: file %s: %s", path,
                    fits ? strerror(errno) : "too large");
        msg_warn("%s", why_text(&why));
        local_failed(l, a, &why);
    } else
        local_lines(l, a, buf_str(&text));
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    why_free(&why);
}

void local_include(struct local *l, const struct address *from, const char *path)
{
    struct address a = *from;
    struct stat st;

    l->included = true;
    if (local_seen(l, "include %ld %s", (long)a.rights.uid, path))
        return;
    if (path[0] != '/')
        local_include_fail(l, &a, "5.3.5", ":include: uses a relative path:", path);
    else if (stat(path, &st) < 0)
        local_include_fail(l, &a, include_code(errno), "unable to lookup :include: file", path);
    else if (!S_ISREG(st.st_mode))
        local_include_fail(l, &a, "5.3.5", ":include: file is not a regular file:", path);
    else if ((st.st_mode & S_IWOTH) != 0)
        local_include_fail(l, &a, "5.3.5", ":include: file is world writable:", path);
    else if (take_rights(l, &a, &st, path)) {
        a.origin = FROM_INCLUDE;
        if (*a.owner == 0)
            a.owner = a.address;
        if (!str_listed(conf.propagate_unmatched_extensions, "include"))
            a.unmatched = "";
        include(l, &a, path);
    }
}
