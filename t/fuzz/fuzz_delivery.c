/* A delivery request: what is decoded and encoded again is decoded to the same. */
#include "queue/delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attrs in = ATTRS(65536), out = ATTRS(1 << 20), again = ATTRS(1 << 20);
    struct arena *mem = arena_new(NULL);
    struct delivery d, d2;

    if (attrs_scan((struct str){(const char *)data, size}, &in) > 0 &&
        delivery_decode(&in, 100, mem, &d, NULL) == 0) {
        delivery_encode(&d, &out);
        if (delivery_decode(&out, 100, mem, &d2, NULL) < 0)
            abort();
        delivery_encode(&d2, &again);
        if (again.wire.n != out.wire.n || memcmp(again.wire.p, out.wire.p, out.wire.n) != 0)
            abort();
    }
    attrs_free(&in);
    attrs_free(&out);
    attrs_free(&again);
    arena_free(&mem);
    return 0;
}
