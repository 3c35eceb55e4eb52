/* local_lines.h - the lines of :include: and .forward files */
#ifndef LOCAL_LOCAL_LINES_H
#define LOCAL_LOCAL_LINES_H

#include "local.h"

/* Each line is a list of entries; "#" in the first column begins a comment. How many entries. */
size_t local_lines(struct local *l, const struct address *a, struct str text);

#endif
