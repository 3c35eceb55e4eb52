/* Sequence sets: what parses prints in a form that parses to the same. */
#include <assert.h>

#include "base/str.h"
#include "store/uidset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uidset a = UIDSET, b = UIDSET;
    struct buf one = BUF(1 << 20), two = BUF(1 << 20);

    if (uidset_parse((struct str){(const char *)data, size}, 77, 1000, &a) && a.n > 0) {
        uidset_format(&a, &one);
        assert(uidset_parse(buf_str(&one), 1, 1000, &b));
        uidset_format(&b, &two);
        assert(str_eq(buf_str(&one), buf_str(&two)));
    }
    uidset_free(&a);
    uidset_free(&b);
    buf_free(&one);
    buf_free(&two);
    return 0;
}
