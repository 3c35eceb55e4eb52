/* msg.h - the log (syslog, file or standard error), and ending the process with a message */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * One event, one line, in the form "NAME[PID]: text". Values from outside are
 * cleaned here, as Postfix does: what is not printable ASCII becomes '?', and
 * with msg_utf8 what looks like UTF-8 stays; a line is cut at 2,000 bytes.
 * Lines go out at once, or, between msg_hold and msg_flush, together; warnings
 * and worse flush what is held.
 *
 * A receiver (postlogd, syslog) that is busy is waited for, msg_wait at most and
 * at most every tenth of the time. Lines for postlogd are then kept up to
 * 32 KiB; what cannot be kept is counted, and the count is logged as soon as
 * lines are taken again.
 */
void msg_open(const char *name); /* as the log shows it: "postfix/smtpd" */
int msg_to_file(const char *path); /* append there, opened now (before the jail); -1 and errno */
void msg_to_fd(int fd); /* as msg_to_file with an open descriptor, not owned */
/* A connected datagram socket of postlogd, not owned. Lines go there without time and host, which
 * postlogd adds, a batch to a datagram. */
void msg_to_postlogd(int fd);
void msg_wait(int ms); /* 1,000 at first; 0: never wait */
void msg_utf8(bool on); /* keep UTF-8; off at first */
void msg_to_stderr(bool on); /* in addition; the only place until msg_to_file or msg_to_syslog */
/* Connects to /dev/log now, before the jail. False: there is no daemon (yet). */
bool msg_to_syslog(void);
/*
 * A process in its jail could not connect again when the syslog daemon has been restarted. So its
 * socket is made by master, who keeps a copy and connects that: it is the same socket. Lines that
 * are lost in between are counted and told as those above.
 */
int msg_syslog_open(void); /* a new socket, connected if there is a daemon; -1 and errno */
int msg_syslog_connect(int fd); /* also if it was connected; -1 and errno */
void msg_to_syslog_by(int fd); /* log by such a socket, now owned */
void msg_facility(const char *name); /* of syslog: "mail" at first, and if there is no such */
int msg_fd(void); /* the descriptor in use, or -1: the jail must keep it */

/* What happens in the course of things. */
void msg_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* On behalf of another process of the suite, whose msg_who it is: what smtpd and pickup have to say
 * of a message before its other lines, although cleanup knows the queue id first. */
void msg_who(struct buf *out); /* appends "postfix/smtpd[123]" */
void msg_info_as(const char *who, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For postlogd, which writes the lines of others: appends "Nov 29 10:00:00 host ". */
void msg_stamp_host(struct buf *out);
void msg_clean(char *text, size_t n); /* what is not to be in a log becomes '?', in place */

void msg_warn(const char *fmt, ...)
    __attribute__((format(printf, 1, 2))); /* the same text at most once in 10 s */
/* As msg_warn, but each time: what a client did, which log watchers count to shut it out. */
void msg_warn_each(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Something could not be done, and the process goes on. */
void msg_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void msg_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn)); /* exit 1 */
void msg_fatal_status(int status); /* exit with this instead: a tool's, of sysexits.h */
void msg_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn)); /* abort */

/* Off unless the topic is on. */
void msg_debug_topics(const char *topics); /* "tls dns", commas or spaces; "all" */
bool msg_debugging(const char *topic);
void msg_debug(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For a signal handler: writes "WHAT NAME: SECONDS s" at once, past what is held, and touches
 * nothing that is not async-signal-safe. what and name come from the program itself. */
void msg_from_handler(const char *what, const char *name, int64_t seconds);

void msg_hold(void); /* batch from now on */
void msg_flush(void); /* write what is held; the loop calls it at the end of a turn */
size_t msg_held(void); /* how many bytes msg_flush would write */

/* For tests: every line goes here instead, without name and pid. Null: back to normal. */
typedef void msg_sink(const char *level, const char *text);
void msg_capture(msg_sink *sink);

#endif
