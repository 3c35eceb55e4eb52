/*
 * Subscriptions. RFC 3501 6.3.6, 6.3.7, 6.3.9.
 */
#include "store/subscriptions.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/str.h"
#include "store/folder.h"
#include "task/task.h"

static const char file_name[] = "subscriptions";
static const char new_name[] = "subscriptions.new";
enum { FILE_MAX = 4 << 20 };

static int subscriptions_read_file(struct store *s, const char *name, struct buf *out,
                                   struct why *why)
{
    int fd = file_open_plain(s->rootfd, name, O_RDONLY, 0);

    if (fd < 0)
        return errno == ENOENT ? 0 : why_errno(why, "4.3.0", "cannot open %s", name);
    int result = file_read_fd(fd, out) < 0 ? why_errno(why, "4.3.0", "cannot read %s", name) : 1;
    close(fd);
    return result;
}

/* RFC 3501 5.1, as store_canonical(): INBOX in any case of letters, also in front of its children,
 * so that what LIST and LSUB say of a folder is one name. */
static void spell_inbox(const struct store *s, char *name, size_t n)
{
    if (str_istarts((struct str){name, n}, STR("INBOX")) && (n == 5 || name[5] == s->set.separator))
        memcpy(name, "INBOX", 5);
}

static struct str with_separator(struct store *s, struct arena *mem, struct str line, char from)
{
    char *p = arena_strz(mem, line);

    for (size_t i = 0; i < line.n; i++)
        if (p[i] == from)
            p[i] = s->set.separator;
    spell_inbox(s, p, line.n);
    return (struct str){p, line.n};
}

static void parse(struct store *s, struct arena *mem, struct str text, bool courier,
                  struct subscriptions *out)
{
    bool tabs = str_starts(text, STR("V\t2\n\n"));
    size_t lines = 1;
    struct str line;

    if (tabs)
        text = str_from(text, 5);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    out->at = arena_array(mem, lines, sizeof *out->at);
    while (str_split(&text, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line = str_upto(line, line.n - 1); /* blanks may be part of a name */
        if (courier && str_istarts(line, STR("INBOX.")))
            line = str_from(line, 6);
        if (line.n == 0 || memchr(line.p, '\0', line.n) != NULL)
            continue;
        out->at[out->n++] = with_separator(s, mem, line, tabs ? '\t' : '.');
    }
}

int subscriptions_read(struct store *s, struct arena *mem, struct subscriptions *out,
                       struct why *why)
{
    /* asked: by read_file */
    struct buf text = BUF(FILE_MAX);
    int result = subscriptions_read_file(s, file_name, &text, why);
    bool courier = false;

    *out = (struct subscriptions){NULL, 0};
    if (result == 0) {
        courier = true;
        result = subscriptions_read_file(s, "courierimapsubscribed", &text, why);
    }
    if (result > 0)
        parse(s, mem, buf_str(&text), courier, out);
    buf_free(&text);
    return result < 0 ? -1 : 0;
}

static void format(struct store *s, const struct subscriptions *subs, struct buf *out)
{
    buf_addz(out, "V\t2\n\n");
    for (size_t i = 0; i < subs->n; i++) {
        for (size_t k = 0; k < subs->at[i].n; k++)
            buf_addc(out, subs->at[i].p[k] == s->set.separator ? '\t' : subs->at[i].p[k]);
        buf_addc(out, '\n');
    }
}

static int write_file(struct store *s, struct str text, struct why *why)
{
    int fd = file_open_plain(s->rootfd, new_name, O_WRONLY | O_CREAT | O_TRUNC, s->set.mode & 0666);
    bool good = fd >= 0 && file_write_all(fd, text.p, text.n) == 0 &&
                (s->set.no_sync || task_fdatasync(fd) == 0) &&
                renameat(s->rootfd, new_name, s->rootfd, file_name) == 0 &&
                (s->set.no_sync || task_fsync(s->rootfd) == 0);

    if (!good)
        why_errno(why, "4.3.0", "cannot write %s", file_name);
    if (fd >= 0)
        close(fd);
    return good ? 0 : -1;
}

static int change(struct store *s, const char *folder, bool on, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct subscriptions subs, now = {NULL, 0};
    /* asked: by read_file */
    struct buf text = BUF(FILE_MAX);
    struct str name = strz(folder);
    int result = subscriptions_read(s, mem, &subs, why);

    if (result == 0) {
        bool was = false;
        now.at = arena_array(mem, subs.n + 1, sizeof *now.at);
        for (size_t i = 0; i < subs.n; i++) {
            bool same = str_eq(subs.at[i], name);
            was = was || same;
            if (!same || on)
                now.at[now.n++] = subs.at[i];
        }
        if (on && !was)
            now.at[now.n++] = name;
        format(s, &now, &text);
        if (!buf_ok(&text) || (on && !was && now.n > s->set.folders))
            result = why_set(why, "5.2.2", "too many subscriptions");
        else if (on != was)
            result = write_file(s, buf_str(&text), why);
    }
    buf_free(&text);
    arena_free(&mem);
    return result;
}

/* (waits) The lock of the root, which goes when fd is closed. */
static int lock_file(const struct store *s, int fd)
{
    int64_t deadline = task_now() + s->set.lock_ms;

    while (lock_try_flock(fd, true) < 0)
        if ((errno != EAGAIN && errno != EINTR) || task_now() >= deadline ||
            task_sleep(task_now() + 5) == WAIT_CANCELLED)
            return -1;
    return 0;
}

int store_subscribe(struct store *s, const char *folder, bool on, struct why *why)
{
    struct buf name = BUF(300);
    int result = -1;

    if (on && !store_name_ok(s, folder, why))
        return -1;
    buf_addz(&name, folder);
    spell_inbox(s, name.p, name.n);
    int fd = openat(s->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !buf_ok(&name))
        why_set(why, "4.3.0", "cannot change subscriptions");
    else if (lock_file(s, fd) < 0)
        why_errno(why, "4.2.0", "cannot lock the subscriptions");
    else
        result = change(s, name.p, on, why);
    if (fd >= 0)
        close(fd);
    buf_free(&name);
    return result;
}
