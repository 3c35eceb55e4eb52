/* openlog.h - the log as main.cf wants it: syslog_name, maillog_file, debug_topics */
#ifndef SERVICE_OPENLOG_H
#define SERVICE_OPENLOG_H

#include <stdbool.h>

/*
 * The log, after conf_load and before the jail. program is what follows the slash in
 * "postfix/smtpd". Without maillog_file it is syslog's socket for everybody. With it:
 *
 *   LOG_WRITES   master and postlogd: the file itself, opened for appending and made with
 *                maillog_file_permissions.
 *   LOG_SENDS    a daemon that master starts: private/postlog, a socket that is only good for
 *                sending lines to postlogd. No daemon has the file, so none can change what was
 *                logged; and postlogd asks the kernel whose lines they are.
 *   LOG_TOOL     a command: public/postlog while postlogd's socket is there, else the file if it
 *                may be opened; and standard error in any case.
 *
 * /dev/stdout is standard output for all. A log that cannot be opened is no reason not to carry
 * mail: standard error is used, with a warning.
 */
enum log_use { LOG_WRITES, LOG_SENDS, LOG_TOOL };
/* A new socket for private/postlog, to be closed by the caller; -1 and errno. */
int service_open_postlogd(void);
/* Standard error, where libraries and sanitizers write, becomes such a socket of this process
 * alone: whoever shares one can shut it for all. False: there is no postlogd. */
bool service_stderr_to_postlogd(void);
void service_open_log(const char *program, enum log_use use, bool also_stderr);
/* After it, in a process that master has started: syslog by the socket that master keeps connected
 * (msg_syslog_open). With maillog_file it is closed. */
void service_take_syslog(int fd);

#endif
