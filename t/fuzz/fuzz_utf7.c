/* Folder names: what decodes has one form only. */
#include <assert.h>
#include <stdint.h>

#include "base/str.h"
#include "mail/utf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    struct buf utf8 = BUF(1 << 20), utf7 = BUF(1 << 20);

    if (utf7_to_utf8(s, &utf8)) {
        assert(utf7_from_utf8(buf_str(&utf8), &utf7));
        assert(str_eq(buf_str(&utf7), s));
    }
    buf_free(&utf8);
    buf_free(&utf7);
    return 0;
}
