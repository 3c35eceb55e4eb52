/*
 * A hand-over message: what is accepted is the same after another round.
 */
#include <assert.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "login/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attrs in = ATTRS(HANDOVER_MAX), out = ATTRS(2 * HANDOVER_MAX);
    struct arena *mem = arena_new(NULL);
    struct handover h, again;

    if (attrs_scan((struct str){(const char *)data, size}, &in) > 0) {
        if (handover_get(&in, &h, mem)) {
            handover_put(&out, &h);
            assert(handover_get(&out, &again, mem));
            assert(str_eq(h.pending, again.pending) && strcmp(h.tag, again.tag) == 0);
            assert(h.pending.n <= HANDOVER_PENDING_MAX && h.tls == again.tls);
            assert(strcmp(h.user, again.user) == 0 && strcmp(h.ticket, again.ticket) == 0);
        }
    }
    attrs_free(&in);
    attrs_free(&out);
    arena_free(&mem);
    return 0;
}
