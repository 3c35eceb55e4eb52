/* addr_list.h - address lists of header fields: mailboxes and groups, read, changed, printed. RFC
 * 5322 3.4 */
#ifndef MAIL_ADDR_LIST_H
#define MAIL_ADDR_LIST_H

#include "base/arena.h"

enum addr_kind {
    ADDR_MAILBOX,
    ADDR_GROUP, /* "Friends:" - name is set */
    ADDR_GROUP_END, /* ";" of an open group */
};

/* Slices live in the arena, except spec. */
struct addr {
    enum addr_kind kind;
    struct str name; /* phrase without quotes, else the comment; RFC 2047 words as they are */
    struct str route; /* "@a,@b" without the colon */
    struct str local; /* without quotes */
    struct str domain; /* "" if there is none */
    struct str spec; /* where local@domain stands in the text, to be replaced in place; n may be 0
                        for "<>" */
    const char *begin; /* of the whole mailbox in the text, its name included */
    bool comma_missing; /* only blanks part it from the one before */
};
struct addr_list {
    struct addr *at;
    size_t n;
    bool cut; /* the text has more than limit tokens: the rest was not read */
};

/*
 * Never fails: what is not an address is passed over or taken as it most probably was meant
 * (missing commas, dots with blanks around them: RFC 5322 4.4). "a@x b@y" and "a b" are two
 * mailboxes each, as Postfix reads them: a word is only part of a name if a "<" follows.
 * limit bounds the tokens (header_address_token_limit).
 */
void addr_list_parse(struct arena *mem, struct str text, size_t limit, struct addr_list *out);

void addr_internal(const struct addr *a, struct buf *out); /* local@domain as path.h's internal */
void addr_print(const struct addr *a, struct buf *out); /* Name <local@domain> */
void addr_list_print(const struct addr_list *list, struct buf *out);
/* A display name as a phrase: atoms, or a quoted string. */
void addr_print_phrase(struct str name, struct buf *out);

#endif
