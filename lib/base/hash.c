#include "base/hash.h"

#include <stdint.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

/* Open addressing, linear probing, deletion by shifting back; at most 3/4 full. */
struct slot {
    char *key; /* null: free */
    size_t n;
    uint64_t code;
    void *value;
};

struct hash {
    struct slot *slots;
    size_t room, count; /* room is a power of two, or 0 */
    uint64_t seed;
};

struct hash *hash_new(void)
{
    struct hash *h = mem_new(sizeof *h);
    random_bytes(&h->seed, sizeof h->seed);
    return h;
}

void hash_free(struct hash **hp, void (*free_value)(void *value))
{
    struct hash *h = *hp;
    if (h == NULL)
        return;
    *hp = NULL;
    for (size_t i = 0; i < h->room; i++) {
        if (h->slots[i].key != NULL && free_value != NULL)
            free_value(h->slots[i].value);
        free(h->slots[i].key);
    }
    free(h->slots);
    free(h);
}

size_t hash_count(const struct hash *h)
{
    return h->count;
}

/* Multiply and fold, eight bytes at a time, from a secret seed. */
static uint64_t code_of(const struct hash *h, struct str key)
{
    uint64_t code = h->seed ^ key.n;

    for (size_t i = 0; i < key.n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, key.p + i, key.n - i < 8 ? key.n - i : 8);
        __uint128_t wide = (__uint128_t)(code ^ word) * (0x9e3779b97f4a7c15u ^ (h->seed << 1));
        code = (uint64_t)wide ^ (uint64_t)(wide >> 64);
    }
    return code;
}

static struct slot *locate(const struct hash *h, struct str key, uint64_t code)
{
    size_t i = code & (h->room - 1);

    while (h->slots[i].key != NULL) {
        struct slot *s = &h->slots[i];
        if (s->code == code && str_eq((struct str){s->key, s->n}, key))
            break;
        i = (i + 1) & (h->room - 1);
    }
    return &h->slots[i];
}

void *hash_find(const struct hash *h, struct str key)
{
    return h->count == 0 ? NULL : locate(h, key, code_of(h, key))->value;
}

static void grow(struct hash *h)
{
    struct hash bigger = *h;

    bigger.room = h->room == 0 ? 16 : h->room * 2;
    bigger.slots = mem_array(bigger.room, sizeof *bigger.slots);
    for (size_t i = 0; i < h->room; i++) {
        struct slot *s = &h->slots[i];
        if (s->key != NULL)
            *locate(&bigger, (struct str){s->key, s->n}, s->code) = *s;
    }
    free(h->slots);
    *h = bigger;
}

void *hash_put(struct hash *h, struct str key, void *value)
{
    uint64_t code = code_of(h, key);

    if (h->count + 1 > h->room / 4 * 3)
        grow(h);
    struct slot *s = locate(h, key, code);
    void *was = s->value;
    if (s->key == NULL) {
        *s = (struct slot){mem_dup(key.p, key.n), key.n, code, NULL};
        h->count++;
    }
    s->value = value;
    return was;
}

void *hash_drop(struct hash *h, struct str key)
{
    if (h->count == 0)
        return NULL;
    struct slot *s = locate(h, key, code_of(h, key));
    if (s->key == NULL)
        return NULL;
    void *value = s->value;
    free(s->key);
    *s = (struct slot){0};
    h->count--;
    size_t gap = (size_t)(s - h->slots), mask = h->room - 1;
    for (size_t i = (gap + 1) & mask; h->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = h->slots[i].code & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) { /* the probe for i passes over the gap */
            h->slots[gap] = h->slots[i];
            h->slots[i] = (struct slot){0};
            gap = i;
        }
    }
    return value;
}

/* An empty slot: no run of entries, which a drop shifts back, passes over it. */
static size_t find_empty(const struct hash *h)
{
    size_t at = 0;

    while (h->slots[at].key != NULL)
        at++;
    return at;
}

/*
 * Backwards from an empty slot, so that what a drop shifts back has been seen already and is not
 * seen again. That slot stays empty and is kept in the cursor beside the number of steps.
 */
bool hash_next(const struct hash *h, size_t *cursor, struct str *key, void **value)
{
    if (h->count == 0)
        return false;
    if (*cursor == 0)
        *cursor = 1 + h->room + find_empty(h);
    size_t steps = (*cursor - 1) / h->room, start = (*cursor - 1) % h->room;
    for (; steps < h->room; steps++) {
        const struct slot *s = &h->slots[(start - steps) & (h->room - 1)];
        if (s->key == NULL)
            continue;
        if (key != NULL)
            *key = (struct str){s->key, s->n};
        if (value != NULL)
            *value = s->value;
        *cursor = 1 + (steps + 1) * h->room + start;
        return true;
    }
    return false;
}
