/* What claims to be showq: printing it in both forms. */
#include "queue/listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(1 << 20);
    struct listed m;

    if (listing_parse((struct str){(const char *)data, size}, mem, &m)) {
        listing_print(&m, size & 1, &out);
        listing_print_json(&m, &out);
    }
    buf_free(&out);
    arena_free(&mem);
    return 0;
}
