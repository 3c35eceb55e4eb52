/* login_parts.h - between login.c and login_auth.c */
#ifndef LOGIN_LOGIN_PARTS_H
#define LOGIN_LOGIN_PARTS_H

void login_auth_open(void);
void login_auth_close(void);

#endif
