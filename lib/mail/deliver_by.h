/* deliver_by.h - until when a message is to be delivered: DELIVERBY, RFC 2852 */
#ifndef MAIL_DELIVER_BY_H
#define MAIL_DELIVER_BY_H

#include <stdint.h>

#include "base/buf.h"

/* From BY= of MAIL with seconds from now on, else with a wall clock time. */
struct deliver_by {
    int64_t s; /* seconds from now on; or wall clock seconds, where 0 is: nothing was asked for */
    bool returns; /* by-mode R: what is not delivered by then comes back; else the sender is told */
    bool traced; /* by-trace T: the sender is told of each server that it is passed on to */
};

enum { DELIVER_BY_MOST = 999999999 }; /* RFC 2852 4: seconds, either way */

/* RFC 2852 4: the value of BY=, "120;R", "-5;NT". False: malformed, as a time that is not above 0
 * is with R; *by is unchanged. */
bool deliver_by_parse(struct str value, struct deliver_by *by);
/* The same for the attribute deliver_by= of a queue file, which has a wall clock time. */
bool deliver_by_parse_time(struct str value, struct deliver_by *by);
/* Appends it in the form that both read. */
void deliver_by_format(const struct deliver_by *by, struct buf *out);

/* RFC 2852 4.1.3: the status when its time is over, with by-mode R, and with N. */
#define DELIVER_BY_OVER    "5.4.7"
#define DELIVER_BY_DELAYED "4.4.7"
extern const char deliver_by_over[]; /* the text for it */

/* now_s: wall clock. Has its time passed, so that nobody may get it any more? */
bool deliver_by_is_over(const struct deliver_by *by, int64_t now_s);

#endif
