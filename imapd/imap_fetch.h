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
    uint64_t offset, length;
};

struct fetch_items {
    struct fetch_item *first;
    bool flags, uid; /* asked for */
    bool sets_seen;
};

/* "ALL", "UID" or "(FLAGS BODY[1.2]<0.100>)". False: not understood. Lives in the arena of a. */
bool fetch_parse(struct imap_args *a, struct fetch_items *out);

/*
 * What the connection remembers of the message that it read last, so that a client that fetches a
 * large part piece by piece costs one reading of it, not one for each piece: the message's parts,
 * and where the last piece began. It belongs to the selected folder: fetch_forget before that is
 * closed.
 */
struct fetch_memory {
    struct arena *mem; /* holds the tree; null: nothing is remembered */
    uint32_t uid;
    const struct mime_part *tree;
    uint64_t span_at, span_size; /* of the part whose piece was sent last; size 0: none */
    uint64_t raw, wire; /* offsets in that part where the piece began: in the file, with CRLF */
    bool cr; /* the byte before raw is a CR */
};

/* One message while its items are answered. */
struct fetching {
    uint32_t number, uid;
    bool begun; /* an item has been put */
    struct why *why; /* why an item could not be had */
    int64_t turn; /* clock_ms when other tasks had theirs */
};

/* The blank before an item but the first, and the start of its text. (waits) */
void fetch_label(struct imap *c, struct fetching *m, const char *label);

/* (waits) Lets others run if this task has been busy for long. Once a message, item or piece. */
void fetch_yield(struct fetching *m);

/* (waits) The value of a section with its name. False: the message cannot be read; nothing was
 * sent. */
bool fetch_put_section(struct imap *c, struct fetching *m, const struct fetch_item *item);
/* (waits) Its name with NIL as the value: the message is gone. */
void fetch_put_nil(struct imap *c, struct fetching *m, const struct fetch_item *item);

void fetch_forget(struct imap *c); /* the selected folder is about to be closed */

#endif
