/*
 * Preloaded into every process of a suite under test (t/crash/disk.py): makes the n-th call fail,
 * and records all operations on files, so that what a power cut may leave can be built from the
 * record. It uses no system call that a jailed daemon does not use itself: paths are recorded with
 * the inode of the directory that they begin at, and everything goes into a shared mapping.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "disk_lib.h"

enum { MAGIC = 0x6b736964, WRITE_MOST = 1 << 20 };

static struct disk_control *control;

bool disk_is_armed(void)
{
    return control != NULL && __atomic_load_n(&control->mode, __ATOMIC_ACQUIRE) != DISK_NOTHING;
}

static void __attribute__((constructor)) attach(void)
{
    const char *path = getenv("POMBAL_DISK");
    struct stat st;
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    if (disk_fstat(fd, &st) == 0 && st.st_size > DISK_RECORDS_AT) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED && ((struct disk_control *)p)->magic == MAGIC)
            control = p;
    }
    close(fd);
}

/* ---- faults */

static bool names(const char *wanted, const char *call)
{
    static const char *const no_changes[] = {"send", "recv",   "connect", "accept",        "socket",
                                             "fork", "read",   "readdir", "end_of_active", "look",
                                             "stat", "malloc", "lock"};

    if (strcmp(wanted, call) == 0)
        return true;
    for (size_t i = 0; i < sizeof no_changes / sizeof *no_changes; i++)
        if (strcmp(call, no_changes[i]) == 0)
            return false;
    return strcmp(wanted, "any") == 0;
}

/* What shall become of this call; DISK_NOTHING if it is not the one. */
static enum disk_mode fate(const char *call)
{
    if (control == NULL)
        return DISK_NOTHING;
    uint32_t mode = __atomic_load_n(&control->mode, __ATOMIC_ACQUIRE);
    if (mode == DISK_NOTHING || strcmp(control->program, program_invocation_short_name) != 0 ||
        !names(control->call, call))
        return DISK_NOTHING;
    uint32_t n = __atomic_add_fetch(&control->count, 1, __ATOMIC_ACQ_REL);
    if (mode == DISK_ERRORS ? n < control->nth : n != control->nth)
        return DISK_NOTHING;
    __atomic_store_n(&control->fired, 1, __ATOMIC_RELEASE);
    if (mode == DISK_KILL)
        raise(SIGKILL);
    return mode;
}

/* 0, or the error that the call shall fail with; *after: the process ends when it was done. */
static int fails(const char *call, bool *after)
{
    enum disk_mode mode = fate(call);

    if (after != NULL)
        *after = mode == DISK_KILL_AFTER;
    return mode == DISK_ERROR || mode == DISK_ERRORS ? control->error : 0;
}

static void end_if(bool after)
{
    if (after)
        raise(SIGKILL);
}

bool disk_refused(const char *call, bool *end)
{
    int error = fails(call, end);
    if (error != 0)
        errno = error;
    return error != 0;
}

/* ---- records */

static bool recording(void)
{
    return control != NULL && __atomic_load_n(&control->recording, __ATOMIC_ACQUIRE) != 0;
}

static uint64_t inode_of(int fd)
{
    struct stat st;
    return disk_fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool disk_is_file(int fd)
{
    struct stat st;
    return control != NULL && disk_fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static uint64_t base_of(int dirfd, const char *path)
{
    struct stat st;

    if (path[0] == '/')
        return disk_stat("/", &st) == 0 ? st.st_ino : 0;
    if (dirfd == AT_FDCWD)
        return disk_stat(".", &st) == 0 ? st.st_ino : 0;
    return inode_of(dirfd);
}

struct entry {
    enum disk_call call;
    uint64_t inode, base, base2;
    const char *path, *path2;
    int64_t offset;
    const void *data;
    size_t data_n;
    bool is_directory, data_only;
};

static void put(const struct entry *e)
{
    int saved = errno;
    size_t n1 = e->path == NULL ? 0 : strlen(e->path), n2 = e->path2 == NULL ? 0 : strlen(e->path2);
    size_t size = (sizeof(struct disk_record) + n1 + n2 + e->data_n + 7) / 8 * 8;
    uint64_t at = __atomic_fetch_add(&control->used, size, __ATOMIC_ACQ_REL);

    if (DISK_RECORDS_AT + at + size > control->size) {
        control->full = 1;
        return;
    }
    struct disk_record *r = (void *)((char *)control + DISK_RECORDS_AT + at);
    char *to = (char *)(r + 1);
    r->call = (uint16_t)e->call;
    r->path_n = (uint16_t)n1;
    r->path2_n = (uint16_t)n2;
    r->is_directory = e->is_directory;
    r->data_only = e->data_only;
    r->pid = getpid();
    strncpy(r->program, program_invocation_short_name, sizeof r->program - 1);
    r->inode = e->inode;
    r->base = e->base;
    r->base2 = e->base2;
    r->offset = e->offset;
    r->data_n = (uint32_t)e->data_n;
    if (n1 > 0)
        memcpy(to, e->path, n1);
    if (n2 > 0)
        memcpy(to + n1, e->path2, n2);
    if (e->data_n > 0)
        memcpy(to + n1 + n2, e->data, e->data_n);
    __atomic_store_n(&r->size, (uint32_t)size, __ATOMIC_RELEASE);
    errno = saved;
}

static void put_write(int fd, const void *data, ssize_t n, int64_t offset)
{
    if (n > 0 && recording())
        put(&(struct entry){.call = DISK_WRITE,
                            .inode = inode_of(fd),
                            .offset = offset,
                            .data = data,
                            .data_n = (size_t)n});
}

static void put_path(enum disk_call call, int dirfd, const char *path)
{
    if (recording())
        put(&(struct entry){.call = call, .base = base_of(dirfd, path), .path = path});
}

static int64_t owner_of(const struct stat *st)
{
    return (int64_t)((uint64_t)st->st_uid << 32 | st->st_gid);
}

static void put_new(enum disk_call call, int dirfd, const char *path, const struct stat *st)
{
    put(&(struct entry){.call = call,
                        .base = base_of(dirfd, path),
                        .path = path,
                        .inode = st->st_ino,
                        .base2 = (uint64_t)owner_of(st),
                        .offset = st->st_mode & 07777});
}

static void put_paths(enum disk_call call, int dir, const char *from, int dir2, const char *to)
{
    if (recording())
        put(&(struct entry){.call = call,
                            .base = base_of(dir, from),
                            .path = from,
                            .base2 = base_of(dir2, to),
                            .path2 = to});
}

/* ---- the calls: opening */

static int after_open(int fd, int dirfd, const char *path, int flags, bool end)
{
    struct stat st;

    if (fd >= 0 && recording() && disk_fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if ((flags & O_CREAT) != 0)
            put_new(DISK_CREATE, dirfd, path, &st);
        if ((flags & O_TRUNC) != 0)
            put(&(struct entry){.call = DISK_TRUNCATE, .inode = inode_of(fd)});
    }
    end_if(end);
    return fd;
}

static bool changes(int flags)
{
    return (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0;
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
    REAL(int, "openat", int, const char *, int, ...);
    bool end = false;
    int error = fails(changes(flags) ? "open" : "look", &end);

    if (error != 0) {
        errno = error;
        return -1;
    }
    return after_open(real(dirfd, path, flags, mode), dirfd, path, flags, end);
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return do_open(dirfd, path, flags, mode);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return do_open(dirfd, path, flags, mode);
}

/* ---- writing */

/* How much of n may be written; -1: the call fails. */
static ssize_t allowed(int fd, size_t n, bool *end)
{
    *end = false;
    if (control == NULL || !disk_is_file(fd))
        return (ssize_t)n;
    enum disk_mode mode = fate("write");
    *end = mode == DISK_KILL_AFTER;
    if (mode == DISK_SHORT && n > 1)
        return (ssize_t)(n / 2);
    if (mode != DISK_ERROR && mode != DISK_ERRORS)
        return (ssize_t)n;
    errno = control->error;
    return -1;
}

/* Recorded before it is sent: whatever it says is true is to be on the disk by then. */
void disk_note_said(const void *data, size_t n)
{
    static const char *const words[] = {" queued as ", "APPENDUID", "COPYUID"};

    for (size_t i = 0; recording() && n < 1000 && i < sizeof words / sizeof *words; i++)
        if (memmem(data, n, words[i], strlen(words[i])) != NULL)
            put(&(struct entry){.call = DISK_SAID, .data = data, .data_n = n});
}

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    bool end;

    if (recording() && !disk_is_file(fd))
        disk_note_said(data, n);
    ssize_t most = allowed(fd, n, &end);

    if (most < 0)
        return -1;
    ssize_t done = real(fd, data, (size_t)most);
    if (done > 0 && recording() && disk_is_file(fd))
        put_write(fd, data, done, lseek(fd, 0, SEEK_CUR) - done);
    end_if(end);
    return done;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);

    if (control == NULL || !disk_is_file(fd)) {
        for (int i = 0; i < count; i++)
            disk_note_said(iov[i].iov_base, iov[i].iov_len);
        return real(fd, iov, count);
    }
    /* One piece after the other: a short write is legal. */
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len > 0)
            return write(fd, iov[i].iov_base, iov[i].iov_len);
    return 0;
}

static ssize_t write_at(int fd, const void *data, size_t n, off_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    bool end;
    ssize_t most = allowed(fd, n, &end);

    if (most < 0)
        return -1;
    ssize_t done = real(fd, data, (size_t)most, at);
    if (done > 0 && recording() && disk_is_file(fd))
        put_write(fd, data, done, at);
    end_if(end);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return write_at(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at)
{
    return write_at(fd, data, n, at);
}

ssize_t sendfile(int to, int from, off_t *at, size_t n)
{
    REAL(ssize_t, "sendfile64", int, int, off_t *, size_t);
    static char copy[WRITE_MOST];

    if (control == NULL || !disk_is_file(to))
        return real(to, from, at, n);
    off_t begin = at != NULL ? *at : lseek(from, 0, SEEK_CUR);
    ssize_t got = pread(from, copy, n < sizeof copy ? n : sizeof copy, begin);
    if (got <= 0)
        return got;
    ssize_t done = write(to, copy, (size_t)got);
    if (done > 0 && at != NULL)
        *at += done;
    else if (done > 0)
        lseek(from, begin + done, SEEK_SET);
    return done;
}

ssize_t sendfile64(int to, int from, off_t *at, size_t n)
{
    return sendfile(to, from, at, n);
}

static int truncate_to(int fd, off_t size)
{
    REAL(int, "ftruncate64", int, off_t);
    bool end;
    int error = disk_is_file(fd) ? fails("truncate", &end) : (end = false, 0);

    if (error != 0) {
        errno = error;
        return -1;
    }
    int result = real(fd, size);
    if (result == 0 && recording() && disk_is_file(fd))
        put(&(struct entry){.call = DISK_TRUNCATE, .inode = inode_of(fd), .offset = size});
    end_if(end);
    return result;
}

int ftruncate(int fd, off_t size)
{
    return truncate_to(fd, size);
}

int ftruncate64(int fd, off_t size)
{
    return truncate_to(fd, size);
}

/* ---- names */

int renameat2(int dir, const char *from, int dir2, const char *to, unsigned flags)
{
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    bool end;

    if (disk_refused("rename", &end))
        return -1;
    int result = real(dir, from, dir2, to, flags);
    if (result == 0)
        put_paths(DISK_RENAME, dir, from, dir2, to);
    end_if(end);
    return result;
}

int renameat(int dir, const char *from, int dir2, const char *to)
{
    REAL(int, "renameat", int, const char *, int, const char *);
    bool end;

    if (disk_refused("rename", &end))
        return -1;
    int result = real(dir, from, dir2, to);
    if (result == 0)
        put_paths(DISK_RENAME, dir, from, dir2, to);
    end_if(end);
    return result;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int dir, const char *from, int dir2, const char *to, int flags)
{
    REAL(int, "linkat", int, const char *, int, const char *, int);
    bool end;

    if (disk_refused("link", &end))
        return -1;
    int result = real(dir, from, dir2, to, flags);
    if (result == 0)
        put_paths(DISK_LINK, dir, from, dir2, to);
    end_if(end);
    return result;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int);
    bool end;

    if (disk_refused("unlink", &end))
        return -1;
    int result = real(dir, path, flags);
    if (result == 0)
        put_path((flags & AT_REMOVEDIR) != 0 ? DISK_RMDIR : DISK_UNLINK, dir, path);
    end_if(end);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    REAL(int, "mkdirat", int, const char *, mode_t);
    struct stat st;
    bool end;

    if (disk_refused("mkdir", &end))
        return -1;
    int result = real(dir, path, mode);
    if (result == 0 && recording() && disk_fstatat(dir, path, &st, 0) == 0)
        put_new(DISK_MKDIR, dir, path, &st);
    end_if(end);
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* ---- permissions: a queue file is complete when its owner may execute it */

int fchmod(int fd, mode_t mode)
{
    REAL(int, "fchmod", int, mode_t);
    bool end;

    if (disk_refused("chmod", &end))
        return -1;
    int result = real(fd, mode);
    if (result == 0 && recording())
        put(&(struct entry){.call = DISK_MODE, .inode = inode_of(fd), .offset = mode});
    end_if(end);
    return result;
}

int chmod(const char *path, mode_t mode)
{
    REAL(int, "chmod", const char *, mode_t);
    return disk_refused("chmod", NULL) ? -1 : real(path, mode);
}

int fchown(int fd, uid_t uid, gid_t gid)
{
    REAL(int, "fchown", int, uid_t, gid_t);
    struct stat st;
    int result = real(fd, uid, gid);

    if (result == 0 && recording() && disk_fstat(fd, &st) == 0)
        put(&(struct entry){.call = DISK_OWNER, .inode = st.st_ino, .offset = owner_of(&st)});
    return result;
}

/* ---- syncing */

static int sync_with(int (*real)(int), int fd, bool data_only)
{
    static int64_t last;
    struct entry e = {.call = DISK_SYNC_BEGIN, .data_only = data_only};
    struct stat st;
    bool end;

    if (disk_refused("sync", &end))
        return -1;
    bool told = recording() && disk_fstat(fd, &st) == 0;
    if (told) {
        e.inode = st.st_ino;
        e.is_directory = S_ISDIR(st.st_mode);
        e.offset = __atomic_add_fetch(&last, 1, __ATOMIC_ACQ_REL) << 24 | getpid();
        put(&e);
    }
    int result = real(fd);
    if (told && result == 0) {
        e.call = DISK_SYNC_END;
        put(&e);
    }
    end_if(end);
    return result;
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    return sync_with(real, fd, false);
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    return sync_with(real, fd, true);
}

/* ---- the kind of file system */

int fstatfs(int fd, struct statfs *to)
{
    REAL(int, "fstatfs64", int, struct statfs *);
    int result = real(fd, to);

    if (result == 0 && control != NULL && control->magic_of_fs != 0)
        to->f_type = control->magic_of_fs;
    return result;
}

int fstatfs64(int fd, struct statfs64 *to)
{
    return fstatfs(fd, (struct statfs *)to);
}

int statfs(const char *path, struct statfs *to)
{
    REAL(int, "statfs64", const char *, struct statfs *);
    int result = real(path, to);

    if (result == 0 && control != NULL && control->magic_of_fs != 0)
        to->f_type = control->magic_of_fs;
    return result;
}

int statfs64(const char *path, struct statfs64 *to)
{
    return statfs(path, (struct statfs *)to);
}
