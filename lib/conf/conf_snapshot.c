#include "conf/conf_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

enum { FILE_MAX = 16 << 20, PATH_MAX_LENGTH = 8192, CHUNK = 64 * 1024 };

static struct conf_snapshot used = CONF_NO_SNAPSHOT;

void conf_snapshot_use(struct conf_snapshot s)
{
    used = s;
}

struct conf_snapshot conf_snapshot_used(void)
{
    return used;
}

void conf_snapshot_close(struct conf_snapshot *s)
{
    if (s->main >= 0)
        close(s->main);
    if (s->master >= 0)
        close(s->master);
    *s = CONF_NO_SNAPSHOT;
}

/* Not from the offset of the descriptor, which is shared with other processes. */
static int read_copy(int fd, struct buf *out)
{
    for (off_t at = 0;;) {
        char *room = buf_room(out, CHUNK);
        ssize_t n = room == NULL ? -1 : pread(fd, room, CHUNK, at);
        if (n < 0)
            return -1;
        if (n == 0)
            return 0;
        buf_grown(out, (size_t)n);
        at += n;
    }
}

static int conf_snapshot_read_file(const char *dir, const char *name, struct buf *out,
                                   struct why *why)
{
    struct buf path = BUF(PATH_MAX_LENGTH);
    int result;

    buf_addf(&path, "%s/%s", dir, name);
    result = buf_ok(&path) ? file_read(path.p, out, why)
                           : why_set(why, "4.3.5", "%.100s/%s: the name is too long", dir, name);
    buf_free(&path);
    return result;
}

int conf_file_read(const char *dir, const char *name, struct buf *out, struct why *why)
{
    int fd = strcmp(name, "main.cf") == 0 ? used.main : used.master;

    if (fd < 0)
        return conf_snapshot_read_file(dir, name, out, why);
    return read_copy(fd, out) == 0 ? 0 : why_errno(why, "4.3.0", "read the copy of %s", name);
}

static int copy(const char *dir, const char *name, struct why *why)
{
    /* fits: read_file fails if the file is larger */
    struct buf text = BUF(FILE_MAX);
    int fd = -1;

    if (conf_snapshot_read_file(dir, name, &text, why) == 0) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
            why_errno(why, "4.3.0", "copy %s", name);
            if (fd >= 0)
                close(fd);
            fd = -1;
        }
    }
    buf_free(&text);
    return fd;
}

int conf_snapshot_take(const char *dir, struct conf_snapshot *out, struct why *why)
{
    *out = CONF_NO_SNAPSHOT;
    out->main = copy(dir, "main.cf", why);
    if (out->main >= 0)
        out->master = copy(dir, "master.cf", why);
    if (out->main >= 0 && out->master >= 0)
        return 0;
    conf_snapshot_close(out);
    return -1;
}

/* FNV-1a. */
static unsigned hash(unsigned h, const struct buf *text)
{
    for (size_t i = 0; i < text->n; i++)
        h = (h ^ (unsigned char)text->p[i]) * 16777619U;
    return (h ^ 0xffU) * 16777619U;
}

unsigned conf_snapshot_number(struct conf_snapshot s)
{
    /* fits: read_copy fails if a copy is larger */
    struct buf one = BUF(FILE_MAX), two = BUF(FILE_MAX);
    unsigned h = 0;

    if (s.main >= 0 && read_copy(s.main, &one) == 0 && read_copy(s.master, &two) == 0)
        h = hash(hash(2166136261U, &one), &two) | 1U;
    buf_free(&one);
    buf_free(&two);
    return h >> 1; /* fits the int of a signal's value */
}
