/* report_source.h - the recipients that a delivery report names, in portions */
#ifndef QUEUE_REPORT_SOURCE_H
#define QUEUE_REPORT_SOURCE_H

#include "queue/bounce_log.h"

/*
 * First the records of a log; of the defer log those whose recipient is not done meanwhile. Then,
 * if the report is the last word on the message (it has expired), every recipient that the queue
 * file still shows as not delivered and that no record is about: a record may be missing because
 * the disk was full when it was to be written, but its recipient must not end without a report.
 */
struct report_source;
/* last_word: the message has expired, see above. Freed by report_source_free. */
struct report_source *report_source_new(enum queue log, const struct delivery *d, bool last_word);
/* The next portion: at most max records, in mem. No records: there are no more. -1 and why: reading
 * failed, and the recipients that are missing must not be taken for reported. */
int report_source_next(struct report_source *s, size_t max, struct arena *mem,
                       struct bounce_log *portion, struct why *why);
void report_source_free(struct report_source **s);

#endif
