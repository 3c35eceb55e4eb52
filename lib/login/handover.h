/* handover.h - a logged-in connection on its way from the front to its session */
#ifndef LOGIN_HANDOVER_H
#define LOGIN_HANDOVER_H

#include "ipc/attrs.h"

struct arena;

/*
 * front --REQUEST_OPEN--> mailbox broker --REQUEST_SERVE--> the user's session process
 *
 * The front names no user: it passes the token that authd gave it. The broker exchanges it for the
 * user's name and a ticket, and passes the message on, with the descriptor, to the process that
 * serves this user, or to the program of the service (imap, pop3) which forks a new one. That
 * program believes nothing of this about the user: it redeems the ticket at authd. The descriptor
 * is the client's socket, or one end of a socket pair whose other end the front relays inside TLS.
 */
struct handover {
    const char *service; /* "imap" or "pop3" */
    const char *tag; /* of the IMAP command that logged in: the session answers it; "" in POP3 */
    struct str pending; /* bytes of the client that the front has read ahead; never null */
    const char *client_address, *client_port; /* text */
    const char *server_address, *server_port;
    const char *session; /* a short unique id, for the log */
    const char *user, *ticket; /* as the broker has them from authd; "" on the way to it */
    bool tls;
    bool secured;
};
enum { HANDOVER_PENDING_MAX = 16 * 1024 }; /* more must not come behind the login command */
/* Ceiling of the message: one piece of a UNIX socket, so that its descriptors cannot be taken for
 * those of the next one. */
enum { HANDOVER_MAX = 32 * 1024 };

/* Both directions of the one encoding; slices point into the message. False: malformed. */
void handover_put(struct attrs *a, const struct handover *h);
bool handover_get(struct attrs *a, struct handover *h, struct arena *mem);

#endif
