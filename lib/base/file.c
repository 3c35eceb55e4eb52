#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* What is left of a regular file does not fit: not even its first part is read then. */
static bool is_larger(int fd, size_t room)
{
    struct stat st;
    off_t at = lseek(fd, 0, SEEK_CUR);

    return at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > at &&
           (uint64_t)(st.st_size - at) > room;
}

int file_read_fd(int fd, struct buf *out)
{
    /* Files of /proc say that they have none, and some give all at the first read only. */
    enum { OF_NO_SIZE = 1024 };
    bool too_large = is_larger(fd, out->max - out->n);

    while (!too_large) {
        struct stat st;
        char more;
        size_t want = 64 * 1024;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0)
            want = st.st_size > 0 ? (size_t)st.st_size + 1 : OF_NO_SIZE;
        if (want > out->max - out->n)
            want = out->max - out->n;
        ssize_t got = want > 0 ? read(fd, buf_room(out, want), want) : read(fd, &more, 1);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0 && want > 0)
            buf_grown(out, (size_t)got);
        too_large = got > 0 && want == 0;
    }
    errno = EFBIG;
    return -1;
}

int file_open_plain(int dirfd, const char *name, int flags, mode_t mode)
{
    const int careful = O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    int fd = openat(dirfd, name, flags | careful, mode);

    if (fd < 0)
        return -1;
    int error = fstat(fd, &st) < 0 ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

int file_read(const char *path, struct buf *out, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return why_errno(why, "4.3.0", "open %s", path);
    int result = file_read_fd(fd, out);
    if (result < 0 && errno == EFBIG)
        why_set(why, "4.3.5", "%s is larger than %zu bytes", path, out->max);
    else if (result < 0)
        why_errno(why, "4.3.0", "read %s", path);
    close(fd);
    return result;
}

int file_write_all(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t w = write(fd, (const char *)p + done, n - done);
        if (w < 0 && errno != EINTR)
            return -1;
        if (w > 0)
            done += (size_t)w;
    }
    return 0;
}

int file_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

static int write_synced(const char *path, struct str bytes, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    bool good =
        fchmod(fd, mode) == 0 && file_write_all(fd, bytes.p, bytes.n) == 0 && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return good ? 0 : -1;
}

int file_replace(const char *path, struct str bytes, mode_t mode, struct why *why)
{
    struct buf tmp = BUF(4096), dir = BUF(4096);
    int result = 0;

    buf_addf(&tmp, "%s.tmp-%d", path, (int)getpid());
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        buf_addc(&dir, '.');
    else
        buf_add(&dir, (struct str){path, slash == path ? 1 : (size_t)(slash - path)});
    if (!buf_ok(&tmp) || !buf_ok(&dir)) {
        result = why_set(why, "4.3.0", "write %.100s...: the name is too long", path);
    } else if (write_synced(tmp.p, bytes, mode) < 0 || rename(tmp.p, path) < 0) {
        result = why_errno(why, "4.3.0", "write %s", path);
        unlink(tmp.p);
    } else if (file_sync_dir(dir.p) < 0) {
        result = why_errno(why, "4.3.0", "sync %s", dir.p);
    }
    buf_free(&tmp);
    buf_free(&dir);
    return result;
}

int file_make_dirs(const char *path, mode_t mode, struct why *why)
{
    char *copy = mem_dupz(path);
    int result = *path != 0 ? 0 : why_set(why, "4.3.0", "create directory: no name");

    for (char *p = copy + 1; result == 0; p++) {
        if (*p != '/' && *p != 0)
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            result = why_errno(why, "4.3.0", "create directory %s", copy);
        *p = was;
        if (was == 0)
            break;
    }
    free(copy);
    return result;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int file_remove_all(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        return -1;
    return 0;
}

struct dirent *file_next_entry(DIR *dir)
{
    errno = 0;
    return readdir(dir);
}
