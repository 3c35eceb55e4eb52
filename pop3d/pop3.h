/* pop3.h - a POP3 session after login, between the pop3*.c */
#ifndef POP3D_POP3_H
#define POP3D_POP3_H

#include "login/session.h"
#include "store/mailbox.h"

struct store;

/* The TRANSACTION state of RFC 1939 5. The view does not change during the session. Messages that
 * cannot be read are left out, so that one damaged file does not keep the user from the others. */
struct pop3 {
    struct stream *client;
    const struct handover *from;
    struct store *store;
    struct mailbox *box;
    uint32_t count; /* messages, deleted ones too */
    uint32_t *numbers; /* in the view; by number - 1 */
    uint64_t *sizes; /* with CR LF; by number - 1 */
    unsigned char *marks; /* enum pop3_mark; by number - 1 */
    uint32_t deleted;
    uint64_t total, deleted_total; /* sizes of all; of those that are deleted */
    bool quit; /* the client has sent QUIT: the UPDATE state follows */
    unsigned bad; /* commands in a row that were not understood */
    uint32_t retr, top; /* for the log */
    uint64_t retr_bytes, top_bytes;
    const char *ended;
};
enum pop3_mark { POP3_DELETED = 1, POP3_SEEN = 2 };

void pop3_connection(struct stream *client, const struct handover *h, struct arena *mem);
/* Runs one line; pop3_cmd.c. */
void pop3_command(struct pop3 *s, struct str line);
/* (waits) The UPDATE state: removes what is marked. False: something could not be removed. */
bool pop3_update(struct pop3 *s);

/* pop3_send.c: a message, with the dots doubled, CR LF and the last dot. lines: of the body, -1 for
 * all. (waits) Adds the bytes sent to *bytes. False and why: the message cannot be read. */
bool pop3_send(struct pop3 *s, uint32_t number, int64_t lines, uint64_t *bytes, struct why *why);

#endif
