/* attrs.h - the message that all processes of the suite speak */
#ifndef IPC_ATTRS_H
#define IPC_ATTRS_H

#include <stdint.h>

#include "base/why.h"

struct stream;

/*
 * A list of name=value attributes in the order they were put; a name may
 * repeat. On the wire: name\0value\0 ... and an empty name. Descriptors may
 * ride along. The sender is never trusted: unknown names are skipped, values
 * hold no zero byte, the whole stays under the ceiling. Getters of missing or
 * malformed values return "" or low and mark the message as bad, so a
 * receiver gets all it needs and asks attrs_ok() once.
 */
struct attrs {
    struct buf wire;
    int fds[4];
    int nfds; /* owned */
    const char *bad; /* the first name at fault, or null */
};
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
int attrs_take_fd(struct attrs *a); /* -1: none left */
bool attrs_ok(const struct attrs *a);

int attrs_send(struct stream *s, const struct attrs *a, struct why *why); /* (waits) */
int attrs_recv(struct stream *s, struct attrs *a, struct why *why); /* (waits) */
void attrs_clear(struct attrs *a); /* ready for the next one; closes what was not taken */
void attrs_free(struct attrs *a);

#endif
