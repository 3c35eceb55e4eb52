/*
 * Blobs as files of a Maildir: tmp/, new/, cur/.
 */
#include "store/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ident.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/folder_state.h"
#include "task/task.h"

enum { COPY_PIECE = 2 << 20 };

static const char *const all_dirs[] = {"tmp", "new", "cur"};
static const char *const dirs[] = {[BLOBS_NEW] = "new", [BLOBS_CUR] = "cur"};

/* fits: a directory and a name of the file system */
#define BLOB_PATH BUF(600)

static const char *path_of(const struct blob *name, struct buf *path)
{
    buf_addz(path, dirs[name->place & SLOT_NEW ? BLOBS_NEW : BLOBS_CUR]);
    buf_addc(path, '/');
    if (name->place & SLOT_ODD)
        buf_add(path, name->base);
    else
        maildir_name_format(name->base, name->place & SLOT_BARE, name->letters, path);
    return path->p;
}

static const char *tmp_path(const struct blob_in *in, struct buf *path)
{
    buf_addz(path, "tmp/");
    buf_add(path, buf_str(&in->base));
    return path->p;
}

int blobs_make(const struct blobs *b)
{
    for (size_t i = 0; i < sizeof all_dirs / sizeof *all_dirs; i++)
        if (mkdirat(b->dirfd, all_dirs[i], b->mode) < 0 && errno != EEXIST)
            return -1;
    return 0;
}

void blobs_unmake(const struct blobs *b)
{
    for (size_t i = 0; i < sizeof all_dirs / sizeof *all_dirs; i++)
        unlinkat(b->dirfd, all_dirs[i], AT_REMOVEDIR);
}

/* ---- writing ---- */

static int create(struct blob_in *in)
{
    const struct blobs *to = in->to;
    struct buf path = BLOB_PATH;

    tmp_path(in, &path);
    for (int tries = 0; tries < 2 && in->fd < 0; tries++) {
        in->fd = openat(to->dirfd, path.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                        to->mode & 0666);
        if (in->fd >= 0 || errno != ENOENT || blobs_make(to) < 0)
            break;
    }
    buf_free(&path);
    in->made = in->fd >= 0;
    return in->made ? 0 : -1;
}

int blob_create(struct blob_in *in, const struct blobs *to, const char *hostname)
{
    /* fits: see ident_maildir */
    *in = (struct blob_in){.to = to, .fd = -1, .base = BUF(200)};
    ident_maildir(&in->base, hostname);
    return create(in);
}

int blob_write(struct blob_in *in, struct str bytes)
{
    return file_write_all(in->fd, bytes.p, bytes.n);
}

int blob_finish(struct blob_in *in, const int64_t *received, bool sync)
{
    if (received != NULL) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = *received}};
        futimens(in->fd, times);
    }
    return sync ? task_fdatasync(in->fd) : 0;
}

int blob_share(const struct blob_in *in, const struct blobs *to, struct blob_in *copy)
{
    struct buf path = BLOB_PATH;

    /* fits: as in blob_create */
    *copy = (struct blob_in){.to = to, .fd = -1, .base = BUF(200)};
    buf_add(&copy->base, buf_str(&in->base));
    tmp_path(in, &path);
    int result = linkat(in->to->dirfd, path.p, to->dirfd, path.p, 0);
    if (result < 0 && errno == ENOENT && blobs_make(to) == 0)
        result = linkat(in->to->dirfd, path.p, to->dirfd, path.p, 0);
    buf_free(&path);
    copy->made = result == 0;
    return result;
}

int blob_commit(struct blob_in *in, const struct blob *name)
{
    struct buf from = BLOB_PATH, to = BLOB_PATH;
    int result = renameat(in->to->dirfd, tmp_path(in, &from), in->to->dirfd, path_of(name, &to));

    in->made = result < 0;
    buf_free(&from);
    buf_free(&to);
    return result;
}

void blob_abort(struct blob_in *in)
{
    struct buf path = BLOB_PATH;

    if (in->made)
        unlinkat(in->to->dirfd, tmp_path(in, &path), 0);
    if (in->fd >= 0)
        close(in->fd);
    buf_free(&path);
    buf_free(&in->base);
    *in = BLOB_IN;
}

/* ---- by name ---- */

int blob_open(const struct blobs *b, const struct blob *name)
{
    struct buf path = BLOB_PATH;
    int fd = openat(b->dirfd, path_of(name, &path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    buf_free(&path);
    return fd;
}

int blob_stat(const struct blobs *b, const struct blob *name, struct stat *st)
{
    struct buf path = BLOB_PATH;
    int result = fstatat(b->dirfd, path_of(name, &path), st, 0);

    buf_free(&path);
    return result;
}

int blob_remove(const struct blobs *b, const struct blob *name)
{
    struct buf path = BLOB_PATH;
    int result = unlinkat(b->dirfd, path_of(name, &path), 0);

    buf_free(&path);
    return result;
}

int blob_rename(const struct blobs *b, const struct blob *name, const struct blobs *to,
                const struct blob *as)
{
    struct buf from_path = BLOB_PATH, to_path = BLOB_PATH;
    int result = renameat(b->dirfd, path_of(name, &from_path), to->dirfd, path_of(as, &to_path));

    buf_free(&from_path);
    buf_free(&to_path);
    return result;
}

/* (waits) */
static int copy_bytes(int in, int out, const struct stat *st)
{
    off_t at = 0;

    for (off_t left; (left = st->st_size - at) > 0; task_yield())
        if (sendfile(out, in, &at, left < COPY_PIECE ? (size_t)left : COPY_PIECE) <= 0)
            break;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
    /* The date of the message, if nobody has asked for it yet. */
    bool whole = at == st->st_size && futimens(out, times) == 0;
    return whole && task_fdatasync(out) == 0 ? 0 : -1;
}

/* (waits) Half of it is never a message: it gets its name when it is whole. */
static int copy_file(const struct blobs *b, const char *from, const struct blobs *to,
                     const struct blob *as)
{
    /* fits: the name is there already, in a folder */
    struct blob_in copy = {.to = to, .fd = -1, .base = BUF(256)};
    struct stat st;
    int in = file_open_plain(b->dirfd, from, O_RDONLY, 0), result = -1;

    buf_add(&copy.base, as->base);
    if (in >= 0 && fstat(in, &st) == 0 && create(&copy) == 0 && copy_bytes(in, copy.fd, &st) == 0)
        result = blob_commit(&copy, as);
    int saved = errno;
    blob_abort(&copy);
    if (in >= 0)
        close(in);
    errno = saved;
    return result;
}

int blob_copy(const struct blobs *b, const struct blob *name, const struct blobs *to,
              const struct blob *as)
{
    struct buf from_path = BLOB_PATH, to_path = BLOB_PATH;
    int result = linkat(b->dirfd, path_of(name, &from_path), to->dirfd, path_of(as, &to_path),
                        AT_SYMLINK_FOLLOW);

    if (result < 0 && (errno == EXDEV || errno == EMLINK || errno == EPERM))
        result = copy_file(b, from_path.p, to, as);
    buf_free(&from_path);
    buf_free(&to_path);
    return result;
}

/* ---- the directories ---- */

struct blob_list {
    DIR *dir;
    int fd;
    int error; /* errno that ended it; 0: all was read */
};

struct blob_list *blobs_list(const struct blobs *b, enum blobs_dir dir)
{
    struct blob_list *l = mem_new(sizeof *l); /* first: behind the C library's it would keep that */
    int fd = openat(b->dirfd, dirs[dir], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    *l = (struct blob_list){d, fd, 0};
    if (d != NULL)
        return l;
    int error = errno;
    if (fd >= 0)
        close(fd);
    free(l);
    errno = error;
    return NULL;
}

/* Directories, sockets and so on are no messages. A link is one if it leads to a file, as in
 * Dovecot: what it may lead to is bounded where messages are read, by the jail of the session. */
static bool is_message(int fd, const struct dirent *e)
{
    struct stat st;

    if (e->d_name[0] == '.')
        return false;
    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_REG;
    return fstatat(fd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

const char *blob_list_next(struct blob_list *l)
{
    for (struct dirent *e; (e = file_next_entry(l->dir)) != NULL;)
        if (is_message(l->fd, e))
            return e->d_name;
    l->error = errno;
    return NULL;
}

bool blob_list_failed(const struct blob_list *l)
{
    errno = l->error;
    return l->error != 0;
}

void blob_list_close(struct blob_list **l)
{
    if (*l == NULL)
        return;
    closedir((*l)->dir);
    free(*l);
    *l = NULL;
}

int64_t blobs_time(const struct blobs *b, enum blobs_dir dir)
{
    struct stat st;

    if (fstatat(b->dirfd, dirs[dir], &st, 0) < 0)
        return 0;
    return clock_ns(&st.st_mtim);
}

int blobs_sync(const struct blobs *b, enum blobs_dir dir)
{
    int fd = openat(b->dirfd, dirs[dir], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : task_fsync(fd);

    if (fd >= 0)
        close(fd);
    return result;
}

int blobs_lock(const struct blobs *b)
{
    /* Deliveries lock the folder itself; sessions that want to be alone lock cur/. */
    int fd = openat(b->dirfd, dirs[BLOBS_CUR], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && lock_try_flock(fd, true) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
