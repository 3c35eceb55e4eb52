/* posix_pattern.h - a POSIX extended regular expression in the words of PCRE2 */
#ifndef DICT_POSIX_PATTERN_H
#define DICT_POSIX_PATTERN_H

#include "base/why.h"

/* Does the pattern refer to what a group has matched ("\1")? The C library then may need time that
 * grows with the power of the text's length, and cannot be stopped. */
bool posix_has_reference(struct str pattern);
/* Appends a PCRE2 pattern that matches the same texts as the C library's regcomp with REG_EXTENDED,
 * its extensions (\w, \<, ...) included. A match starts at the same place, but it may be shorter
 * and its groups others: POSIX wants the longest. 1: so it is in a text of one line, and if it has
 * several, the C library may also take a ^ or $ for the beginning or end of a line, which POSIX
 * does not want. -1: it has a form that cannot be said, and why says which. newline: REG_NEWLINE;
 * any_case: REG_ICASE. */
int posix_to_pcre(struct str pattern, bool newline, bool any_case, struct buf *out,
                  struct why *why);

#endif
