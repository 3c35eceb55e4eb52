/* running.h - is the mail system running? */
#ifndef TOOLS_RUNNING_H
#define TOOLS_RUNNING_H

#include <sys/types.h>

struct buf;

/* Appends the name of master's pid file; ends the program if it is too long. */
void running_path(struct buf *path);
/* The process that holds the lock on it; 0 if nobody does. -1 and errno: that cannot be told. */
pid_t running_master(void);

#endif
