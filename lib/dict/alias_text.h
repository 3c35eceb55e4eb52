/* alias_text.h - entries and elements of alias files, in tokens of RFC 5322 */
#ifndef DICT_ALIAS_TEXT_H
#define DICT_ALIAS_TEXT_H

#include "base/why.h"

/* Splits a line "name: value, value". The key is returned without quotes, because it is compared
 * with addresses; the value keeps its quotes, without superfluous blanks. -1: why. */
int alias_entry(struct str line, struct buf *key, struct buf *value, struct why *why);

/*
 * Cuts the next element off a list separated by commas, such as the value of an alias or a line of
 * a .forward or :include: file. Comments and quotes are removed. False: no more.
 */
bool alias_item(struct str *rest, struct buf *item);
/* What begins with the first of these operators (each is one of |(),.:;<>@]%!) that stands outside
 * of quotes, comments and literals; empty: there is none. */
struct str alias_find(struct str text, const char *operators);

#endif
