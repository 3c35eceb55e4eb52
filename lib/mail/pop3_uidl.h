/* pop3_uidl.h - unique ids of messages in POP3, as Dovecot's pop3_uidl_format makes them */
#ifndef MAIL_POP3_UIDL_H
#define MAIL_POP3_UIDL_H

#include <stdint.h>

#include "base/buf.h"

/*
 * The form that the server before us gave them, so that clients download nothing again: %u uid, %v
 * uidvalidity, %f the file's name up to ":", %g the GUID (in a Maildir the same), %% a percent
 * sign. Between % and the letter may stand, as in Dovecot:
 *     -  the offset counts from the end;  0  zeros are put in front up to the width
 *     5.3 or 3  offset and width: at most so many characters
 *     L U R T X M  in any order: lower case, upper case, reversed, trimmed, a number as hex, MD5
 */
struct pop3_uidl {
    uint32_t uid, uidvalidity;
    struct str guid;
};

/* Null: good, and no two messages get the same. Else what is wrong with it, for people. */
const char *pop3_uidl_check(const char *format);
/* Appends. The format must be a good one. False: there is no MD5 here (FIPS), or out is full. */
bool pop3_uidl_put(const char *format, const struct pop3_uidl *m, struct buf *out);

#endif
