/* file.h - whole files, directories, and writing so that readers never see half */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>

#include "base/why.h"

/* All return -1 and fill why (code 4.3.0 unless said otherwise). Paths are relative to the working
 * directory. */
int file_read(const char *path, struct buf *out,
              struct why *why); /* 4.3.5 when larger than out's ceiling */
int file_read_fd(int fd, struct buf *out); /* from the current offset; -1 and errno */
int file_write_all(int fd, const void *p, size_t n); /* -1 and errno */
/* Writes path.tmp-PID, syncs it, renames it over path, syncs the directory. Keeps nothing on
 * failure. */
int file_replace(const char *path, struct str bytes, mode_t mode, struct why *why);
int file_make_dirs(const char *path, mode_t mode,
                   struct why *why); /* path and its parents; existing ones are left */
int file_sync_dir(const char *path); /* -1 and errno */
/* Removes a file or a directory with all below; what is gone already is no error. -1 and errno. */
int file_remove_all(const char *path);

#endif
