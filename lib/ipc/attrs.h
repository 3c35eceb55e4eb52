/* attrs.h - the message that all processes of the suite speak */
#ifndef IPC_ATTRS_H
#define IPC_ATTRS_H

#include <stdint.h>

#include "base/why.h"
#include "ipc/trust.h"

struct stream;

/*
 * A list of name=value attributes in the order they were put; a name may
 * repeat. On the wire: name\0value\0 ... and an empty name. Descriptors may
 * ride along. The sender is never trusted: unknown names are skipped, values
 * hold no zero byte, the whole stays under the ceiling. Getters of missing or
 * malformed values return "" or low and mark the message as bad, so a
 * receiver gets all it needs and asks attrs_ok() once.
 */
enum { ATTRS_FDS = 4 };
struct attrs {
    struct buf wire;
    int fds[ATTRS_FDS];
    int nfds; /* owned */
    const char *bad; /* the first name at fault, or null */
    enum role from; /* of a request: who asks, as the kernel vouches (lib/service) */
    pid_t from_pid; /* the process; 0: the kernel does not say */
    size_t hint; /* where the search begins: behind what was found last, since most ask in order */
};
/* asked: by whoever sends, and by attrs_ok */
#define ATTRS(ceiling) ((struct attrs){BUF(ceiling), {-1, -1, -1, -1}, 0, 0})

/* Build. */
void attrs_put(struct attrs *a, const char *name, struct str value);
void attrs_putz(struct attrs *a, const char *name, const char *value);
void attrs_putn(struct attrs *a, const char *name, int64_t value);
void attrs_put_fd(struct attrs *a, int fd); /* taken over */

/* Read. Names are the constants of ipc/proto.h. */
const char *attrs_get(struct attrs *a, const char *name);
const char *attrs_opt(struct attrs *a, const char *name, const char *if_absent);
int64_t attrs_getn(struct attrs *a, const char *name, int64_t low, int64_t high);
const char *attrs_each(struct attrs *a, const char *name, size_t *cursor); /* null at the end */
/* Any name, in order; null at the end. */
const char *attrs_next(struct attrs *a, const char **name, size_t *cursor);
int attrs_take_fd(struct attrs *a); /* -1: none left */
bool attrs_ok(const struct attrs *a);

/*
 * A stream over a UNIX socket that can carry descriptors: channels and the requests of a service
 * are such streams. On any other stream attributes work too, without descriptors. Owns fd.
 */
struct stream *attrs_stream(int fd);

/*
 * (waits) attrs_send flushes the stream; the descriptors of a stay the caller's (copies are sent).
 * attrs_recv clears a first; it reads nothing past the message, so other bytes may follow on the
 * same stream. 0, or -1 and why (4.3.0; text "connection closed" if the stream ended before the
 * first byte).
 */
int attrs_send(struct stream *s, const struct attrs *a, struct why *why);
/* As attrs_send without the flush: more follows at once. A failure shows at the next flush. */
int attrs_write(struct stream *s, const struct attrs *a, struct why *why);
int attrs_recv(struct stream *s, struct attrs *a, struct why *why);

/*
 * Sends on a socket that no stream owns, in one piece and without waiting. -1 also if the socket is
 * full because the receiver is slow. After a failure close the socket, since half a message may
 * have been sent. For watched sockets (task_watch).
 */
int attrs_post(int fd, const struct attrs *a, struct why *why);

/* Sets the status of an answer from why: STATUS_OK if why is null or empty, else STATUS_RETRY
 * (4.x.x) or STATUS_FAIL (5.x.x) with code and text. */
void attrs_put_why(struct attrs *answer, const struct why *why);
int attrs_get_why(struct attrs *answer, struct why *why); /* 0 for ok, -1 and why otherwise */

/* Reads one message from memory into a. Returns the bytes used; 0: the message is incomplete; -1:
 * it is longer than the ceiling of a. */
ptrdiff_t attrs_scan(struct str bytes, struct attrs *a);
void attrs_clear(struct attrs *a); /* ready for the next one; closes what was not taken */
void attrs_free(struct attrs *a);

#endif
