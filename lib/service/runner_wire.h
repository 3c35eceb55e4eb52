/* runner_wire.h - what a jailed process and the helper that runs its commands say to each other */
#ifndef SERVICE_RUNNER_WIRE_H
#define SERVICE_RUNNER_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "service/helper.h"
#include "service/runner.h"

/* To the helper: this, then (for RUNNER_START) the texts argv, env, dir and root, each with its
 * zero byte; standard input and output ride along. RUNNER_KILL has the number of the question that
 * started the command; it has no answer of its own. */
enum runner_what { RUNNER_START, RUNNER_KILL };
struct runner_ask {
    uint32_t what;
    uid_t uid;
    gid_t gid;
    uint32_t has; /* bit 0: a descriptor for standard input comes along; bit 1: for output */
    uint32_t nargs, nenv; /* texts of each; then two more: dir and root */
};

struct runner_answer {
    int32_t error; /* errno of the first step that failed; 0: it ran */
    int32_t status; /* as waitpid gives it */
};

enum { RUNNER_MESSAGE = sizeof(struct runner_ask) + RUN_TEXT_MAX };
static_assert((size_t)RUNNER_MESSAGE <= HELPER_MESSAGE_MAX, "a request is one message");

/* A request taken apart; its texts stand in the message. */
struct runner_order {
    const struct runner_ask *ask; /* at the message's begin, set by the caller */
    char **argv, **env;
    const char *dir, *root;
    int fds[2]; /* owned; -1: none */
};
/* message has n bytes, at least those of ask. False if it is malformed; then free it all the same.
 */
bool runner_order_parse(struct runner_order *o, char *message, size_t n);
void runner_order_free(struct runner_order *o);

/* The helper's process (helper_job.loop); returns when the other end of the socket has closed and
 * all commands have been ended. */
void runner_helper(int sock);

#endif
