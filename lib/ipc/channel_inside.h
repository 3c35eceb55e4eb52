/* channel_inside.h - between channel.c (connections and turns) and resend.c (requests) */
#ifndef IPC_CHANNEL_INSIDE_H
#define IPC_CHANNEL_INSIDE_H

#include "base/list.h"
#include "ipc/channel.h"

/* More than the kernel takes for a socket that nobody reads (net.core.wmem_default, 208 KiB). */
enum { UNSENT_MOST = 1024 * 1024 };

struct conn {
    struct list link; /* in channel.idle, the last used first */
    struct stream *stream;
    int64_t born, idle_since;
};

struct channel {
    char *path;
    int limit, busy; /* calls under way */
    struct list idle, waiting;
    struct reaper *reaper; /* null while nothing is idle */
};

struct call {
    struct channel *channel;
    struct conn *conn;
    int64_t deadline_ms;
    struct buf unsent; /* what was put so far, while the other side may not have begun to read it */
    bool begun; /* the other side has begun to read: the request is not sent again */
    int attempts;
};

struct conn *channel_conn_new(const struct channel *c, int64_t deadline_ms,
                              struct why *why); /* (waits) */
void channel_conn_free(struct conn *c); /* closes it */
/* (waits) for a turn and a connection. deadline 0: conf.ipc_timeout from now. */
struct call *channel_call_open(struct channel *c, int64_t deadline_ms, struct why *why);
void channel_call_close(
    struct call **k); /* the call is complete; its connection goes back to the pool */

#endif
