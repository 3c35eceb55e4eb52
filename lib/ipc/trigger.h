/* trigger.h - one byte to a daemon that may sleep: there is work */
#ifndef IPC_TRIGGER_H
#define IPC_TRIGGER_H

#include "base/why.h"

/*
 * The reasons are capital letters, so a service can tell a trigger from a request (which begins
 * with the attribute name "request"). Each service's are in ipc/proto.h.
 */
enum trigger { TRIGGER_WAKE = 'W' };

/*
 * Writes the byte to the socket or fifo path ("public/qmgr", below the queue directory) and closes.
 * Never waits. If nobody listens or the backlog is full, the service does the work at its next
 * periodic wake-up, so the caller may ignore the result. Works in and outside of tasks. 0, or -1
 * and why.
 */
int trigger_send(const char *path, char reason, struct why *why);

#endif
