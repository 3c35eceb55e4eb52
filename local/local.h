/* local.h - a recipient on its way through aliases and .forward files to where its mail goes */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "base/hash.h"
#include "dict/maps.h"

#include "agent.h"

/* Where an entry stands: what it may name depends on it (allow_mail_to_commands, .._files). */
enum origin { FROM_MESSAGE = 0, FROM_ALIAS = 1, FROM_FORWARD = 2, FROM_INCLUDE = 4 };

/* With whose rights commands are run and files are written. uid 0 means that no user has been
 * chosen yet: default_privs is used then, never root. */
struct rights {
    uid_t uid;
    gid_t gid;
    const char *user, *home, *shell; /* "" while uid is 0 */
};

/* One address at one level of the expansion; copied on the way down. Strings live as long as the
 * recipient that the message came for. */
struct address {
    unsigned level;
    const char *address; /* user+ext@domain */
    const char *local; /* user+ext, folded */
    const char *user; /* without extension */
    const char *ext; /* or "" */
    const char *domain;
    const char *unmatched; /* the extension that what follows inherits, or "" */
    const char *owner; /* on whose behalf mail is forwarded: an owner- alias, or a user with a
                          .forward file; "" for nobody */
    const char *sender;
    const char *delivered; /* for Delivered-To; "": not yet known */
    bool from_list; /* from an alias that has an owner- alias: sent as a new message */
    enum origin origin;
    const char *expanded; /* the alias whose value this is, or "" */
    struct rights rights;
};

/* One recipient of the request, with all addresses that it expands to. */
struct local {
    struct job *job;
    const struct rcpt *rcpt;
    struct arena *mem;
    struct hash *seen; /* what was done already (duplicate_filter_limit) */
    struct hash *visited; /* addresses by level: each is expanded once */
    struct hash *delivered_to; /* of the message's header; null until it is asked for */
    struct resend *resend; /* messages to other addresses, being made */
    enum rcpt_status status; /* the delivery status of all that it led to so far, joined */
    bool said; /* at least one log line about this recipient has been written */
    bool included; /* an :include: file was read: it may have no entries */
    unsigned steps; /* lines and entries that were looked at */
};

/* The tables, opened before the jail. */
struct local_tables {
    struct maps *aliases, *mailbox_commands, *mailbox_transports, *fallback_transports;
};
extern struct local_tables local_tables;

/* local_recipient.c: looks for an alias, a .forward file, a mailbox, in this order. */
void local_recipient(struct local *l, const struct address *a);
/* An address that an expansion has produced: it is delivered here if it is local, otherwise sent
 * back into the queue. */
void local_address(struct local *l, const struct address *a, const char *address);

/* local_alias.c, local_forward.c, local_include.c. False: there is no such alias or file, so the
 * caller tries the next place. */
bool local_alias(struct local *l, struct address *a, const char *name);
bool local_forward(struct local *l, struct address *a);
void local_include(struct local *l, const struct address *a, const char *path);

/* local_target.c: (waits) delivers to each entry of a line of an alias, a .forward or an :include:
 * file. Returns how many there were. */
size_t local_targets(struct local *l, const struct address *a, struct str line);
/* (waits) To be called for each line and each entry: a file may have millions of them, and other
 * deliveries get a turn now and then. */
void local_step(struct local *l);

/* local_command.c, local_file.c, local_mailbox.c */
void local_command(struct local *l, const struct address *a, const char *command);
void local_file(struct local *l, const struct address *a, const char *path);
bool local_mailbox(struct local *l, const struct address *a);

/* local_macro.c: replaces $user, $home, $extension ... in text. In values that the sender of the
 * message can choose, characters that are not in filter (if not null) become "_". False, with a
 * warning: text is malformed. */
bool local_expand(struct local *l, const struct address *a, const char *text, const char *filter,
                  struct buf *out);

/* local_dedup.c: true if the same text was given before. The texts are those of Postfix's duplicate
 * filter: "mailbox user". */
bool local_seen(struct local *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True the second time for this address at this level. Without it, aliases that name each other
 * twice would be expanded two to the power of their depth times. */
bool local_visited(struct local *l, const struct address *a);

/* local_user.c: accounts. 1: found (strings in mem), 0: no such user, -1: why. */
int local_user(struct arena *mem, const char *name, struct rights *r, struct why *why);
int local_user_by_id(struct arena *mem, uid_t uid, struct rights *r, struct why *why);
/* The rights that commands and files of root's aliases get. */
int local_default_rights(struct rights *r, struct why *why);
void local_user_open(void); /* before the jail */

/* local_resend.c: messages back into the queue, one for each sender and Delivered-To. */
struct resend *resend_new(struct local *l);
void resend_add(struct resend *r, const struct address *a);
/* (waits) Hands all messages to cleanup and frees r. give_up: drops them, because the recipient is
 * deferred and all of it will be tried again. */
void resend_end(struct resend **r, bool give_up);

/* local_status.c: logs what became of one address, and adds it to the recipient's status. */
void local_sent(struct local *l, const struct address *a, const char *dsn, const char *text);
void local_failed(struct local *l, const struct address *a, const struct why *why);
bool local_trace_only(const struct local *l); /* sendmail -bv: say what would be done */

#endif
