#include "base/str.h"
#include "conf/conf.h"

#include "local.h"

bool local_seen(struct local *l, const char *fmt, ...)
{
    struct buf text = BUF(65536);
    va_list ap;
    bool seen;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    str_lower(text.p, text.n);
    seen = hash_find(l->seen, buf_str(&text)) != NULL;
    if (!seen && (conf.duplicate_filter_limit == 0 ||
                  hash_count(l->seen) < (size_t)conf.duplicate_filter_limit))
        hash_put(l->seen, buf_str(&text), l);
    buf_free(&text);
    return seen;
}
