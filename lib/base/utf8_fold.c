#include <stdlib.h>
#include <unicase.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

static void fold_ascii(struct str s, struct buf *out)
{
    size_t before = out->n;

    buf_add(out, s);
    if (out->n > before)
        str_lower(out->p + before, out->n - before);
}

void utf8_fold(struct str s, struct buf *out)
{
    size_t n = 0;

    if (utf8_is_ascii(s) || !utf8_valid(s)) {
        fold_ascii(s, out);
        return;
    }
    uint8_t *folded = u8_casefold((const uint8_t *)s.p, s.n, NULL, NULL, NULL, &n);
    if (folded != NULL)
        buf_add(out, (struct str){(const char *)folded, n});
    else
        fold_ascii(s, out);
    free(folded);
}

bool utf8_ieq(struct str a, struct str b)
{
    if (str_ieq(a, b))
        return true;
    if (utf8_is_ascii(a) && utf8_is_ascii(b))
        return false;
    /* fits: folding makes three characters of one at most */
    struct buf one = BUF(a.n * 9 + 1), two = BUF(b.n * 9 + 1);
    utf8_fold(a, &one);
    utf8_fold(b, &two);
    bool same = str_eq(buf_str(&one), buf_str(&two));
    buf_free(&one);
    buf_free(&two);
    return same;
}
