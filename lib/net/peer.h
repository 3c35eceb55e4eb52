/* peer.h - who is it: address, name, and the local end of a connection */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net/addr.h"

struct arena;

/*
 * name and reverse_name are "unknown" until peer_find_name was called, and stay so if there is
 * none; for a UNIX socket "localhost". Log lines show "name[addr]".
 */
enum peer_name { PEER_NAME_OK, PEER_NAME_NONE, PEER_NAME_FAILED };
struct peer {
    struct addr addr, local;
    char addr_text[ADDR_TEXT]; /* "127.0.0.1"; "unknown" if it has gone already */
    const char *name; /* verified: its addresses include addr */
    const char *reverse_name; /* from the PTR record alone */
    enum peer_name name_status, reverse_status; /* FAILED: temporarily; Postfix answers 450 */
};

void peer_init(struct peer *p); /* nobody: unknown[unknown] */
void peer_set(struct peer *p, const struct addr *addr, const struct addr *local);
bool peer_of(struct peer *p, int fd); /* asks the kernel; false if the client has gone */
/* (waits) PTR, then A or AAAA of that name: RFC 1912 2.1. Local files (/etc/hosts) first. The names
 * live in mem. */
void peer_find_name(struct peer *p, struct arena *mem, int64_t deadline);

#endif
