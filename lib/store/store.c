/*
 * Stores: opening a root, the names of folders, numbers of validity, stores kept open.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/num.h"
#include "base/str.h"
#include "store/folder.h"
#include "store/store_watch.h"
#include "task/task.h"

static void complete(struct store_settings *s)
{
    if (s->separator == '\0')
        s->separator = '.';
    if (s->lock_ms == 0)
        s->lock_ms = 120000;
    if (s->mode == 0)
        s->mode = 0700;
    if (s->folders == 0)
        s->folders = 10000;
    if (s->keywords == 0)
        s->keywords = 1000;
    s->hostname = mem_dupz(s->hostname != NULL ? s->hostname : "localhost");
    s->auto_folders = mem_dupz(s->auto_folders != NULL ? s->auto_folders : "");
    s->special_use =
        mem_dupz(s->special_use != NULL ? s->special_use
                                        : "Drafts=\\Drafts Sent=\\Sent Junk=\\Junk Trash=\\Trash "
                                          "Archive=\\Archive");
}

struct store *store_open(const char *path, const struct store_settings *settings, bool make,
                         struct why *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && make) {
        if (file_make_dirs(path, settings->mode != 0 ? settings->mode : 0700, why) < 0)
            return NULL;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        if (errno == ENOENT)
            why_set(why, "5.2.0", "there is no mailbox %s", path);
        else
            why_errno(why, "4.3.0", "cannot open mailbox %s", path);
        return NULL;
    }
    struct store *s = mem_new(sizeof *s);
    struct stat st;
    if (fstat(fd, &st) == 0) {
        s->ino = st.st_ino;
        s->dev = st.st_dev;
    }
    s->path = mem_dupz(path);
    s->rootfd = fd;
    s->set = *settings;
    complete(&s->set);
    list_init(&s->folders);
    list_init(&s->dirs);
    return s;
}

void store_close(struct store **store)
{
    struct store *s = *store;

    if (s == NULL)
        return;
    *store = NULL;
    store_watch_stop(s);
    LIST_EACH (&s->folders, l)
        folder_close(LIST_OF(l, struct folder, link));
    close(s->rootfd);
    free((char *)s->set.hostname);
    free((char *)s->set.special_use);
    free((char *)s->set.auto_folders);
    free(s->path);
    free(s);
}

bool store_is_current(const struct store *s)
{
    struct stat now;

    return stat(s->path, &now) == 0 && now.st_ino == s->ino && now.st_dev == s->dev;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

char store_separator(const struct store *s)
{
    return s->set.separator;
}

/* ---- names ---- */

bool store_name_ok(const struct store *s, const char *folder, struct why *why)
{
    struct str name = strz(folder);
    char sep = s->set.separator, before = sep;

    /* In the file system it has a dot in front. */
    if (name.n == 0 || name.n > NAME_MAX - 1)
        return why_set(why, "5.1.3", "a folder name has 1 to %d bytes", NAME_MAX - 1), false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == sep && before == sep)
            return why_set(why, "5.1.3", "a part of the folder name is empty"), false;
        if ((unsigned char)c < 0x20 || c == 0x7f || (c == '/' && sep != '/') ||
            (c == '.' && sep != '.'))
            return why_set(why, "5.1.3", "a character is not allowed in folder names"), false;
        before = c;
    }
    if (before == sep || name.p[0] == '~')
        return why_set(why, "5.1.3", "not a folder name"), false;
    return true;
}

void store_canonical(const struct store *s, const char *name, struct buf *out)
{
    struct str text = strz(name);

    /* RFC 3501 5.1: INBOX is known in any case of letters, also in front of its children. */
    if (str_istarts(text, STR("INBOX")) && (text.n == 5 || text.p[5] == s->set.separator)) {
        buf_addz(out, "INBOX");
        text = str_from(text, 5);
    }
    for (size_t i = 0; i < text.n; i++)
        buf_addc(out, text.p[i] == s->set.separator ? '.' : text.p[i]);
}

void store_dir(struct str canonical, struct buf *out)
{
    buf_addc(out, '.');
    if (!str_eqz(canonical, "INBOX"))
        buf_add(out, canonical);
}

/* ---- numbers of validity ---- */

static const char validity_name[] = "pombal.uidvalidity";

/* (waits) Two that read the same number would give it twice. */
static int lock_number(const struct store *s, int fd, struct why *why)
{
    int64_t deadline = task_now() + s->set.lock_ms;

    while (lock_try_flock(fd, true) < 0)
        if ((errno != EAGAIN && errno != EINTR) || task_now() >= deadline ||
            task_sleep(task_now() + 10) == WAIT_CANCELLED)
            return why_errno(why, "4.2.0", "cannot lock %s of mailbox %s", validity_name, s->path);
    return 0;
}

/* 0 and why: the next one cannot be told. */
static uint32_t next_validity(const struct store *s, int fd, uint32_t above, struct why *why)
{
    struct buf text = BUF(64);
    uint32_t now = (uint32_t)clock_wall(), last = 0;

    if (now <= above)
        now = above + 1;
    if (lock_number(s, fd, why) < 0)
        return 0;
    if (file_read_fd(fd, &text) < 0) {
        why_errno(why, "4.3.0", "cannot read %s of mailbox %s", validity_name, s->path);
        buf_free(&text);
        return 0;
    }
    num_parse_u32(str_trim(buf_str(&text)), 1, UINT32_MAX - 1, &last);
    if (last >= now)
        now = last + 1;
    buf_clear(&text);
    buf_addf(&text, "%u\n", now);
    if (pwrite(fd, text.p, text.n, 0) == (ssize_t)text.n && !s->set.no_sync)
        task_fdatasync(fd);
    buf_free(&text);
    return now;
}

/* One that is larger than all before, also of folders that were removed: RFC 3501 2.3.1.1. The file
 * keeps the last one; where it cannot be written, the time has to do. */
uint32_t store_new_uidvalidity(struct store *s, uint32_t above, struct why *why)
{
    int fd = file_open_plain(s->rootfd, validity_name, O_RDWR | O_CREAT, s->set.mode & 0666);
    uint32_t now = (uint32_t)clock_wall();

    if (fd < 0)
        return now > above ? now : above + 1;
    now = next_validity(s, fd, above, why);
    close(fd);
    return now;
}

/* ---- stores kept open ---- */

struct store_pool {
    struct store_settings set;
    struct hash *by_path;
    size_t max;
    int64_t clock; /* counts uses */
};

struct store_pool *store_pool_new(const struct store_settings *settings, size_t max)
{
    struct store_pool *p = mem_new(sizeof *p);

    p->set = *settings;
    complete(&p->set);
    p->by_path = hash_new();
    p->max = max;
    return p;
}

static void free_store(void *value)
{
    struct store *s = value;
    store_close(&s);
}

void store_pool_free(struct store_pool **p)
{
    if (*p == NULL)
        return;
    hash_free(&(*p)->by_path, free_store);
    free((char *)(*p)->set.hostname);
    free((char *)(*p)->set.special_use);
    free((char *)(*p)->set.auto_folders);
    free(*p);
    *p = NULL;
}

static void drop_oldest(struct store_pool *p)
{
    struct store *oldest = NULL;
    struct str key;
    void *value;

    for (size_t cursor = 0; hash_next(p->by_path, &cursor, &key, &value);) {
        struct store *s = value;
        if (s->uses == 0 && (oldest == NULL || s->used_at < oldest->used_at))
            oldest = s;
    }
    if (oldest == NULL)
        return;
    hash_drop(p->by_path, strz(oldest->path));
    store_close(&oldest);
}

struct store *store_keep(struct store_pool *p, const char *path, bool make, struct why *why)
{
    struct store *s = hash_find(p->by_path, strz(path));

    if (s != NULL && !store_is_current(s)) {
        hash_drop(p->by_path, strz(path));
        if (s->uses == 0)
            store_close(&s); /* else the last user closes it */
        s = NULL;
    }
    if (s == NULL) {
        s = store_open(path, &p->set, make, why);
        if (s == NULL)
            return NULL;
        if (hash_count(p->by_path) >= p->max)
            drop_oldest(p);
        hash_put(p->by_path, strz(path), s);
    }
    s->uses++;
    s->used_at = ++p->clock;
    return s;
}

void store_release(struct store_pool *p, struct store *s)
{
    if (--s->uses == 0 && hash_find(p->by_path, strz(s->path)) != s)
        store_close(&s);
}

int store_status(struct store *s, const char *folder, struct folder_status *out, struct why *why)
{
    struct folder *f = folder_open(s, folder, why);
    int result;

    if (f == NULL)
        return -1;
    result = folder_load(f, false, why);
    if (result == 0 && maildir_changed(f, true) && folder_lock(f, why) == 0) {
        result = folder_load(f, true, why);
        if (result == 0)
            result = maildir_merge(f, false, why);
        folder_unlock(f);
    }
    *out = (struct folder_status){.uidnext = f->state.uidnext,
                                  .uidvalidity = f->j.head.uidvalidity,
                                  .modseq = f->state.modseq};
    for (size_t i = 0; i < f->state.n; i++) {
        const struct msg *m = &f->state.slots[i].m;
        if (m->flags & SLOT_GONE)
            continue;
        out->messages++;
        out->recent += m->uid >= f->state.recent;
        out->unseen += !(m->flags & MSG_SEEN);
        out->size += m->size;
    }
    folder_release(f);
    return result;
}
