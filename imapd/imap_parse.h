/* imap_parse.h - the words of an IMAP command: atoms, strings, literals, lists. RFC 3501 9 */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include <stdint.h>

#include "base/arena.h"

/*
 * A command as text, its literals in place ("{5}" CR LF and the five bytes). Nothing here waits or
 * allocates outside of the arena. Each function takes exactly the item that it names from the start
 * of rest. False: rest does not begin with such an item, and is not changed.
 */
struct imap_args {
    struct str rest;
    struct arena *mem; /* for unquoted strings */
};

bool imap_take(struct imap_args *a, char c);
bool imap_take_space(struct imap_args *a); /* one; more are forgiven, as clients send them */
bool imap_take_word(struct imap_args *a, const char *word); /* without case, whole */
bool imap_take_atom(struct imap_args *a, struct str *out); /* ATOM-CHAR */
bool imap_take_astring(struct imap_args *a, struct str *out); /* atom with "]", or string */
bool imap_take_string(struct imap_args *a, struct str *out); /* quoted or literal */
bool imap_take_nstring(struct imap_args *a, struct str *out); /* or NIL: p null */
bool imap_take_list_mailbox(struct imap_args *a, struct str *out); /* with % and * */
bool imap_take_number(struct imap_args *a, uint32_t *out);
bool imap_take_number64(struct imap_args *a, uint64_t *out); /* up to 2^63 - 1: RFC 9051 9 */
bool imap_take_set(struct imap_args *a, struct str *out); /* the text of a sequence set */
bool imap_take_flag(struct imap_args *a, struct str *out); /* "\Seen" or a keyword */
bool imap_is_end(const struct imap_args *a); /* but for blanks, which clients leave there */
/*
 * Behind the "(" of a list, n items having been read: does another item follow? It takes the blank
 * that parts them, and the blanks that some clients write behind "(" and before ")". At the end of
 * the list it returns false and leaves ")", which the caller takes.
 */
bool imap_list_more(struct imap_args *a, size_t n);

/* "{123}" or "{123+}" (RFC 7888) at the end of a line. */
struct imap_literal {
    uint64_t size;
    bool synchronising;
    size_t at; /* where the brace stands in the line */
};
enum imap_literal_kind { LITERAL_NONE, LITERAL_FOUND, LITERAL_MALFORMED };
enum imap_literal_kind imap_literal_at_end(struct str line, struct imap_literal *out);

/* The system flag of this name, in any case; 0: there is none, or it is \Recent, which no client
 * may set. */
uint32_t imap_flag(struct str name);

#endif
