#include "base/heap.h"

#include "base/mem.h"

static void set(struct heap *h, size_t i, struct heap_node *node)
{
    h->at[i] = node;
    node->place = i;
}

static void rise(struct heap *h, struct heap_node *node)
{
    size_t i = node->place;

    for (; i > 1 && h->at[i / 2]->key > node->key; i /= 2)
        set(h, i, h->at[i / 2]);
    set(h, i, node);
}

static void sink(struct heap *h, struct heap_node *node)
{
    size_t i = node->place;

    for (size_t child; (child = i * 2) <= h->n; i = child) {
        if (child < h->n && h->at[child + 1]->key < h->at[child]->key)
            child++;
        if (h->at[child]->key >= node->key)
            break;
        set(h, i, h->at[child]);
    }
    set(h, i, node);
}

void heap_put(struct heap *h, struct heap_node *node, int64_t key)
{
    if (node->place == 0) {
        if (h->n + 2 > h->room) {
            h->room = h->room == 0 ? 16 : h->room * 2;
            h->at = mem_resize(h->at, h->room * sizeof *h->at);
        }
        set(h, ++h->n, node);
    }
    node->key = key;
    rise(h, node);
    sink(h, node);
}

void heap_drop(struct heap *h, struct heap_node *node)
{
    if (node->place == 0)
        return;
    struct heap_node *last = h->at[h->n--];
    if (last != node) {
        set(h, node->place, last);
        rise(h, last);
        sink(h, last);
    }
    node->place = 0;
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n == 0 ? NULL : h->at[1];
}

void heap_free(struct heap *h)
{
    free(h->at);
    *h = (struct heap){0};
}
