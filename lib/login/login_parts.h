/* login_parts.h - between login.c and login_auth.c */
#ifndef LOGIN_LOGIN_PARTS_H
#define LOGIN_LOGIN_PARTS_H

struct login;

/* The lines that log watchers know: Dovecot's, to the letter, under login_syslog_name. */
void login_log_success(const struct login *l, const char *user, const char *mech, int64_t pid);
void login_log_end(const struct login *l, const char *how);

void login_auth_open(void);
void login_auth_close(void);

#endif
