/* postsuper.h - what the parts of postsuper share */
#ifndef TOOLS_POSTSUPER_H
#define TOOLS_POSTSUPER_H

#include "queue/qdir.h"

/* postsuper_fix.c: the queue directories as they should be. */
/* Mends names and places of files; returns how many. A message that gets another name takes its
 * logs along, so the logs' own queues come first. *failed becomes true, after a warning, if one
 * keeps a wrong name or place, or if not all of the queue could be read. running: the mail system
 * runs, so long names stay. */
size_t fix_names(enum queue q, bool running, bool *failed);
/* Removes logs of messages that no longer exist. Only when fix_names has mended all queues: of a
 * message in a wrong place nothing is found under its id. *failed as above. */
void fix_orphans(enum queue log, bool *failed);
void fix_purge(enum queue q); /* removes old temporary files */

#endif
