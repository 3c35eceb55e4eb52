/* imap_fetch.h - what FETCH asks for, parsed; and BODY[...], answered. RFC 3501 6.4.5 */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap_parse.h"

struct imap;
struct mime_part;

enum fetch_what {
    FETCH_BODY, /* BODYSTRUCTURE without extension data */
    FETCH_BODYSTRUCTURE,
    FETCH_ENVELOPE,
    FETCH_FLAGS,
    FETCH_INTERNALDATE,
    FETCH_SIZE,
    FETCH_UID,
    FETCH_SECTION, /* BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER, RFC822.TEXT */
};

enum section_text {
    SECTION_ALL,
    SECTION_HEADER,
    SECTION_FIELDS,
    SECTION_FIELDS_NOT,
    SECTION_TEXT,
    SECTION_MIME
};

enum { SECTION_DEPTH = 100, SECTION_FIELDS_MAX = 200, FETCH_ITEMS_MAX = 200 };

struct fetch_item {
    enum fetch_what what;
    struct fetch_item *next;
    /* FETCH_SECTION: */
    const char *name; /* "RFC822.TEXT", or null: BODY[...] */
    uint32_t *path; /* part numbers */
    size_t depth;
    enum section_text text;
    struct str *fields; /* of HEADER.FIELDS */
    size_t nfields;
    bool peek;
    bool partial;
    uint32_t offset, length;
};

struct fetch_items {
    struct fetch_item *first;
    bool flags, uid; /* asked for */
    bool sets_seen;
};

/* "ALL", "UID" or "(FLAGS BODY[1.2]<0.100>)". False: not understood. Lives in the arena of a. */
bool fetch_parse(struct imap_args *a, struct fetch_items *out);

/* One message while its items are answered. */
struct fetching {
    uint32_t number;
    const struct mime_part *tree; /* its parts, in c->mem; null: no item has needed them yet */
    struct why *why; /* why an item could not be had */
    int64_t turn; /* clock_ms when other tasks had theirs */
};

/* (waits) Lets others run if this task has been busy for long. Once a message, item or piece. */
void fetch_breathe(struct fetching *m);

/* (waits) The value of a section with its name. False: the message cannot be read; nothing was
 * sent. */
bool fetch_put_section(struct imap *c, struct fetching *m, const struct fetch_item *item);

#endif
