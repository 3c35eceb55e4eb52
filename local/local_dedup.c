#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"

#include "local.h"

enum { TEXT_LIMIT = 1024 * 1024 };

/* Text that is the same in lower case is the same. room: may more be kept? What is too long to be
 * compared counts as new: twice is better than not at all. */
static bool put_new(struct hash *all, const struct buf *text, bool room)
{
    struct buf folded = BUF(3 * TEXT_LIMIT);
    bool seen = false;

    utf8_fold(buf_str(text), &folded);
    if (buf_ok(&folded)) {
        seen = hash_find(all, buf_str(&folded)) != NULL;
        if (!seen && room)
            hash_put(all, buf_str(&folded), all);
    }
    buf_free(&folded);
    return seen;
}

bool local_seen(struct local *l, const char *fmt, ...)
{
    struct buf text = BUF(TEXT_LIMIT);
    size_t limit = (size_t)conf.duplicate_filter_limit;
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    bool seen = buf_ok(&text) && put_new(l->seen, &text, limit == 0 || hash_count(l->seen) < limit);
    buf_free(&text);
    return seen;
}

/* As much memory as the aliases that are met have text, times the depth limit. */
bool local_visited(struct local *l, const struct address *a)
{
    struct buf text = BUF(TEXT_LIMIT);

    buf_addf(&text, "%u %s", a->level, a->address);
    bool seen = buf_ok(&text) && put_new(l->visited, &text, true);
    buf_free(&text);
    return seen;
}
