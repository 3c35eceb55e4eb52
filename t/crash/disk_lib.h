/* disk_lib.h - what the two files of the preloaded library share */
#ifndef CRASH_DISK_LIB_H
#define CRASH_DISK_LIB_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "disk.h"

/* The function of that name that would be called without this library, as real. */
#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, name)

/* True: this call is to fail, and errno says how. *end (may be null): the process is to be killed
 * when it has been done. */
bool disk_refused(const char *call, bool *end);
bool disk_is_armed(void); /* some call of some program is to fail */
bool disk_is_file(int fd); /* false also when nobody controls this process */
void disk_note_said(const void *data, size_t n); /* about to be sent */

/* As the system's, and never failing on purpose. */
int disk_fstat(int fd, struct stat *st);
int disk_stat(const char *path, struct stat *st);
int disk_fstatat(int dir, const char *path, struct stat *st, int flags);

#endif
