/* Printing what was read gives something that reads and prints the same. */
#include <stdint.h>

#include "base/str.h"
#include "mail/addr_list.h"

static void print(struct str text, bool entry, struct buf *out)
{
    struct arena *mem = arena_new(NULL);
    struct addr_list list;

    if (entry)
        addr_list_parse_entry(mem, text, false, &list);
    else
        addr_list_parse(mem, text, 1000, &list);
    for (size_t i = 0; i < list.n; i++)
        if (list.at[i].spec.n > 0 &&
            (list.at[i].spec.p < text.p || list.at[i].spec.p + list.at[i].spec.n > text.p + text.n))
            abort();
    addr_list_print(&list, out);
    arena_free(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf one = BUF(1u << 22);

    print((struct str){(const char *)data, size}, false, &one);
    print((struct str){(const char *)data, size}, true, &one);
    buf_free(&one);
    return 0;
}
