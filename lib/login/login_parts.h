/* login_parts.h - between login.c and login_auth.c */
#ifndef LOGIN_LOGIN_PARTS_H
#define LOGIN_LOGIN_PARTS_H

struct login;

/* Log lines exactly as Dovecot writes them, under login_syslog_name, since tools that watch the log
 * (fail2ban) parse them. */
void login_log_success(const struct login *l, const char *user, const char *mech, int64_t pid);
void login_log_end(const struct login *l, const char *how);

/* The connection to authd: before the first session; at drain. */
void login_auth_open(void);
void login_auth_close(void);

#endif
