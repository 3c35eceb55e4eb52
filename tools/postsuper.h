/* postsuper.h - what the parts of postsuper share */
#ifndef TOOLS_POSTSUPER_H
#define TOOLS_POSTSUPER_H

#include "queue/qdir.h"

/* postsuper_fix.c: the queue directories as they should be. */
size_t fix_names(enum queue q); /* mends names and places of files; returns how many */
size_t fix_orphans(enum queue log); /* removes logs of messages that no longer exist; how many */
void fix_purge(enum queue q); /* removes old temporary files */

#endif
