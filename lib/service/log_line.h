/* log_line.h - a line that another process wants in the log, and whether it may say so */
#ifndef SERVICE_LOG_LINE_H
#define SERVICE_LOG_LINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

/* Who wrote it, as the kernel says. */
struct log_sender {
    pid_t pid; /* 0: unknown */
    uid_t uid;
    bool is_private; /* a process of the suite: it has the socket that only root could open */
    const char *program; /* what runs under that pid (the first 15 bytes of its name); empty: it has
                            ended, or /proc is not to be had */
};

/*
 * A line is "NAME[PID]: text", where NAME is "postfix/smtpd" or the like. It goes to the log as it
 * is if its sender may use that name:
 *
 *   - PID is the sender's. Only cleanup may speak for smtpd and pickup: it knows the queue id. The
 *     process PID must be one of that program, or have ended.
 *   - A process of the suite uses the name of its own program (behind the last slash); imapd and
 *     pop3d also that of login_syslog_name.
 *   - Others use any name but those of the suite's daemons; root uses any.
 *
 * Every other line is logged with what is known of its sender in front, as "PROGRAM[PID]: uid UID
 * says: LINE" (PROGRAM is "unknown" if it is not known), so nothing can be forged and nothing is
 * hidden. Control characters become "?", text is cut at 2,000 bytes. out is a BUF_TEXT; what is
 * appended has no time, no host and no line end.
 */
struct log_rules {
    bool (*is_daemon)(struct str program);
    /* The first 15 bytes of the name of what runs under pid; empty: nothing, or it is not known. */
    void (*find_program)(pid_t pid, char *name, size_t room);
};
void log_line_check(struct str line, const struct log_sender *from, const struct log_rules *rules,
                    struct buf *out);

/* Is this "NAME[PID]" of the process pid, where NAME is "smtpd" or ends in "/smtpd" (program)? */
bool log_name_is(struct str name, const char *program, pid_t pid);

#endif
