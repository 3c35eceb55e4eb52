/* channel.h - asking another daemon: kept-alive connections, one request at a time on each */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "ipc/attrs.h"

struct stream;

/*
 * A channel is the way to one service, shared by all tasks of a process. Each call in flight has
 * its own connection: an idle one if there is one, else a new one, up to the channel's limit; a
 * call that finds the limit reached waits its turn. Idle connections are closed after
 * conf.ipc_idle, and used ones after conf.ipc_ttl. So a process keeps one static
 * struct channel per service it asks.
 *
 * A service that ends (reload, a changed table, max_use) closes its connections without reading
 * what has just arrived. Such a request is sent again over a new connection, a limited number of
 * times (resend.c), and only if the kernel reports that the other side has not read it.
 *
 * If the service cannot be reached, the call keeps trying until the deadline (master may be
 * starting the service), and then fails with 4.3.0.
 */
struct channel;

/* "private/bounce": a path below the queue directory. limit: connections at a time, 0 for
 * conf.ipc_connections. */
struct channel *channel_new(const char *class_slash_service, int limit);
/* The same by the name of a service, which a parameter has: class is "public" or "private". A name
 * that is too long for a socket fails when it is used. */
struct channel *channel_to(const char *class, const char *service, int limit);
void channel_close_idle(struct channel *c); /* before the process ends */
void channel_free(struct channel **c);

/*
 * (waits) Sends ask, receives answer. deadline: task_now() milliseconds; 0: conf.ipc_timeout from
 * now. Returns 0 if the answer's status is ok; -1 and why if it is not ok, or if there was no
 * answer (4.3.0). An answer that was received is complete in both cases; without one answer is
 * empty.
 */
int channel_call(struct channel *c, const struct attrs *ask, struct attrs *answer,
                 int64_t deadline_ms, struct why *why);
/* (waits) Sends ask and expects no answer: ask must have A_ONE_WAY. -1 and why: it could not be
 * sent. */
int channel_tell(struct channel *c, const struct attrs *ask, int64_t deadline_ms, struct why *why);

/*
 * A call in steps, when more than attributes travel (queue file records after the request). begin
 * takes a connection and buffers ask, which has no descriptors; put (waits) adds to it, and a
 * failure sticks; end flushes, receives the answer and gives the connection back. abort instead of
 * end closes the connection, so the other side sees an early end. What was put is kept until the
 * other side has begun to read it, so that it can be sent again.
 */
struct call;
struct call *channel_begin(struct channel *c, const struct attrs *ask, int64_t deadline_ms,
                           struct why *why); /* (waits) null: why */
void channel_put(struct call *k, struct str bytes);
/* The end of all further waits of the call, by task_now(). */
void channel_set_deadline(struct call *k, int64_t deadline_ms);
/* (waits) Flushes, and receives an answer before the call's end: the other side tells something
 * early. As channel_call's; after it the request is not sent again. -1: only abort may follow. */
int channel_hear(struct call *k, struct attrs *answer, struct why *why);
/* (waits) Sends a copy of fd with the next byte, beside those put before, up to 8. A descriptor is
 * sent once: if the other side goes without reading the request, the call fails. So put one after
 * channel_hear. -1: no copy. */
int channel_put_fd(struct call *k, int fd, struct why *why);
int channel_end(struct call **k, struct attrs *answer, struct why *why); /* (waits) */
void channel_abort(struct call **k);

/* (waits) A connection of the caller's own, outside of the pool: attrs_stream to "private/auth".
 * Null and why if the service cannot be reached by the deadline. The caller closes it. */
struct stream *channel_connect(const char *class_slash_service, int64_t deadline_ms,
                               struct why *why);

#endif
