/* channel.h - asking another daemon: one kept-alive connection, one request at a time */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "ipc/attrs.h"

struct channel;

struct channel *channel_new(const char *class_slash_service); /* "private/rewrite" */
/* (waits) Connects when needed; tries once more if an idle connection had died. */
int channel_call(struct channel *c, const struct attrs *ask, struct attrs *answer, int64_t deadline,
                 struct why *why);
void channel_free(struct channel **c);

#endif
