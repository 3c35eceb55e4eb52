/* pass.h - one recipient handed on to another agent */
#ifndef LOCAL_PASS_H
#define LOCAL_PASS_H

#include "agent.h"

/* (waits) "transport" or "transport:nexthop" delivers rcpt, says so in the log, and marks nothing;
 * the status is what it answered, or later. sender as the message's, or another. */
enum rcpt_status pass_to(struct job *job, const char *transport, const struct rcpt *rcpt,
                         const char *sender);

#endif
