/*
 * The calls that change nothing on a disk, or nothing that the record needs: they only fail when
 * asked to.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "disk_lib.h"

/* ---- reading */

/* True: the call fails. Sockets, pipes and the terminal are never meant. */
static bool read_fails(int fd)
{
    return disk_is_armed() && disk_is_file(fd) && disk_refused("read", NULL);
}

ssize_t read(int fd, void *to, size_t n)
{
    REAL(ssize_t, "read", int, void *, size_t);
    return read_fails(fd) ? -1 : real(fd, to, n);
}

static ssize_t read_at(int fd, void *to, size_t n, off_t at)
{
    REAL(ssize_t, "pread64", int, void *, size_t, off_t);
    return read_fails(fd) ? -1 : real(fd, to, n, at);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    return read_at(fd, to, n, at);
}

ssize_t pread64(int fd, void *to, size_t n, off_t at)
{
    return read_at(fd, to, n, at);
}

static bool is_active(DIR *dir)
{
    struct stat active, st;

    return disk_stat("active", &active) == 0 && disk_fstat(dirfd(dir), &st) == 0 &&
           st.st_ino == active.st_ino && st.st_dev == active.st_dev;
}

struct dirent *readdir(DIR *dir)
{
    REAL(struct dirent *, "readdir", DIR *);
    if (disk_refused("readdir", NULL))
        return NULL;
    if (is_active(dir) && disk_refused("end_of_active", NULL)) {
        errno = 0; /* no error: the rest has gone elsewhere meanwhile */
        return NULL;
    }
    return real(dir);
}

struct dirent64 *readdir64(DIR *dir)
{
    return (struct dirent64 *)readdir(dir);
}

/* ---- looking at files */

int disk_fstat(int fd, struct stat *st)
{
    REAL(int, "fstat", int, struct stat *);
    return real(fd, st);
}

int disk_stat(const char *path, struct stat *st)
{
    REAL(int, "stat", const char *, struct stat *);
    return real(path, st);
}

int disk_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    REAL(int, "fstatat", int, const char *, struct stat *, int);
    return real(dir, path, st, flags);
}

int fstat(int fd, struct stat *st)
{
    return disk_refused("stat", NULL) ? -1 : disk_fstat(fd, st);
}

int stat(const char *path, struct stat *st)
{
    return disk_refused("stat", NULL) ? -1 : disk_stat(path, st);
}

int lstat(const char *path, struct stat *st)
{
    REAL(int, "lstat", const char *, struct stat *);
    return disk_refused("stat", NULL) ? -1 : real(path, st);
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return disk_refused("stat", NULL) ? -1 : disk_fstatat(dir, path, st, flags);
}

int flock(int fd, int operation)
{
    REAL(int, "flock", int, int);
    return disk_refused("lock", NULL) ? -1 : real(fd, operation);
}

/* ---- times and permissions of paths */

int utimensat(int dir, const char *path, const struct timespec at[2], int flags)
{
    REAL(int, "utimensat", int, const char *, const struct timespec *, int);
    return disk_refused("utime", NULL) ? -1 : real(dir, path, at, flags);
}

/* ---- memory */

/* dlsym() may ask for memory itself, before there is anybody to ask. It is never given back. */
static void *first_memory(size_t n)
{
    static _Alignas(16) char pool[65536];
    static size_t used;
    size_t at = __atomic_fetch_add(&used, (n + 15) / 16 * 16, __ATOMIC_ACQ_REL);

    return at + n <= sizeof pool ? pool + at : NULL;
}

/* The allocator; null while it is being looked for. */
static void *allocator(const char *name, void **kept)
{
    static bool looking;

    if (__atomic_load_n(kept, __ATOMIC_ACQUIRE) == NULL && !looking) {
        looking = true;
        __atomic_store_n(kept, dlsym(RTLD_NEXT, name), __ATOMIC_RELEASE);
        looking = false;
    }
    return __atomic_load_n(kept, __ATOMIC_ACQUIRE);
}

static bool no_memory(void)
{
    return disk_is_armed() && disk_refused("malloc", NULL);
}

void *malloc(size_t n)
{
    static void *kept;
    void *(*real)(size_t);

    *(void **)&real = allocator("malloc", &kept);
    return real == NULL ? first_memory(n) : no_memory() ? NULL : real(n);
}

void *calloc(size_t count, size_t n)
{
    static void *kept;
    void *(*real)(size_t, size_t);

    *(void **)&real = allocator("calloc", &kept);
    return real == NULL ? first_memory(count * n) : no_memory() ? NULL : real(count, n);
}

void *realloc(void *old, size_t n)
{
    static void *kept;
    void *(*real)(void *, size_t);

    *(void **)&real = allocator("realloc", &kept);
    return real == NULL || no_memory() ? NULL : real(old, n);
}

/* ---- processes and sockets */

ssize_t send(int fd, const void *data, size_t n, int flags)
{
    REAL(ssize_t, "send", int, const void *, size_t, int);
    disk_note_said(data, n);
    return disk_refused("send", NULL) ? -1 : real(fd, data, n, flags);
}

pid_t fork(void)
{
    REAL(pid_t, "fork", void);
    return disk_refused("fork", NULL) ? -1 : real();
}

int accept4(int fd, struct sockaddr *address, socklen_t *n, int flags)
{
    REAL(int, "accept4", int, struct sockaddr *, socklen_t *, int);
    return disk_refused("accept", NULL) ? -1 : real(fd, address, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(ssize_t, "sendmsg", int, const struct msghdr *, int);
    for (size_t i = 0; i < message->msg_iovlen; i++)
        disk_note_said(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    return disk_refused("send", NULL) ? -1 : real(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    REAL(ssize_t, "recvmsg", int, struct msghdr *, int);
    return disk_refused("recv", NULL) ? -1 : real(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t n, int flags)
{
    REAL(ssize_t, "recv", int, void *, size_t, int);
    return disk_refused("recv", NULL) ? -1 : real(fd, data, n, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t n)
{
    REAL(int, "connect", int, const struct sockaddr *, socklen_t);
    return disk_refused("connect", NULL) ? -1 : real(fd, address, n);
}

int socket(int domain, int type, int protocol)
{
    REAL(int, "socket", int, int, int);
    return disk_refused("socket", NULL) ? -1 : real(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    REAL(int, "socketpair", int, int, int, int[2]);
    return disk_refused("socket", NULL) ? -1 : real(domain, type, protocol, fds);
}

int pipe2(int fds[2], int flags)
{
    REAL(int, "pipe2", int[2], int);
    return disk_refused("socket", NULL) ? -1 : real(fds, flags);
}

int eventfd(unsigned first, int flags)
{
    REAL(int, "eventfd", unsigned, int);
    return disk_refused("socket", NULL) ? -1 : real(first, flags);
}
