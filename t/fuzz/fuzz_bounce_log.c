/* A bounce log: what was read and written again reads the same. */
#include "base/str.h"
#include "queue/bounce_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new(NULL);
    struct str rest = {(const char *)data, size};
    struct bounce_record r, again;

    while (bounce_record_next(&rest, mem, &r)) {
        struct buf text = BUF(1 << 20), text2 = BUF(1 << 20);
        bounce_record_format(&r, &text);
        struct str copy = buf_str(&text);
        if (!bounce_record_next(&copy, mem, &again))
            abort();
        bounce_record_format(&again, &text2);
        if (strcmp(text.p, text2.p) != 0)
            abort();
        buf_free(&text);
        buf_free(&text2);
    }
    arena_free(&mem);
    return 0;
}
