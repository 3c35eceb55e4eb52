/* postsuper.h - what the parts of postsuper share */
#ifndef TOOLS_POSTSUPER_H
#define TOOLS_POSTSUPER_H

#include "queue/qdir.h"

/* postsuper_fix.c: the queue directories as they should be. */
size_t fix_names(enum queue q); /* places and names of files; how many were put right */
size_t fix_orphans(enum queue log); /* logs of messages that are no more */
void fix_purge(enum queue q); /* old temporary files */

#endif
