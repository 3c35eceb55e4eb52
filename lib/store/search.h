/* search.h - which messages of a view match: IMAP SEARCH. RFC 3501 6.4.4 */
#ifndef STORE_SEARCH_H
#define STORE_SEARCH_H

#include "store/mailbox.h"
#include "store/uidset.h"

/*
 * The criteria are a tree that the caller builds in an arena; imapd parses it from the command. A
 * day is counted in days since 1970-01-01 (date_days of mail/date.h), without regard to time zones
 * as RFC 3501 wants it: internal dates in local time, Date: fields as they are written.
 */
enum search_what {
    SEARCH_ALL,
    SEARCH_AND, /* all children (none: true) */
    SEARCH_OR, /* any child */
    SEARCH_NOT, /* no child matches: one child */
    SEARCH_NUMBERS, /* numbers of the view in set */
    SEARCH_UIDS, /* uids in set */
    SEARCH_FLAGS, /* all bits of flags are set */
    SEARCH_KEYWORD, /* the keyword called text */
    SEARCH_RECENT,
    SEARCH_BEFORE, /* internal date < day */
    SEARCH_ON,
    SEARCH_SINCE, /* >= day */
    SEARCH_SENTBEFORE,
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_LARGER, /* size > number */
    SEARCH_SMALLER,
    SEARCH_MODSEQ, /* modseq >= number */
    SEARCH_OLDER, /* received before the last number seconds (RFC 5032) */
    SEARCH_YOUNGER,
    SEARCH_HEADER, /* field name holds text; empty text: the field is there */
    SEARCH_BODY, /* a text part holds text */
    SEARCH_TEXT, /* header or body */
};
struct search_key {
    enum search_what what;
    struct search_key *child, *next; /* next: the next child of the same parent */
    struct uidset set;
    uint32_t flags;
    uint64_t number;
    int64_t day;
    struct str name; /* of the field, for SEARCH_HEADER: From, To, Cc, Bcc and Subject too */
    bool addresses; /* of SEARCH_HEADER: text may also be in the addresses as ENVELOPE has them */
    struct str text; /* UTF-8; matched as a substring without regard to case */
    int keyword; /* search_run's own: the place of SEARCH_KEYWORD in the folder, or -1 */
};

/* How the caller of a search learns about its progress and its end. */
struct search_watch {
    /* (waits) After each turn: so many of all messages have been looked at. False: nobody waits for
     * the result any more. May be null. */
    bool (*progress)(void *self, uint32_t done, uint32_t of);
    void *self;
    bool expunged; /* out: a message that had to be read was expunged by somebody else */
    uint64_t steps; /* out: keys that were tried, and names of keywords compared */
};

/* (waits) Adds the numbers of the view (not uids) that match. A message that cannot be read any
 * more does not match. watch may be null. */
int search_run(struct mailbox *b, const struct search_key *key, struct search_watch *watch,
               struct uidset *numbers, struct why *why);
/* UTF-8 from text in charset; false: not known (BADCHARSET) or not valid in it. */
bool search_charset(struct str charset, struct str text, struct buf *utf8);

#endif
