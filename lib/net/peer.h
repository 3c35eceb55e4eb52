/* peer.h - the other end of a connection: its address and name, and our own address */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net/addr.h"

struct arena;

/*
 * name and reverse_name are "unknown" before peer_find_name is called, and afterwards if there is
 * no name. For a UNIX socket they are "localhost". Log lines show "name[addr]".
 */
enum peer_name { PEER_NAME_OK, PEER_NAME_NONE, PEER_NAME_FAILED };
struct peer {
    struct addr addr, local;
    char addr_text[ADDR_TEXT]; /* "127.0.0.1"; "unknown" if the client has already gone */
    const char *name; /* from the PTR record, if the addresses of that name include addr */
    const char *reverse_name; /* from the PTR record, not verified */
    enum peer_name name_status, reverse_status; /* FAILED: temporarily; Postfix answers 450 */
    bool passed; /* another process has accepted it, and said who it is */
};

void peer_init(struct peer *p); /* unknown[unknown] */
void peer_set(struct peer *p, const struct addr *addr,
              const struct addr *local); /* both ends; no name yet */
bool peer_of(struct peer *p, int fd); /* from the socket fd; false if the client has gone */
/* (waits) Looks up the PTR record, and the addresses of that name (RFC 1912 2.1); /etc/hosts comes
 * first. The names live in mem. A name that has not this address is logged. deadline: task_now() in
 * ms. */
void peer_find_name(struct peer *p, struct arena *mem, int64_t deadline_ms);

#endif
