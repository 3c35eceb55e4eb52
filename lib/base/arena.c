#include "base/arena.h"

#include <stdalign.h>

#include "base/mem.h"
#include "base/msg.h"

enum { FIRST_BLOCK = 1024, LAST_BLOCK = 64 * 1024 };

struct block {
    struct block *next;
    size_t room, used;
    alignas(max_align_t) char bytes[];
};

struct arena {
    struct arena *parent, *child, *next, **link; /* link: what points to us in the parent's list */
    struct block *block; /* the newest first */
    size_t used;
};

struct arena *arena_new(struct arena *parent)
{
    struct arena *a = mem_new(sizeof *a);
    a->parent = parent;
    if (parent != NULL) {
        a->next = parent->child;
        if (a->next != NULL)
            a->next->link = &a->next;
        a->link = &parent->child;
        parent->child = a;
    }
    return a;
}

static void free_blocks(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_free(struct arena **ap)
{
    struct arena *a = *ap;
    if (a == NULL)
        return;
    *ap = NULL;
    for (struct arena *child; (child = a->child) != NULL;)
        arena_free(&child);
    if (a->parent != NULL) {
        *a->link = a->next;
        if (a->next != NULL)
            a->next->link = a->link;
    }
    free_blocks(a->block);
    free(a);
}

void arena_reset(struct arena *a)
{
    for (struct arena *child; (child = a->child) != NULL;)
        arena_free(&child);
    if (a->block != NULL) {
        free_blocks(a->block->next);
        a->block->next = NULL;
        if (a->block->room > LAST_BLOCK) {
            free(a->block);
            a->block = NULL;
        } else {
            a->block->used = 0;
        }
    }
    a->used = 0;
}

void arena_wipe(struct arena *a)
{
    for (struct arena *child = a->child; child != NULL; child = child->next)
        arena_wipe(child);
    for (struct block *b = a->block; b != NULL; b = b->next)
        explicit_bzero(b->bytes, b->used);
    arena_reset(a);
    free_blocks(a->block);
    a->block = NULL;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

static struct block *block_for(struct arena *a, size_t size)
{
    struct block *b = a->block;
    if (b != NULL && b->room - b->used >= size)
        return b;
    size_t room = b == NULL ? FIRST_BLOCK : b->room * 2;
    if (room > LAST_BLOCK)
        room = LAST_BLOCK;
    if (room < size)
        room = size;
    b = mem_resize(NULL, sizeof *b + room);
    *b = (struct block){a->block, room, 0};
    a->block = b;
    return b;
}

static void *arena_take(struct arena *a, size_t size)
{
    if (size > (size_t)1 << 40)
        msg_panic("arena: unlikely size %zu", size);
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct block *b = block_for(a, size);
    void *p = b->bytes + b->used;
    b->used += size;
    a->used += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_take(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        msg_panic("arena: %zu times %zu bytes", count, size);
    return arena_alloc(a, total);
}

char *arena_strz(struct arena *a, struct str s)
{
    char *p = arena_take(a, s.n + 1);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_strz(a, s), s.n};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_take(a, (size_t)(n > 0 ? n : 0) + 1);
    vsnprintf(p, (size_t)(n > 0 ? n : 0) + 1, fmt, again);
    va_end(again);
    return p;
}
