/* imapd.h - the commands of IMAP before login */
#ifndef IMAPD_H
#define IMAPD_H

#include "login/login.h"

extern const struct login_front imapd_front;

#endif
