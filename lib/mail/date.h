/* date.h - formats and parses dates of mail: RFC 5322 3.3, and date-time of RFC 3501 */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stdint.h>

#include "base/buf.h"

/* Times are seconds since 1970 UTC, offsets are minutes east of UTC. All format functions append.
 * All parse functions return false if the text is not a date. */
void date_format(int64_t wall, int offset, struct buf *out); /* "Fri, 21 Nov 1997 09:55:06 -0600" */
void date_format_local(int64_t wall,
                       struct buf *out); /* local time, with "(CET)" at the end as in Postfix */
/* Accepts obsolete forms, as RFC 5322 4.3 demands: without weekday or seconds, with two-digit
 * years, names of time zones, comments. */
bool date_parse(struct str text, int64_t *wall, int *offset);

void date_imap_format(int64_t wall, int offset, struct buf *out); /* "17-Jul-1996 02:44:25 -0700" */
/* Without the quotes. What looks like a date is one: servers have messages of "31-Feb", of 24:00:00
 * and of "GMT", and whoever moves them here would have to leave them behind. */
bool date_imap_parse(struct str text, int64_t *wall, int *offset);
/* "1-Feb-1994" of SEARCH, at 00:00 UTC; "31-Feb" is in March, as Dovecot takes it. */
bool date_imap_day(struct str text, int64_t *midnight);

/* "2026-12-01T09:00:00Z", of RFC 3339 5.6: with "+01:00" for Z and a fraction of a second, which
 * does not count. */
bool date_internet_parse(struct str text, int64_t *wall);
void date_internet_format(int64_t wall, struct buf *out); /* in UTC, with Z */

/* Days since 1970-01-01 of a date of the Gregorian calendar; month 1..12. */
int64_t date_days(int64_t year, int month, int day);

#endif
