/* Messages: in pieces the same as at once, spans inside the message, BODY from BODYSTRUCTURE. */
#include <assert.h>

#include "base/str.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new(NULL);
    struct str s = {(const char *)data, size};
    struct buf a = BUF(64 << 20), b = BUF(64 << 20), body = BUF(64 << 20);
    struct mime_builder *pieces = mime_builder_new(mem, NULL);
    const struct mime_part *whole = mime_tree_parse(mem, NULL, s);

    for (size_t i = 0, n; i < size; i += n) {
        n = data[i] % 13 + 1u;
        mime_builder_put(pieces, str_part(s, i, n));
    }
    imap_text_structure(whole, &a);
    imap_text_structure(mime_builder_end(pieces), &b);
    assert(str_eq(buf_str(&a), buf_str(&b)));
    assert(imap_text_body(buf_str(&a), &body));
    imap_text_envelope(whole, &a);
    assert(whole->header.size + whole->body.size == size);
    buf_free(&a);
    buf_free(&b);
    buf_free(&body);
    arena_free(&mem);
    return 0;
}
