/* openlog.h - the log as main.cf wants it: syslog_name, maillog_file, debug_topics */
#ifndef SERVICE_OPENLOG_H
#define SERVICE_OPENLOG_H

#include <stdbool.h>

/*
 * After conf_load, before the jail. program is what follows the slash in "postfix/smtpd". The log
 * file is opened for appending and made with maillog_file_permissions; without maillog_file it is
 * syslog's socket. A tool says also_stderr; when it may not open the log file, its lines go to
 * postlogd's socket if there is one. A log that cannot be opened is no reason not to carry mail:
 * standard error is used, with a warning.
 */
void service_open_log(const char *program, bool also_stderr);

#endif
