/* dsn.h - delivery status: codes of RFC 3463 from replies and exit statuses; NOTIFY and RET */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

/* RFC 3461 4.1 and 4.3; the numbers stand in queue files. */
enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };
bool dsn_notify_parse(struct str value, unsigned *bits); /* "SUCCESS,DELAY"; NEVER stands alone */
void dsn_notify_format(unsigned bits, struct buf *out);
bool dsn_ret_parse(struct str value, enum dsn_ret *ret);
/* ORCPT as it came: true for "type;" and anything behind it. It is only passed on, so that what
 * breaks RFC 3461 4.2 in the address is no reason to refuse the recipient. */
bool dsn_orcpt_valid(struct str value);

/* The length of the code that text begins with ("4.2.2 over quota" gives 5), copied to code; 0:
 * none. */
size_t dsn_prefix(struct str text, char code[10]);
bool dsn_valid(struct str code); /* the whole of it */
/* A code for a reply that has none: 550 gives "5.0.0". */
void dsn_of_code(int reply_code, char code[10]);
/* The reply code that fits when a reply must be made of a status: 4.x.x 451, 5.x.x 550. */
int dsn_to_code(const char *code);

/*
 * What the exit status of a command means, as sysexits.h: the code and a line of text. Null for
 * success; a status that is not listed means later ("4.3.0 unknown mailer error") is the caller's
 * choice when *listed is false.
 */
const char *dsn_of_exit(int status, char code[10], bool *listed);

#endif
