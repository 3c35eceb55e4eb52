/* file.h - reading and writing whole files, making and removing directories. All of these block */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <sys/types.h>

#include "base/why.h"

/* On failure all return -1, with why set (4.3.0 unless another code is named) or with errno where
 * there is no why. Paths may be relative to the working directory. */
int file_read(const char *path, struct buf *out,
              struct why *why); /* appends; 4.3.5 if the file is larger than out's ceiling */
int file_read_fd(
    int fd,
    struct buf *out); /* appends the rest from the current offset; EFBIG if out is too small */
/*
 * A plain file of a directory in which somebody else may put things: openat(2) that never waits (a
 * fifo without another end, a lease), follows no link, and opens nothing but a regular file. mode
 * is for O_CREAT. O_CLOEXEC is added. The descriptor, or -1 and errno: EINVAL if it is no such
 * file.
 */
int file_open_plain(int dirfd, const char *name, int flags, mode_t mode);
int file_write_all(int fd, const void *p, size_t n); /* repeats short writes */
/* Writes path.tmp-PID, syncs it, renames it to path and syncs the directory, so that readers see
 * either the old or the new contents. Removes the temporary file on failure. */
int file_replace(const char *path, struct str bytes, mode_t mode, struct why *why);
int file_make_dirs(
    const char *path, mode_t mode,
    struct why *why); /* path and its parents; directories that exist are not changed */
int file_sync_dir(const char *path); /* fsync of a directory: new names in it are durable */
/* Removes a file, or a directory with everything below it. Files that are already gone are not an
 * error. */
int file_remove_all(const char *path);
/* As readdir(3). Null: there is no more, and errno is 0; or it says why the rest cannot be read. */
struct dirent *file_next_entry(DIR *dir);

#endif
