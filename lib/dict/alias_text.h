/* alias_text.h - the words of an alias file: RFC 5322 tokens, with spaces that mean nothing gone */
#ifndef DICT_ALIAS_TEXT_H
#define DICT_ALIAS_TEXT_H

#include "base/why.h"

/* "name: value, value". The key comes unquoted, because it is compared with addresses; the value in
 * a regular, still quoted form. */
int alias_entry(struct str line, struct buf *key, struct buf *value, struct why *why);

/*
 * The next element of a list such as the value of an alias, a .forward line or an :include: file:
 * what stands between commas (line ends are up to the caller). Comments are dropped; item is
 * without the quotes; quoted tells whether it had any, so that "\name" and the like are known.
 * False: no more.
 */
bool alias_item(struct str *rest, struct buf *item);

#endif
