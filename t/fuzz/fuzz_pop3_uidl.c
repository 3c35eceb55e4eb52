/*
 * pop3_uidl_format: the first line is a format, the second a file's name. What the check passes can
 * be put, or does not fit; what is put has no blank and no control character unless the name has.
 */
#include <assert.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/pop3_uidl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str guid = {(const char *)data, size}, format = STR("");
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(1000);

    str_split(&guid, '\n', &format);
    struct pop3_uidl m = {UINT32_MAX, (uint32_t)size, guid};
    const char *text = arena_strz(mem, format);
    if (pop3_uidl_check(text) == NULL) {
        bool put = pop3_uidl_put(text, &m, &out);
        assert(!put || out.n <= 1000);
        assert(!put || !is_plain(guid) || is_plain(buf_str(&out)));
        assert(put || guid.n + strlen(text) * 200 > 1000);
    } else {
        pop3_uidl_put(text, &m, &out);
    }
    buf_free(&out);
    arena_free(&mem);
    return 0;
}
