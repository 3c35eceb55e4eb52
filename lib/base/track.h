/* track.h - is what a path leads to still the same file, unchanged? */
#ifndef BASE_TRACK_H
#define BASE_TRACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

/*
 * For a process that opens a file at its start and enters a chroot, where the file's name means
 * nothing. Of the file and of each symbolic link on the way to it a descriptor is kept that cannot
 * be read from (O_PATH): what is replaced by rename(2), as a renewed certificate is, or the link to
 * the present set of tables, has lost its last name, or has at least another change time.
 *
 * No directory is kept open: it would be a way out of the chroot. So it is seen only without a
 * chroot that a directory on the way was moved away and another one took its place, or that a disk
 * was mounted there.
 */
struct track_step { /* the file or a link */
    int fd;
    int64_t mtime_ns, ctime_ns, size;
};

struct track {
    char *path; /* absolute */
    VEC(struct track_step) steps;
    int64_t entries_ns; /* track_entries: when a name in it was last made or removed */
    dev_t dev, root_dev; /* of the file, and of the root directory then */
    ino_t ino, root_ino;
    int64_t looked_ms; /* track_glance: when it last looked where the path leads */
};

/* Before the chroot; t is zero. A directory may be tracked, too, where there will be no chroot.
 * False, and errno: the path leads to nothing. t is then empty. */
bool track_begin(struct track *t, const char *path);
/* Of a directory: what is in it counts, too, if a name is made or removed. */
void track_entries(struct track *t);
/* Has it changed? Costs an fstat for each step, and a stat; works in the jail. An empty one has not
 * changed. */
bool track_changed(struct track *t);
/* The same for what is asked at each request: an fstat for each step; where the path leads is
 * looked at once a second. now_ms: clock_ms(). */
bool track_glance(struct track *t, int64_t now_ms);
void track_end(struct track *t); /* t is zero again */

#endif
