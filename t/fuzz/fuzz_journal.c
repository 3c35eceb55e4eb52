/* The journal: any bytes behind a good head; then records of ours, replayed and compared with a
 * plain array. */
#include <assert.h>
#include <stdlib.h>

#include "base/str.h"
#include "store/folder_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N = 64 };

static void replay(struct state *s, const struct journal_head *h, struct str bytes)
{
    const struct journal_rec *rec;
    struct str payload;

    for (off_t at = 64; (rec = journal_parse(h, bytes, at, &payload)) != NULL;) {
        if (!state_apply(s, rec, payload, NULL))
            break;
        at += (off_t)rec->size;
        bytes = str_from(bytes, rec->size);
    }
}

/* Each three bytes are one change; model[uid] is flags + 1, or 0: not there. */
static void against_model(const uint8_t *data, size_t size, const struct journal_head *h)
{
    struct state s, again;
    struct buf all = BUF(1 << 20), payload = BUF(1 << 12), check = BUF(1 << 20);
    uint32_t model[N] = {0}, uidnext = 1;

    state_init(&s);
    state_init(&again);
    for (size_t i = 0; i + 3 <= size && i < 3 * N; i += 3) {
        struct uid_range r = {data[i + 1] % N, data[i + 1] % N + data[i + 2] % 8u};
        enum journal_type type = data[i] % 3 == 0 ? J_ADD : data[i] % 3 == 1 ? J_FLAGS : J_EXPUNGE;
        buf_clear(&payload);
        if (type == J_ADD && uidnext < N) {
            struct journal_add head = {.count = 1};
            struct slot slot = {.m = {.uid = uidnext, .flags = data[i + 2] & MSG_FLAGS}};
            buf_add(&payload, (struct str){(const char *)&head, sizeof head});
            state_entry(&slot, STR("1.a.b"), &payload);
            model[uidnext++] = slot.m.flags + 1;
        } else if (type == J_FLAGS) {
            struct journal_flags head = {
                .op = data[i] / 3 % 3u, .flags = data[i + 2] & MSG_FLAGS, .ranges = 1};
            buf_add(&payload, (struct str){(const char *)&head, sizeof head});
            buf_add(&payload, (struct str){(const char *)&r, sizeof r});
            for (uint32_t u = r.low; u <= r.high && u < N; u++)
                if (model[u] != 0)
                    model[u] = 1 + (head.op == FLAGS_SET   ? head.flags
                                    : head.op == FLAGS_ADD ? (model[u] - 1) | head.flags
                                                           : (model[u] - 1) & ~head.flags);
        } else {
            struct journal_ranges head = {.count = 1};
            type = J_EXPUNGE;
            buf_add(&payload, (struct str){(const char *)&head, sizeof head});
            buf_add(&payload, (struct str){(const char *)&r, sizeof r});
            for (uint32_t u = r.low; u <= r.high && u < N; u++)
                model[u] = 0;
        }
        size_t start = journal_begin(&all, type);
        buf_add(&all, buf_str(&payload));
        journal_end(&all, start, h, 64, i + 2, uidnext);
    }
    replay(&s, h, buf_str(&all));
    assert(s.uidnext == uidnext);
    /* The checkpoint says the same. */
    size_t start = journal_begin(&check, J_CHECK);
    state_check(&s, &check);
    journal_end(&check, start, h, 64, s.modseq, s.uidnext);
    replay(&again, h, buf_str(&check));
    for (uint32_t u = 1; u < N; u++) {
        const struct slot *slot = state_slot(&s, u), *copy = state_slot(&again, u);
        assert((slot != NULL) == (model[u] != 0) && (copy != NULL) == (model[u] != 0));
        assert(slot == NULL ||
               ((slot->m.flags & MSG_FLAGS) == model[u] - 1 && copy->m.flags == slot->m.flags));
    }
    state_free(&s);
    state_free(&again);
    buf_free(&all);
    buf_free(&payload);
    buf_free(&check);
}

/* The payload of one record is the input: its sum is made good. */
static void hostile(const uint8_t *data, size_t size, const struct journal_head *h)
{
    struct state s;
    struct buf all = BUF(1 << 20);

    state_init(&s);
    if (size > 0) {
        size_t start = journal_begin(&all, data[0] % (J_LIST + 2));
        buf_add(&all, (struct str){(const char *)data + 1, size - 1});
        journal_end(&all, start, h, 64, 5, 100);
        replay(&s, h, buf_str(&all));
        buf_clear(&all);
        for (size_t i = 0; i < s.n; i++) {
            struct blob name = state_blob(&s, &s.slots[i]);
            assert(str_find(name.base, '/') < 0);
        }
    }
    state_free(&s);
    buf_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal_head h = {.generation = 12345};
    char *copy = malloc(size + 8); /* aligned */

    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    struct state s;
    state_init(&s);
    replay(&s, &h, (struct str){copy, size});
    state_free(&s);
    hostile(data, size, &h);
    against_model(data, size, &h);
    free(copy);
    return 0;
}
