/* sock.h - sockets: listen, connect with a deadline, accept, pairs */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include "net/addr.h"

struct stream;
struct peer;

/* All descriptors are close-on-exec and non-blocking. -1: why says what. Paths are relative to the
 * working directory and at most 107 bytes. */
int sock_listen(const struct addr *at, int backlog, struct why *why); /* TCP, no delay */
/* SO_REUSEPORT: a socket of all addresses and those of single ones may share a port, if the same
 * user makes them all. */
int sock_listen_shared(const struct addr *at, int backlog, struct why *why);
void sock_share_port(int fd);
int sock_listen_unix(const char *path, int backlog, unsigned mode, struct why *why); /* replaces */
/* A bound UDP socket; for tests and servers of datagrams. */
int sock_datagram(const struct addr *at, struct why *why);

/* (waits) from: the local address to use, or null. */
int sock_connect(const struct addr *to, const struct addr *from, int64_t deadline, struct why *why);
int sock_connect_unix(const char *path, int64_t deadline, struct why *why); /* (waits) */
/* Does not wait. -1 and errno: EAGAIN is a full backlog, ENAMETOOLONG a path of more than 107
 * bytes. */
int sock_try_unix(const char *path);

/* Takes one client; does not wait. -1 and EAGAIN, or another errno. to may be null. */
int sock_accept(int listener, struct peer *to);
int sock_pair(int fds[2]); /* UNIX stream sockets; -1 and errno */
int sock_set_nonblocking(int fd);
/* The peer waits for the ACK of what it has sent before it sends the rest: sends that ACK now
 * instead of up to 40 ms later. For this once (tcp(7), TCP_QUICKACK); nothing on other sockets. */
void sock_ack_now(int fd);
bool sock_local(int fd, struct addr *a);
bool sock_remote(int fd, struct addr *a);

#endif
