/* num.h - numbers from text, with bounds; times as in main.cf */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdint.h>

#include "base/buf.h"

/* All return false and leave *out unchanged unless the whole slice is a number within low..high. */
bool num_parse(struct str s, int64_t low, int64_t high, int64_t *out); /* decimal, maybe "-" */
bool num_parse_u32(struct str s, uint32_t low, uint32_t high, uint32_t *out); /* digits only */
bool num_parse_u64(struct str s, uint64_t low, uint64_t high, uint64_t *out); /* digits only */
bool num_parse_hex(struct str s, uint64_t *out); /* 1 to 16 digits */
bool num_parse_octal(struct str s, uint32_t high, uint32_t *out);
/* A number with an optional unit, one of s m h d w: "5d", "30". "1w2d" is not a time, as in
 * Postfix. unit is assumed if there is none; low and high are seconds. */
bool num_parse_time(struct str s, char unit, int64_t low, int64_t high, int64_t *seconds);

#endif
