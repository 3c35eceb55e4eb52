/* dovecot-uidlist, courierimapuiddb, dovecot-keywords: numbers ascend, names stay in the folder. */
#include <assert.h>

#include "base/str.h"
#include "store/takeover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct state *s)
{
    for (size_t i = 0; i < s->n; i++) {
        assert(s->slots[i].m.uid < s->uidnext);
        assert(i == 0 || s->slots[i].m.uid > s->slots[i - 1].m.uid);
        assert(str_find(state_name(s, &s->slots[i]), '/') < 0);
    }
    state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct state s;

    state_init(&s);
    takeover_dovecot(text, &s);
    check(&s);
    state_init(&s);
    takeover_courier(text, &s);
    check(&s);
    state_init(&s);
    takeover_keywords(text, &s);
    assert(s.keywords.n <= 26);
    state_free(&s);
    return 0;
}
