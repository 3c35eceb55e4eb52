/* What was read, written, and read again must be the same. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/deliver_by.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct deliver_by by, again;
    struct buf out = BUF(100);

    if (deliver_by_parse(text, &by)) {
        deliver_by_format(&by, &out);
        if (!deliver_by_parse(buf_str(&out), &again) || again.s != by.s ||
            again.returns != by.returns || again.traced != by.traced)
            abort();
    }
    deliver_by_parse_time(text, &again);
    buf_free(&out);
    return 0;
}
