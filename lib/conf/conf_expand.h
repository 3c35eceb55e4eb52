/* conf_expand.h - $name, ${name?{then}:{else}} and comparisons in parameter values */
#ifndef CONF_CONF_EXPAND_H
#define CONF_CONF_EXPAND_H

#include "base/why.h"

/*
 * The grammar of postconf(5):
 *   $name ${name} $(name)          the value, or nothing
 *   ${name?then} ${name?{then}}    then, if the value as written is not empty
 *   ${name:else} ${name:{else}}    else, if it is empty
 *   ${name?{then}:{else}}
 *   ${{a} == {b} ? {then} : {else}}  also != < <= > >=: as numbers if both are digits, else as
 *                                  bytes; ==level and so on compare "3.6" part by part. Without
 *                                  then and else: "true" or nothing
 *   $$                             one $
 * Text in braces may hold balanced braces; then, else, a and b are expanded themselves.
 */
enum { EXPAND_RECURSE = 1 }; /* the values that find returns are expanded, too */

/* The value of name as written, or null if there is none. Called each time the name is used. */
typedef const char *conf_find_fn(struct str name, void *arg);

/* Appends to out. -1: the text is malformed, refers to itself, or passes out's ceiling. */
int conf_expand_text(struct str text, unsigned flags, conf_find_fn *find, void *arg,
                     struct buf *out, struct why *why);

#endif
