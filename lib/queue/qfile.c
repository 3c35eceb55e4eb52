/*
 * Queue files: written in one go, read in large pieces, marked in place.
 */
#include "queue/qfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qid.h"
#include "task/task.h"

enum { BLOCK = 64 * 1024, JUMPS_MAX = 2000 };

struct qfile {
    int fd;
    bool writing;
    enum queue queue;
    char id[QID_MAX + 1];
    char *temporary; /* path while it is written */
    struct stat st;
    struct buf window; /* writing: what is not written yet; reading: what was read */
    off_t base; /* of the window in the file */
    off_t pos; /* reading: of the next record */
    off_t at; /* reading: of the last one */
    int jumps; /* pointer records followed */
    int error; /* errno of the write, or the read, that failed */
    bool bad; /* REC_BAD was seen */
};

static struct qfile *new_file(int fd)
{
    struct qfile *f = mem_new(sizeof *f);

    f->fd = fd;
    f->window = BUF(REC_MAX + BLOCK + 16);
    return f;
}

static void free_file(struct qfile **f)
{
    if ((*f)->fd >= 0)
        close((*f)->fd);
    buf_free(&(*f)->window);
    free((*f)->temporary);
    free(*f);
    *f = NULL;
}

static int full_or_broken(int error, const char *what, struct why *why)
{
    if (error == ENOSPC || error == EDQUOT)
        return why_set(why, "4.3.1", "Insufficient system storage");
    errno = error;
    return why_errno(why, "4.3.0", "%s queue file", what);
}

/* Nobody looks at a name with a dot. */
static int create_temporary(enum queue q, struct buf *path)
{
    int fd;

    do {
        buf_clear(path);
        buf_addf(path, "%s/%lld.%d", queue_name(q), (long long)(clock_wall_us() % 1000000000),
                 (int)getpid());
        fd = open(path->p, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                  q == Q_MAILDROP ? QUEUE_MODE_DROPPED : QUEUE_MODE_READY);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

struct qfile *qfile_create(enum queue q, struct why *why)
{
    struct buf path = BUF(256), id = BUF(QID_MAX); /* fits: names of ours, all numbers */
    int fd = create_temporary(q, &path);

    if (fd < 0) {
        full_or_broken(errno, "create", why);
        buf_free(&path);
        return NULL;
    }
    struct qfile *f = new_file(fd);
    f->writing = true;
    f->queue = q;
    f->temporary = buf_take(&path);
    if (fstat(fd, &f->st) < 0)
        f->error = errno;
    if (conf.enable_long_queue_ids)
        qid_long(&id, clock_wall_us(), f->st.st_ino);
    else
        qid_short(&id, clock_wall_us(), f->st.st_ino);
    snprintf(f->id, sizeof f->id, "%s", id.p);
    buf_free(&id);
    return f;
}

const char *qfile_id(const struct qfile *f)
{
    return f->id;
}

off_t qfile_tell(const struct qfile *f)
{
    return f->writing ? f->base + (off_t)f->window.n : f->pos;
}

static int write_at(int fd, const char *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, at);
        if (done < 0 && errno != EINTR)
            return -1;
        if (done <= 0)
            continue;
        p += done;
        n -= (size_t)done;
        at += done;
    }
    return 0;
}

static void write_window(struct qfile *f)
{
    if (f->error == 0 && write_at(f->fd, f->window.p, f->window.n, f->base) < 0)
        f->error = errno;
    f->base += (off_t)f->window.n;
    buf_clear(&f->window);
}

off_t qfile_put(struct qfile *f, enum rec type, struct str body)
{
    off_t at = qfile_tell(f);

    assert(f->writing);
    qrec_put(&f->window, type, body);
    if (!buf_ok(&f->window) && f->error == 0)
        f->error = EMSGSIZE; /* longer than a record may be */
    if (f->window.n >= BLOCK)
        write_window(f);
    return at;
}

off_t qfile_putf(struct qfile *f, enum rec type, const char *fmt, ...)
{
    struct buf body = BUF(REC_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&body, fmt, ap);
    va_end(ap);
    if (!buf_ok(&body) && f->error == 0)
        f->error = EMSGSIZE;
    off_t at = qfile_put(f, type, buf_str(&body));
    buf_free(&body);
    return at;
}

void qfile_put_raw(struct qfile *f, struct str records)
{
    assert(f->writing);
    while (records.n > 0) {
        buf_add(&f->window, str_upto(records, BLOCK));
        records = str_from(records, BLOCK);
        if (f->window.n >= BLOCK)
            write_window(f);
    }
}

int qfile_patch(struct qfile *f, off_t at, enum rec type, struct str body)
{
    struct buf record = BUF(REC_MAX + 8);

    qrec_put(&record, type, body);
    off_t end = at + (off_t)record.n;
    assert(f->writing && buf_ok(&record) && at >= 0 && end <= qfile_tell(f));
    if (at < f->base && end > f->base)
        write_window(f);
    if (at >= f->base)
        memcpy(f->window.p + (at - f->base), record.p, record.n);
    else if (f->error == 0 && write_at(f->fd, record.p, record.n, at) < 0)
        f->error = errno;
    buf_free(&record);
    return f->error == 0 ? 0 : -1;
}

static void pointer_text(off_t to, char text[16])
{
    snprintf(text, 16, "%15lld", (long long)to);
}

off_t qfile_go_on(struct qfile *f, off_t at)
{
    char text[16];

    pointer_text(at, text);
    return qfile_put(f, REC_PTR, strz(text));
}

off_t qfile_gap(struct qfile *f)
{
    return qfile_go_on(f, 0);
}

int qfile_fill(struct qfile *f, off_t gap, off_t to)
{
    char text[16];

    pointer_text(to, text);
    return qfile_patch(f, gap, REC_PTR, strz(text));
}

struct qfile *qfile_read_back(struct qfile *f)
{
    write_window(f);
    int fd = f->error == 0 ? fcntl(f->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0)
        return NULL;
    struct qfile *r = new_file(fd);
    if (fstat(fd, &r->st) < 0)
        qfile_close(&r);
    return r;
}

void qfile_patch_size(struct qfile *f, const struct qsize *size)
{
    /* fits: QSIZE_WIDTH */
    struct buf body = BUF(QSIZE_WIDTH + 32);

    qsize_format(size, &body);
    assert(body.n == QSIZE_WIDTH);
    qfile_patch(f, 0, REC_SIZE, buf_str(&body));
    buf_free(&body);
}

void qfile_set_queue(struct qfile *f, enum queue q)
{
    f->queue = q;
}

int qfile_written(const struct qfile *f, struct why *why)
{
    return f->error == 0 ? 0 : full_or_broken(f->error, "write", why);
}

void qfile_abort(struct qfile **f)
{
    if (*f == NULL)
        return;
    unlink((*f)->temporary);
    free_file(f);
}

/* The path that it will have. */
static const char *path_of(const struct qfile *f, struct buf *path)
{
    queue_path(path, f->queue, f->id);
    return path->p;
}

static int give_name(const struct qfile *f, const char *path, struct why *why)
{
    int result = rename(f->temporary, path);

    if (result < 0 && errno == ENOENT && queue_make_dirs(f->queue, f->id, why) == 0)
        result = rename(f->temporary, path);
    return result;
}

int qfile_show(struct qfile *f, struct why *why)
{
    struct buf path = BUF(512); /* fits: see queue_path */
    int result = 0;

    write_window(f);
    if (f->error == 0 &&
        (fchmod(f->fd, QUEUE_MODE_PARTIAL) < 0 || give_name(f, path_of(f, &path), why) < 0))
        f->error = errno;
    if (f->error != 0) {
        result = full_or_broken(f->error, "write", why);
    } else {
        free(f->temporary);
        f->temporary = mem_dupz(path.p);
    }
    buf_free(&path);
    return result;
}

/*
 * The sync comes after the rename and covers both: a file system that keeps a journal writes the
 * new name with the inode. fsync, not fdatasync, because the name is no data.
 */
int qfile_commit_keep(struct qfile **file, int *fd, struct why *why)
{
    struct qfile *f = *file;
    struct buf path = BUF(512); /* fits: see queue_path */

    write_window(f);
    if (f->error != 0) {
        full_or_broken(f->error, "write", why);
        qfile_abort(file);
        return -1;
    }
    int result = give_name(f, path_of(f, &path), why);
    if (result == 0)
        result = task_fsync(f->fd);
    if (result < 0) {
        full_or_broken(errno, "commit", why);
        unlink(path.p);
        unlink(f->temporary);
    } else if (fd != NULL) {
        *fd = f->fd;
        f->fd = -1;
    }
    free_file(file);
    buf_free(&path);
    return result;
}

int qfile_commit(struct qfile **file, struct why *why)
{
    return qfile_commit_keep(file, NULL, why);
}

/* Null, why and errno if it is something else; fd is closed then. */
static struct qfile *regular_file(int fd, const char *path, struct why *why)
{
    struct qfile *f = new_file(fd);

    if (fstat(fd, &f->st) < 0 || !S_ISREG(f->st.st_mode)) {
        why_set(why, "4.3.0", "%s is no regular file", path);
        free_file(&f);
        errno = EINVAL;
    }
    return f;
}

static struct qfile *open_to_read(const char *path, int flags, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    int saved = errno;

    if (fd < 0) {
        why_errno(why, "4.3.0", "open %s", path);
        errno = saved;
        return NULL;
    }
    return regular_file(fd, path, why);
}

struct qfile *qfile_open_path(const char *path, struct why *why)
{
    return open_to_read(path, 0, why);
}

static int open_locked(const char *path, enum qfile_mode mode, struct why *why)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        int saved = errno;
        why_errno(why, "4.3.0", "open %s", path);
        errno = saved;
    } else if (lock_try_flock(fd, mode == QFILE_OWN) < 0) {
        why_set(why, "4.3.0", "%s is in use", path);
        close(fd);
        fd = -1;
        errno = EAGAIN;
    }
    return fd;
}

int qfile_open_to_pass(const char *id, struct why *why)
{
    struct buf path = BUF(512);

    queue_path(&path, Q_ACTIVE, id);
    int fd = open_locked(path.p, QFILE_DELIVER, why);
    int saved = errno;
    buf_free(&path);
    errno = saved;
    return fd;
}

static void set_name(struct qfile *f, enum queue q, const char *id)
{
    f->queue = q;
    snprintf(f->id, sizeof f->id, "%s", id);
}

struct qfile *qfile_passed(int fd, const char *id, uid_t owner, struct why *why)
{
    if (fd < 0) {
        why_set(why, "5.3.0", "malformed request: the queue file is missing");
        return NULL;
    }
    struct qfile *f = new_file(fd);
    set_name(f, Q_ACTIVE, id);
    if (fstat(fd, &f->st) < 0 || !S_ISREG(f->st.st_mode) || (f->st.st_mode & S_IXUSR) == 0 ||
        f->st.st_uid != owner) {
        why_set(why, "5.3.0", "malformed request: that is no queue file");
        free_file(&f);
    }
    return f;
}

int qfile_fd(const struct qfile *f)
{
    return f->fd;
}

static struct qfile *open_to_deliver(const char *path, enum qfile_mode mode, struct why *why)
{
    int fd = open_locked(path, mode, why);

    return fd < 0 ? NULL : regular_file(fd, path, why);
}

struct qfile *qfile_open(enum queue q, const char *id, enum qfile_mode mode, struct why *why)
{
    struct buf path = BUF(512);
    struct qfile *f;

    queue_path(&path, q, id);
    if (mode == QFILE_READ)
        f = open_to_read(path.p, O_NOFOLLOW, why);
    else
        f = open_to_deliver(path.p, mode, why);
    int saved = errno;
    if (f != NULL)
        set_name(f, q, id);
    buf_free(&path);
    errno = saved;
    return f;
}

/* Makes the window begin at pos and hold at least want bytes, unless the file ends before. A small
 * file is held whole, so that pointers and a second pass read nothing again. */
static int load(struct qfile *f, size_t want)
{
    size_t size = want > BLOCK ? want : BLOCK;
    bool whole = f->st.st_size <= BLOCK;

    if (whole && f->base == 0 && (off_t)f->window.n == f->st.st_size)
        return 0;
    buf_clear(&f->window);
    f->base = whole ? 0 : f->pos;
    if (f->st.st_size >= f->base && (uint64_t)(f->st.st_size - f->base) < size)
        size = (size_t)(f->st.st_size - f->base);
    if (size == 0)
        return 0;
    char *p = buf_room(&f->window, size);
    if (p == NULL)
        return -1;
    while (f->window.n < size) {
        ssize_t n = pread(f->fd, f->window.p + f->window.n, size - f->window.n,
                          f->base + (off_t)f->window.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            f->error = errno;
            return -1;
        }
        if (n == 0)
            break;
        buf_grown(&f->window, (size_t)n);
    }
    return 0;
}

static struct str ahead(const struct qfile *f)
{
    if (f->pos < f->base || f->pos > f->base + (off_t)f->window.n)
        return (struct str){f->window.p, 0};
    return str_from(buf_str(&f->window), (size_t)(f->pos - f->base));
}

enum rec qfile_next_raw(struct qfile *f, struct str *body)
{
    size_t size;
    int type;

    if (f->bad)
        return REC_BAD;
    type = qrec_take(ahead(f), body, &size);
    if (type == REC_EOF || type == QREC_MORE) {
        size_t had = ahead(f).n;
        if (load(f, size) < 0 || (type == QREC_MORE && ahead(f).n <= had))
            type = REC_BAD;
        else
            type = qrec_take(ahead(f), body, &size);
        /* The length itself was cut off by the end of the window: now it is known. */
        if (type == QREC_MORE && ahead(f).n < size && load(f, size) == 0)
            type = qrec_take(ahead(f), body, &size);
    }
    if (type == QREC_MORE || type == REC_BAD) {
        f->bad = true;
        return REC_BAD;
    }
    f->at = f->pos;
    if (type != REC_EOF)
        f->pos += (off_t)size;
    return (enum rec)type;
}

/* A pointer to 0 says: go on here. */
static bool follow(struct qfile *f, struct str body)
{
    int64_t to;

    if (!num_parse(str_trim(body), 0, INT64_MAX, &to) || ++f->jumps > JUMPS_MAX)
        return false;
    if (to > 0)
        f->pos = to;
    return true;
}

enum rec qfile_next(struct qfile *f, struct str *body)
{
    enum rec type;

    while ((type = qfile_next_raw(f, body)) == REC_PTR || type == REC_DTXT)
        if (type == REC_PTR && !follow(f, *body)) {
            f->bad = true;
            return REC_BAD;
        }
    return type;
}

int qfile_seek(struct qfile *f, off_t at, struct why *why)
{
    if (at < 0 || at > f->st.st_size)
        return why_set(why, "4.3.0", "queue file is shorter than it should be");
    f->pos = at;
    f->bad = false;
    f->error = 0;
    return 0;
}

int qfile_damaged(const struct qfile *f, const char *what, struct why *why)
{
    if (f->error == 0)
        return why_set(why, "5.3.0", "%s", what);
    errno = f->error;
    return why_errno(why, "4.3.0", "read queue file");
}

off_t qfile_at(const struct qfile *f)
{
    return f->at;
}

const struct stat *qfile_stat(const struct qfile *f)
{
    return &f->st;
}

/* Offsets have travelled through other processes: never write into what is something else. */
static int retype(struct qfile *f, off_t at, enum rec from, enum rec to, struct why *why)
{
    char type = 0;

    if (at >= f->base && at < f->base + (off_t)f->window.n)
        type = f->window.p[at - f->base];
    else if (at < 0 || pread(f->fd, &type, 1, at) != 1)
        return why_set(why, "4.3.0", "no record at %lld of the queue file", (long long)at);
    if (type == (char)to)
        return 0;
    if (type != (char)from)
        return why_set(why, "4.3.0", "wrong record at %lld of the queue file", (long long)at);
    type = (char)to;
    if (write_at(f->fd, &type, 1, at) < 0)
        return why_errno(why, "4.3.0", "write queue file");
    if (at >= f->base && at < f->base + (off_t)f->window.n)
        f->window.p[at - f->base] = type;
    return 0;
}

int qfile_mark_done(struct qfile *f, off_t rcpt, struct why *why)
{
    return retype(f, rcpt, REC_RCPT, REC_DONE, why);
}

int qfile_is_done(const struct qfile *f, off_t rcpt, struct why *why)
{
    char type = 0;

    if (rcpt > 0 && pread(f->fd, &type, 1, rcpt) < 0)
        return why_errno(why, "4.3.0", "read queue file");
    return type == (char)REC_DONE;
}

int qfile_kill(struct qfile *f, off_t at, enum rec expected, struct why *why)
{
    return retype(f, at, expected, REC_KILL, why);
}

int qfile_mark_warned(struct qfile *f, off_t warning, struct why *why)
{
    enum { WIDTH = 15 };
    char record[2 + WIDTH + 1], mark[sizeof record];

    snprintf(mark, sizeof mark, "%c%c%15d", REC_WARN, WIDTH, -1);
    if (warning < 0 || pread(f->fd, record, 2 + WIDTH, warning) != 2 + WIDTH ||
        memcmp(record, mark, 2) != 0)
        return why_set(why, "4.3.0", "wrong record at %lld of the queue file", (long long)warning);
    if (write_at(f->fd, mark, 2 + WIDTH, warning) < 0)
        return why_errno(why, "4.3.0", "write queue file");
    return 0;
}

void qfile_close(struct qfile **f)
{
    if (*f != NULL)
        free_file(f);
}
