/* relay.h - bytes both ways between a stream and a descriptor: TLS in the front, IMAP behind it */
#ifndef LOGIN_RELAY_H
#define LOGIN_RELAY_H

struct stream;

/*
 * (waits) Until one side has ended and everything it had sent has been passed on. Closes fd; the
 * stream stays the caller's. Neither direction waits for the other; at most 80 KiB are held for
 * each direction.
 *
 * One task does both: what TLS has to wait for in order to write may be input, and the other way
 * round (RFC 8446 4.6.3: a key update that came half), so two tasks would wait for the same thing.
 */
void relay_run(struct stream *client, int fd);

#endif
