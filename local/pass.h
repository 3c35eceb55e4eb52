/* pass.h - one recipient handed on to another agent */
#ifndef LOCAL_PASS_H
#define LOCAL_PASS_H

#include "agent.h"

/* (waits) Lets the agent of "transport" or "transport:nexthop" deliver rcpt. The agent writes the
 * log line; nothing is marked in the queue file. Returns the agent's status, or RCPT_DEFERRED if it
 * could not be asked. sender may differ from the message's. */
enum rcpt_status pass_to(struct job *job, const char *transport, const struct rcpt *rcpt,
                         const char *sender);

#endif
