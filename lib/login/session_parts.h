/* session_parts.h - from the program that forks sessions (session_fork.c) to the new process */
#ifndef LOGIN_SESSION_PARTS_H
#define LOGIN_SESSION_PARTS_H

#include "ipc/attrs.h"
#include "login/session.h"

struct session_start {
    const struct session_program *program;
    const struct user *user; /* from authd; its strings must stay valid */
    struct attrs *ask; /* the hand-over of the first connection, without its descriptors */
    int client, broker; /* those: the first client, and the socket pair with the broker */
    int lifeline; /* a pipe that hangs up when the sessions must end */
    int alive; /* kept open as long as the process lives */
};
/* (waits) The life of the process: called in the child, right after fork. */
void session_live(const struct session_start *s) __attribute__((noreturn));

#endif
