/* A date that was read prints, and reads as the same second. */
#include <stdint.h>

#include "mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf out = BUF(200);
    int64_t wall, again;
    int offset;

    if (date_parse(text, &wall, &offset)) {
        date_format(wall, offset, &out);
        if (wall > -60000000000 &&
            (!date_parse((struct str){out.p, out.n}, &again, NULL) || again != wall))
            abort();
    }
    buf_clear(&out);
    if (date_imap_parse(text, &wall, &offset))
        date_imap_format(wall, offset, &out);
    date_imap_day(text, &wall);
    buf_clear(&out);
    if (date_internet_parse(text, &wall) && wall >= 0 && wall < 253402300800) {
        date_internet_format(wall, &out);
        if (!date_internet_parse(buf_str(&out), &again) || again != wall)
            abort();
    }
    buf_free(&out);
    return 0;
}
