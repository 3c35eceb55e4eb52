/* str.h - functions for borrowed slices: compare, find, split, trim. None allocates */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/buf.h"

struct str strz(const char *s); /* the slice of a C string; null gives the empty slice */

/* The z forms compare with a C string, the i forms without the case of ASCII letters. */
bool str_eq(struct str a, struct str b);
bool str_eqz(struct str a, const char *b);
bool str_ieq(struct str a, struct str b);
bool str_ieqz(struct str a, const char *b);
int str_cmp(struct str a, struct str b); /* by bytes, as memcmp; the shorter one first */
bool str_starts(struct str s, struct str with);
bool str_istarts(struct str s, struct str with);
bool str_ends(struct str s, struct str with);
bool str_iends(struct str s, struct str with);

/* The position of the first (str_rfind: last) one, or -1. The i forms ignore ASCII case. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_rfind(struct str s, char c);
ptrdiff_t str_search(struct str s, struct str part);
ptrdiff_t str_isearch(struct str s, struct str part);

/* Parts of a slice. A position beyond the end counts as the end. */
struct str str_from(struct str s, size_t start);
struct str str_upto(struct str s, size_t end);
struct str str_part(struct str s, size_t start, size_t n);
struct str str_trim(struct str s); /* blanks, tabs, CR and LF at both ends */
struct str str_rtrim(struct str s);

/* Cuts the next field off *rest; false when nothing is left. str_word skips empty fields. */
bool str_split(struct str *rest, char at, struct str *field); /* "a,,b" gives a, "", b */
bool str_word(struct str *rest, const char *separators, struct str *word);
/* Is word one of the words of list, which are separated by commas and white space? For lists in
 * main.cf. */
bool str_listed(const char *list, const char *word);
bool str_has_word(const char *list, struct str word); /* the same for a slice */
bool str_ilisted(const char *list, struct str word); /* ignores the case of ASCII letters */
/*
 * The bits of the words of such a list. names ends with a null name; case is ignored. False:
 * *unknown is the first word that is not in names, and *bits holds those of the words before it.
 */
struct str_flag {
    const char *name;
    unsigned bit;
};
bool str_flags(const char *list, const struct str_flag *names, unsigned *bits, struct str *unknown);
/* As str_word, but a {group} is one word (with its braces); Postfix's list syntax. */
bool str_word_braces(struct str *rest, const char *separators, struct str *word);
/* Changes "{ text }" to "text". False, without a change: it does not begin with a brace whose other
 * half is at the end. */
bool str_unbrace(struct str *s);

void str_lower(char *p, size_t n); /* ASCII, in place */
size_t str_printable(struct str s); /* how many bytes at its begin are 0x20..0x7e */
bool str_is_printable(struct str s); /* 0x20..0x7e only */

#endif
