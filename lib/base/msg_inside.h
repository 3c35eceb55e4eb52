/* msg_inside.h - what the files of the log share */
#ifndef BASE_MSG_INSIDE_H
#define BASE_MSG_INSIDE_H

#include "base/buf.h"
#include "base/msg.h"

enum { MSG_LINE_LIMIT = 2000 };
enum msg_level { MSG_INFO, MSG_WARNING, MSG_ERROR, MSG_FATAL, MSG_PANIC };

/* What is at the other end. */
enum msg_where { MSG_TO_FILE, MSG_TO_SYSLOG, MSG_TO_POSTLOGD };

extern struct msg_out {
    char name[100];
    int fd;
    enum msg_where where;
    int facility; /* of syslog */
    bool to_stderr, held;
    struct buf lines; /* held; not for syslog */
    int wait_ms; /* for a receiver that is busy */
    int64_t no_wait_until; /* clock_ms: it was waited for in vain */
    uint64_t dropped; /* lines that no receiver took, and nobody was told yet */
    int utc_offset; /* minutes; as of the last line */
    msg_sink *sink;
} msg_out;

extern const char msg_month[12][4];

/* msg_out.c: text has no control characters. who: "name[pid]", null: this process. */
void msg_put(enum msg_level level, const char *who, const char *text);
void msg_last_flush(void); /* before the end: worth one more wait */
const char *msg_host(void); /* without the domain; asked once */

#endif
