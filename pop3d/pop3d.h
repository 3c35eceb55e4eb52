/* pop3d.h - the commands of POP3 before login */
#ifndef POP3D_H
#define POP3D_H

#include "login/login.h"

extern const struct login_front pop3d_front;

#endif
