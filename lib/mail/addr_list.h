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
    struct str spec; /* local@domain in the text, to be replaced in place; empty for "<>" */
    const char *begin; /* of the whole mailbox in the text, its name included */
    bool comma_missing; /* only blanks separate it from the one before */
};
struct addr_list {
    struct addr *at;
    size_t n;
    bool cut; /* the text has more than limit tokens; the rest has not been read */
};

/*
 * Never fails: text that is not an address is skipped, or read as it was probably meant (missing
 * commas, blanks around dots: RFC 5322 4.4). As in Postfix, "a@x b@y" and "a b" are two mailboxes
 * each: a word belongs to a name only if a "<" follows. At most limit tokens are read
 * (header_address_token_limit).
 */
void addr_list_parse(struct arena *mem, struct str text, size_t limit, struct addr_list *out);
/* What stands between two commas of an alias or .forward, all of it. As in Postfix a colon begins a
 * group only if a ";" ends that, else it joins what stands beside it, as in ":include:/file". ends:
 * behind text a ";" follows before the next colon. */
void addr_list_parse_entry(struct arena *mem, struct str text, bool ends, struct addr_list *out);

void addr_internal(const struct addr *a,
                   struct buf *out); /* appends the internal form, see path.h */
void addr_print(const struct addr *a, struct buf *out); /* appends Name <local@domain> */
void addr_list_print(const struct addr_list *list,
                     struct buf *out); /* appends all, with ", " between */
/* Appends a display name as a phrase: atoms, or a quoted string. */
void addr_print_phrase(struct str name, struct buf *out);

#endif
