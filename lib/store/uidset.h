/* uidset.h - sets of numbers as ranges: uids, sequence numbers. RFC 3501 9 (sequence-set) */
#ifndef STORE_UIDSET_H
#define STORE_UIDSET_H

#include <stdint.h>

#include "base/buf.h"

/* Ranges ascend and do not touch. Numbers are 1 and above. UIDSET is an empty set. */
struct uid_range {
    uint32_t low, high;
};
struct uidset {
    struct uid_range *at;
    size_t n, room;
};
#define UIDSET ((struct uidset){NULL, 0, 0})

void uidset_free(struct uidset *s); /* may be used again */
void uidset_clear(struct uidset *s); /* empty; keeps its memory */
void uidset_add(struct uidset *s, uint32_t low,
                uint32_t high); /* in any order; cheap if ascending */
void uidset_drop(struct uidset *s, uint32_t low,
                 uint32_t high); /* low to high, also if they are not in it */
void uidset_merge(struct uidset *s, const struct uidset *more); /* adds all of more */
bool uidset_has(const struct uidset *s, uint32_t number); /* by bisection */
uint64_t uidset_count(const struct uidset *s); /* of numbers, not of ranges */
/* Walks: *number is the last one seen, 0 at first. */
bool uidset_next(const struct uidset *s, size_t *cursor, uint32_t *number);

/*
 * "1:3,5,*:7". star stands for *, the largest number there is (0: none, then * alone adds
 * nothing). limit bounds the ranges that are named. False: not a set, or too many.
 */
bool uidset_parse(struct str text, uint32_t star, size_t limit, struct uidset *out);
void uidset_format(const struct uidset *s, struct buf *out); /* "" if empty */

#endif
