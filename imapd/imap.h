/* imap.h - one IMAP connection of a logged-in user, and what its commands share */
#ifndef IMAP_H
#define IMAP_H

#include "base/arena.h"
#include "login/session.h"
#include "net/stream.h"
#include "store/mailbox.h"
#include "store/store.h"

#include "imap_fetch.h"
#include "imap_parse.h"

enum imap_state { IMAP_AUTHENTICATED = 1, IMAP_SELECTED = 2 }; /* bits of imap_command.states */

struct imap {
    struct stream *client;
    struct arena *session; /* lives as long as the connection */
    struct arena *mem; /* of the present command; emptied after it */
    const struct handover *login;
    struct store *store;
    struct mailbox *box; /* null: none selected; closed by imap_close_folder only */
    struct fetch_memory fetched; /* of box */
    const struct imap_command *command;
    bool uid; /* UID FETCH and so on */
    struct str tag;
    struct imap_args args;
    bool answered; /* the tagged response has been sent */
    bool logout;
    unsigned bad; /* commands in a row that were not understood */
    const char *ended; /* why the connection ended, for the log */
};

struct imap_command {
    const char *name;
    void (*run)(struct imap *c);
    unsigned states;
    bool numbers; /* its sequence numbers forbid EXPUNGE responses: RFC 3501 7.4.1 */
    bool uid; /* has a UID form */
};

/* imap.c: the user's store, which his connections share. (waits) Null: it cannot be opened. */
struct store *imap_store_take(struct why *why);
void imap_store_release(void);

void imap_close_folder(struct imap *c); /* (waits) closes the selected folder, if there is one */
void imap_connection(struct stream *client, const struct handover *h, struct arena *mem);
const struct imap_command *imap_command_find(struct str name);
const char *imap_capabilities(struct imap *c); /* after login; in c->mem */

/* imap_read.c */
enum imap_read { IMAP_READ_OK, IMAP_READ_REFUSED, IMAP_READ_END };
/* (waits) Reads one command with its literals into mem, except the message of APPEND.
 * IMAP_READ_REFUSED: it is too long, and has been answered. */
enum imap_read imap_read_command(struct imap *c, struct str *text);
/* (waits) A line, and whether a literal follows it: one that is too long for line announces it at
 * its end, too. l->at is its place in the line, if that fits. */
enum line imap_read_line(struct imap *c, struct buf *line, enum imap_literal_kind *kind,
                         struct imap_literal *l);
/* After a literal. Many clients, Python's imaplib for one, send what follows it in a write of its
 * own, without TCP_NODELAY: it comes only when the literal has been acknowledged. */
void imap_rest_of_line_comes(struct imap *c);
/* (waits) Of a command that is refused: skips its rest from this literal on, which ends a line, if
 * the client does not wait with it; with further ones that it does not wait with. They would be
 * taken for commands. RFC 7888 4 */
void imap_skip_command(struct imap *c, const struct imap_literal *l);

/* imap_out.c: the tagged response, once a command. text goes after "OK ", "NO ", "BAD ". */
void imap_ok(struct imap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_no(struct imap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_bad(struct imap *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_no_why(struct imap *c, const struct why *why); /* with the response code that fits */
/* Untagged responses about the selected folder all begin here. number: of the message; for EXISTS
 * and RECENT the count. (waits) */
enum imap_event {
    IMAP_EXPUNGE,
    IMAP_FETCH, /* its flags have changed */
    IMAP_FLAGS, /* a keyword was defined */
    IMAP_EXISTS,
    IMAP_RECENT,
    IMAP_GONE, /* the folder */
};
void imap_tell(struct imap *c, enum imap_event event, uint32_t number);
/* (waits) Sends untagged responses for what other sessions did to the selected folder. Expunges
 * only if may_expunge (RFC 3501 7.4.1). */
void imap_updates(struct imap *c, bool may_expunge);
void imap_put_number(
    struct imap *c,
    uint64_t number); /* faster than printf, which would take most of the time of a FETCH */
void imap_put_flags(struct imap *c, uint32_t number); /* "(\Seen word)" of a message. (waits) */
void imap_put_flag_list(struct imap *c); /* "* FLAGS (...)" and PERMANENTFLAGS */
void imap_put_string(struct imap *c, struct str s); /* quoted or literal */
/* "* STATUS folder (...)": items as imap_take_status_items has them. -1: there is no such folder.
 * (waits) */
int imap_put_status(struct imap *c, struct str folder, unsigned items, struct why *why);
void imap_put_folder(struct imap *c, struct str name); /* a folder's name: atom or quoted */

/* What a command names. On failure the command has been answered. */
bool imap_end(struct imap *c); /* no more arguments: else BAD */
bool imap_arg_folder(struct imap *c, const char **folder); /* as the store has it */
bool imap_may_create(const char *folder); /* is the name one that CREATE takes? */
/* A sequence set or, in UID commands, a uid set, made into uids that are in the view. */
bool imap_arg_set(struct imap *c, struct uidset *uids);
/* False: too long for a new keyword. */
bool imap_may_define(struct str keyword);
void imap_no_keyword(struct imap *c); /* answers the command in that case */
/* "(\Seen word)" or "\Seen word": flags and names of keywords, which live as long as c->mem. */
bool imap_arg_flags(struct imap *c, struct flag_change *change);

/* Commands, one file each: cmd_*.c */
void cmd_append(struct imap *c);
void cmd_capability(struct imap *c);
void cmd_check(struct imap *c);
void cmd_close(struct imap *c);
void cmd_copy(struct imap *c);
void cmd_create(struct imap *c);
void cmd_delete(struct imap *c);
void cmd_enable(struct imap *c);
void cmd_examine(struct imap *c);
void cmd_expunge(struct imap *c);
void cmd_fetch(struct imap *c);
void cmd_id(struct imap *c);
void cmd_idle(struct imap *c);
void cmd_list(struct imap *c);
void cmd_logged_in(struct imap *c); /* LOGIN, AUTHENTICATE, STARTTLS: too late for them */
void cmd_logout(struct imap *c);
void cmd_lsub(struct imap *c);
void cmd_move(struct imap *c);
void cmd_namespace(struct imap *c);
void cmd_noop(struct imap *c);
void cmd_rename(struct imap *c);
void cmd_search(struct imap *c);
void cmd_select(struct imap *c);
void cmd_status(struct imap *c);
void cmd_store(struct imap *c);
void cmd_subscribe(struct imap *c);
void cmd_unselect(struct imap *c);
void cmd_unsubscribe(struct imap *c);

#endif
