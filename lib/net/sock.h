/* sock.h - opens sockets: listen, connect with a deadline, accept, pairs */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include "net/addr.h"

struct stream;
struct peer;

/* All descriptors are close-on-exec and non-blocking. -1: why says what failed. A path may be
 * relative to the working directory, and has at most 107 bytes. */
int sock_listen(const struct addr *at, int backlog, struct why *why); /* TCP, with TCP_NODELAY */
/* With SO_REUSEPORT: a socket for all addresses and sockets for single addresses can have the same
 * port, if the same user makes them. sock_share_port sets it on a socket that is already open. */
int sock_listen_shared(const struct addr *at, int backlog, struct why *why);
void sock_share_port(int fd);
int sock_listen_unix(const char *path, int backlog, unsigned mode,
                     struct why *why); /* replaces a socket that is there */
/* How many datagrams a unix socket that is made now keeps unread before senders have to wait: 10 is
 * a kernel's own default, systemd makes it 512. An open socket keeps its number. */
int sock_datagrams_kept(void);
/* A UDP socket bound to an address, for tests. */
int sock_datagram(const struct addr *at, struct why *why);

/* (waits) from: the local address to use, or null. */
int sock_connect(const struct addr *to, const struct addr *from, int64_t deadline_ms,
                 struct why *why);
/* Does this host have the address? */
bool sock_can_bind(const struct addr *at, struct why *why);
int sock_connect_unix(const char *path, int64_t deadline_ms, struct why *why); /* (waits) */
/* As sock_connect_unix, without waiting. -1 and errno: EAGAIN if the backlog is full, ENAMETOOLONG
 * if the path has more than 107 bytes. */
int sock_try_unix(const char *path);

/*
 * For a jail that compares pointers (service/jail_sockets.c): from now on the two above connect to
 * these n paths only, and to others fail with EACCES. A struct sockaddr_un stands every
 * SOCK_KNOWN_STEP bytes from known on, which stays the caller's and as it is. If there is something
 * at the path, it has come later, and on_new is called (may be null).
 */
enum { SOCK_KNOWN_STEP = 128 };
void sock_only_known(const char *known, size_t n, void (*on_new)(const char *path));

/* Accepts one client without waiting. -1 and errno: EAGAIN if there is none. to may be null. */
int sock_accept(int listener, struct peer *to);
int sock_pair(int fds[2]); /* UNIX stream sockets; -1 and errno */
int sock_set_nonblocking(int fd);
/* Sends a pending TCP ACK now instead of up to 40 ms later, for when the peer waits for it before
 * it sends the rest. Has an effect once (tcp(7), TCP_QUICKACK), and none on other sockets. */
void sock_ack_now(int fd);
bool sock_local(int fd, struct addr *a); /* our own end; false: not known */
bool sock_remote(int fd, struct addr *a); /* the other end; false: not connected */

#endif
