/* Searching any message for any text; in plain text it finds what a plain loop finds. */
#include <assert.h>
#include <stdint.h>

#include "base/str.h"
#include "store/search_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct search_message m;
    struct search_needles needles;
    size_t n = size > 0 ? data[0] % 12u : 0;

    if (size <= n)
        return 0;
    struct search_key key = {.what = SEARCH_TEXT, .text = {(const char *)data + 1, n}};
    struct search_key *folded = search_fold(&key, &needles);
    struct str needle = search_needle(folded);
    struct str rest = {(const char *)data + 1 + n, size - 1 - n};
    search_message_init(&m);
    buf_add(&m.bytes, rest);
    search_in_header(search_header(&m), needle);
    search_in_fields(search_header(&m), folded);
    search_in_body(&m, needle);
    search_message_clear(&m);
    buf_setz(&m.bytes, "A: b\n\n");
    buf_add(&m.bytes, rest);
    if (search_is_ascii(needle))
        assert(search_in_body(&m, needle) == (str_isearch(rest, needle) >= 0));
    search_message_free(&m);
    search_needles_free(&needles);
    return 0;
}
