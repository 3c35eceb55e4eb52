/*
 * Sets of numbers as ascending ranges.
 */
#include "store/uidset.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"

void uidset_free(struct uidset *s)
{
    free(s->at);
    *s = UIDSET;
}

void uidset_clear(struct uidset *s)
{
    s->n = 0;
}

/* The first range that ends at number or above. */
static size_t uidset_find(const struct uidset *s, uint32_t number)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->at[mid].high < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void insert(struct uidset *s, size_t i, struct uid_range r)
{
    if (s->n == s->room) {
        s->room = s->room == 0 ? 8 : s->room * 2;
        s->at = mem_resize(s->at, s->room * sizeof *s->at);
    }
    memmove(s->at + i + 1, s->at + i, (s->n - i) * sizeof *s->at);
    s->at[i] = r;
    s->n++;
}

void uidset_add(struct uidset *s, uint32_t low, uint32_t high)
{
    if (low == 0)
        low = 1;
    if (low > high)
        return;
    if (s->n > 0 && low > s->at[s->n - 1].high) { /* the common case: behind all others */
        if (low == s->at[s->n - 1].high + 1)
            s->at[s->n - 1].high = high;
        else
            insert(s, s->n, (struct uid_range){low, high});
        return;
    }
    size_t first = uidset_find(s, low - 1), last = first;
    while (last < s->n && (s->at[last].low <= high || s->at[last].low - 1 == high)) {
        if (s->at[last].low < low)
            low = s->at[last].low;
        if (s->at[last].high > high)
            high = s->at[last].high;
        last++;
    }
    if (first == last) {
        insert(s, first, (struct uid_range){low, high});
        return;
    }
    s->at[first] = (struct uid_range){low, high};
    memmove(s->at + first + 1, s->at + last, (s->n - last) * sizeof *s->at);
    s->n -= last - first - 1;
}

void uidset_drop(struct uidset *s, uint32_t low, uint32_t high)
{
    for (size_t i = uidset_find(s, low); i < s->n && s->at[i].low <= high;) {
        struct uid_range *r = &s->at[i];
        if (r->low < low && r->high > high) {
            struct uid_range rest = {high + 1, r->high};
            r->high = low - 1;
            insert(s, i + 1, rest);
            return;
        }
        if (r->low < low) {
            r->high = low - 1;
            i++;
        } else if (r->high > high) {
            r->low = high + 1;
            return;
        } else {
            memmove(r, r + 1, (s->n - i - 1) * sizeof *r);
            s->n--;
        }
    }
}

void uidset_merge(struct uidset *s, const struct uidset *more)
{
    for (size_t i = 0; i < more->n; i++)
        uidset_add(s, more->at[i].low, more->at[i].high);
}

bool uidset_has(const struct uidset *s, uint32_t number)
{
    size_t i = uidset_find(s, number);
    return i < s->n && s->at[i].low <= number;
}

uint64_t uidset_count(const struct uidset *s)
{
    uint64_t count = 0;

    for (size_t i = 0; i < s->n; i++)
        count += (uint64_t)s->at[i].high - s->at[i].low + 1;
    return count;
}

bool uidset_next(const struct uidset *s, size_t *cursor, uint32_t *number)
{
    if (*cursor < s->n && *number >= s->at[*cursor].high)
        ++*cursor;
    if (*cursor >= s->n)
        return false;
    *number = *number < s->at[*cursor].low ? s->at[*cursor].low : *number + 1;
    return true;
}

static bool parse_number(struct str text, uint32_t star, uint32_t *out)
{
    if (str_eq(text, STR("*"))) {
        *out = star;
        return true;
    }
    return text.n > 0 && text.p[0] != '0' && num_parse_u32(text, 1, UINT32_MAX, out);
}

/* RFC 3501 9: 5:3 is 3:5. */
static bool parse_range(struct str part, uint32_t star, struct uid_range *r)
{
    ptrdiff_t colon = str_find(part, ':');
    uint32_t a, b;

    *r = (struct uid_range){0, 0};
    if (!parse_number(colon < 0 ? part : str_upto(part, (size_t)colon), star, &a))
        return false;
    b = a;
    if (colon >= 0 && !parse_number(str_from(part, (size_t)colon + 1), star, &b))
        return false;
    *r = (struct uid_range){a < b ? a : b, a < b ? b : a};
    return true;
}

static int uidset_by_low(const void *a, const void *b)
{
    const struct uid_range *x = a, *y = b;

    return (x->low > y->low) - (x->low < y->low);
}

/* Adds ranges in any order: sorted first, so that none has to be put between others. */
static void add_all(struct uidset *s, struct uid_range *ranges, size_t n)
{
    qsort(ranges, n, sizeof *ranges, uidset_by_low);
    for (size_t i = 0; i < n; i++)
        uidset_add(s, ranges[i].low, ranges[i].high);
}

bool uidset_parse(struct str text, uint32_t star, size_t limit, struct uidset *out)
{
    VEC(struct uid_range) ranges = {0};
    struct uid_range r;
    struct str part;
    bool good = text.n > 0 && text.p[text.n - 1] != ',';

    while (good && str_split(&text, ',', &part)) {
        good = ranges.n < limit && parse_range(part, star, &r);
        *VEC_ADD(&ranges) = r;
    }
    if (good)
        add_all(out, ranges.at, ranges.n);
    VEC_FREE(&ranges);
    return good;
}

void uidset_format(const struct uidset *s, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        buf_addf(out, "%s%u", i > 0 ? "," : "", s->at[i].low);
        if (s->at[i].high > s->at[i].low)
            buf_addf(out, ":%u", s->at[i].high);
    }
}
