/* dsn.h - delivery status: codes of RFC 3463 from replies and exit statuses; NOTIFY and RET */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

/* RFC 3461 4.1 and 4.3. The numbers are written to queue files. */
enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };
bool dsn_notify_parse(struct str value,
                      unsigned *bits); /* "SUCCESS,DELAY", or NEVER alone; false: malformed */
void dsn_notify_format(unsigned bits, struct buf *out);
bool dsn_ret_parse(struct str value, enum dsn_ret *ret);
/* ORCPT as it came: true for "type;" and anything behind it. It is only passed on, so that what
 * breaks RFC 3461 4.2 in the address is no reason to refuse the recipient. */
bool dsn_orcpt_valid(struct str value);

/* If text begins with a code ("4.2.2 over quota"), copies it to code and returns its length (5). 0:
 * it does not. */
size_t dsn_prefix(struct str text, char code[10]);
bool dsn_valid(struct str code); /* is the whole text a code? */
/* The code for an SMTP reply without one: for 550, "5.0.0". */
void dsn_of_code(int reply_code, char code[10]);
/* The SMTP reply code for a status: 451 for 4.x.x, 550 for 5.x.x. */
int dsn_to_code(const char *code);

/*
 * The meaning of a command's exit status, see sysexits.h: sets code and returns a line of text.
 * Null: success. *listed is false for a status that sysexits.h does not have; the caller then
 * decides what it means.
 */
const char *dsn_of_exit(int status, char code[10], bool *listed);

#endif
