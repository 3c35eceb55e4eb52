/* An attribute list from a hostile sender: whatever comes, what is read back was in it. */
#include <stdint.h>

#include "base/str.h"
#include "ipc/attrs.h"
#include "ipc/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attrs a = ATTRS(4096);
    struct why why = WHY;
    const char *name;
    size_t cursor = 0;
    ptrdiff_t used = attrs_scan((struct str){(const char *)data, size}, &a);

    if (used > (ptrdiff_t)size)
        abort();
    while (used > 0 && attrs_next(&a, &name, &cursor) != NULL)
        if (attrs_opt(&a, name, NULL) == NULL)
            abort();
    attrs_getn(&a, A_SIZE, 0, 100);
    attrs_get_why(&a, &why);
    why_free(&why);
    attrs_free(&a);
    return 0;
}
