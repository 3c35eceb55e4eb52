/* pombal_status.h - what the processes are doing, from their metrics pages */
#ifndef TOOLS_POMBAL_STATUS_H
#define TOOLS_POMBAL_STATUS_H

#include <stdbool.h>

/* A table of the processes on standard output; with counters, a line per counter of each service
 * besides. */
void pombal_status_print(bool counters);

#endif
