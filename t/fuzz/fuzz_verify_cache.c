/* The file of verify: what was taken from lines that nobody has checked is written so that it is
 * read again as the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "queue/verify_cache.h"

static void take_all(struct verify_cache *c, struct str text)
{
    struct str line;

    while (str_split(&text, '\n', &line))
        verify_cache_take_line(c, line);
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
    int64_t now = INT64_MAX / 2;
    struct verify_limits limits = {.most = 10, .good_expire = now, .bad_expire = 100};
    struct verify_cache *c = verify_cache_new(&limits), *other = verify_cache_new(&limits);
    struct buf text = BUF(1 << 20), again = BUF(1 << 20);

    take_all(c, (struct str){(const char *)p, n});
    while (verify_cache_save(c, now, n % 5 + 1, &text))
        ;
    take_all(other, buf_str(&text));
    verify_cache_save(other, now, 10, &again);
    assert(!buf_ok(&text) || strcmp(text.p, again.p) == 0);
    verify_cache_save(c, 1000, 10, NULL);
    buf_free(&text);
    buf_free(&again);
    verify_cache_free(&c);
    verify_cache_free(&other);
    return 0;
}
