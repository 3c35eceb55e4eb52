/* policy.h - what smtpd and a policy service say to each other. Postfix's SMTPD_POLICY_README */
#ifndef MAIL_POLICY_H
#define MAIL_POLICY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/why.h"

/*
 * A request is lines "name=value", and an empty line ends it. The reply is one such line, "action="
 * and what could stand in an access table, and again an empty line.
 */

/* One attribute of a request. A client cannot make two of one: each control character of the value
 * becomes '?'. */
void policy_put(struct buf *request, const char *name, const char *value); /* null: "" */
void policy_put_number(struct buf *request, const char *name, int64_t value);
void policy_end(struct buf *request);

/* A reply, which is given line by line. Attributes other than the first action are passed over. The
 * ceiling of action is that of all lines together. */
struct policy_reply {
    struct buf action;
    size_t bytes;
    bool has_action;
};
/* asked: by policy_reply_line */
#define POLICY_REPLY(limit) ((struct policy_reply){.action = BUF(limit)})
enum policy_line {
    POLICY_MORE, /* not complete yet */
    POLICY_DONE, /* action is the answer */
    POLICY_WRONG, /* it is no reply, as why says: nothing that comes behind it can be believed */
};
/* A line without its LF or CR LF. */
enum policy_line policy_reply_line(struct policy_reply *r, struct str line, struct why *why);
void policy_reply_clear(struct policy_reply *r); /* for the next one */
void policy_reply_free(struct policy_reply *r);

#endif
