/* conf_check.h - is this a configuration that the suite can run with? */
#ifndef SERVICE_CONF_CHECK_H
#define SERVICE_CONF_CHECK_H

#include <stdbool.h>

/*
 * Everything, in a process of its own: main.cf and master.cf of the directory (null: as for
 * conf_load), the -o of each service, the accounts and addresses that they name, and with_starts
 * whether each service would start (service/check_start.h; the directories must exist). Says with
 * msg_error what is wrong, each with its file and line, and with msg_warn what is only odd. Blocks
 * for names of hosts. The caller's conf stays as it is.
 */
bool conf_check(const char *dir, bool with_starts);

/* Would a POP3 session run with these values? -1: why says which parameter is wrong. Asked by
 * conf_check, and by pop3 when it starts. */
struct why;
int conf_check_pop3(struct why *why);

#endif
