/* heap.h - a priority queue whose members can be moved and removed: timers, retry times */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what is ordered. Initialize it to {0}. */
struct heap_node {
    int64_t key;
    size_t place; /* 0: not in a heap */
};

struct heap {
    struct heap_node **at; /* 1-based */
    size_t n, room;
};

void heap_put(struct heap *h, struct heap_node *node,
              int64_t key); /* inserts, or moves to its new key */
void heap_drop(struct heap *h, struct heap_node *node); /* does nothing if it is not in a heap */
struct heap_node *heap_first(const struct heap *h); /* smallest key, or null */
void heap_free(struct heap *h); /* frees its own memory, not the nodes */

#define HEAP_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
