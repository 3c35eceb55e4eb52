/* stream_fd.h - the lowest layer of a stream: its descriptor, and descriptors that are passed over
 * it. For stream.c only */
#ifndef NET_STREAM_FD_H
#define NET_STREAM_FD_H

#include "net/stream.h"

enum { STREAM_FDS = 8 };

struct stream_fd {
    int fd;
    bool plain; /* not a socket */
    bool wants_out; /* the last EAGAIN was of a write */
    bool takes_fds;
    bool short_reads_drain; /* a short read means that nothing is left */
    unsigned nput, ntaken;
    unsigned lent; /* bit n: put[n] is not ours to close */
    int *put, *taken; /* to be sent, and received; null: none */
};

extern const struct stream_layer stream_fd_layer; /* self is a struct stream_fd */

void stream_fd_init(struct stream_fd *f, int fd); /* fd is not closed here */
/* Descriptors that go with the next bytes written (STREAM_FDS at most), which then closes them
 * unless they are lent; and the next one that came with bytes read, the caller's: -1: none. */
void stream_fd_put(struct stream_fd *f, int fd, bool lent);
int stream_fd_take(struct stream_fd *f);
void stream_fd_drop_fds(struct stream_fd *f); /* closes those that nobody has taken, or sent */

#endif
