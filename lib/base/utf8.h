/* utf8.h - checks, decodes and cuts UTF-8. RFC 3629 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

#include "base/buf.h"

bool utf8_valid(struct str s); /* no overlong forms, no surrogates, at most U+10FFFF */
/* One code point from the start of s: its length in bytes, or 0 if s is empty or not valid there.
 */
size_t utf8_decode(struct str s, uint32_t *code);
void utf8_add(struct buf *out,
              uint32_t code); /* appends; U+FFFD for a number that is not a code point */
struct str utf8_upto(struct str s,
                     size_t n); /* at most n bytes, without cutting a sequence in two */
bool utf8_is_ascii(struct str s);

/*
 * utf8_fold.c. Without the difference between letters of either case: full case folding of Unicode
 * ("SS" and sharp s are the same), of ASCII alone if the text is no UTF-8. It may become longer.
 * Appends to out.
 */
void utf8_fold(struct str s, struct buf *out);
bool utf8_ieq(struct str a, struct str b); /* the same, when folded */

#endif
