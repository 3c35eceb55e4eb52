/* Names of message files: what is not odd is put together again as it was. */
#include <assert.h>

#include "base/str.h"
#include "store/maildir_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    struct maildir_name n;
    struct buf out = BUF(1000);

    if (!maildir_name_parse(s, &n))
        return 0;
    assert(str_find(s, '/') < 0 && s.p[0] != '.');
    if (!n.odd) {
        maildir_name_format(n.base, n.bare, n.letters, &out);
        assert(str_eq(buf_str(&out), s));
    }
    maildir_name_size(n.base);
    maildir_name_vsize(n.base);
    buf_free(&out);
    return 0;
}
