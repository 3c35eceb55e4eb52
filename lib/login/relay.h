/* relay.h - bytes both ways between a stream and a descriptor: TLS in the front, IMAP behind it */
#ifndef LOGIN_RELAY_H
#define LOGIN_RELAY_H

struct stream;

/* (waits) Until one side has ended and what it had sent is through. Closes fd; the stream stays the
 * caller's. Neither direction waits for the other. */
void relay_run(struct stream *client, int fd);

#endif
