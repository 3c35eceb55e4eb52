/* list.h - an intrusive doubly linked list: struct list is a member of what is listed */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l) /* a head, or an unlinked member */
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_add(struct list *head, struct list *l) /* at the end */
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
static inline void list_push(struct list *head, struct list *l) /* at the front */
{
    list_add(head->next, l);
}
static inline void list_drop(struct list *l) /* does nothing if it is not linked */
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

#define LIST_OF(l, type, member) ((type *)(void *)((char *)(l)-offsetof(type, member)))
/* Walks from front to end. The body may drop the current member, but no other. */
#define LIST_EACH(head, l)                                                                         \
    for (struct list *l = (head)->next, *l##_next = l->next; l != (head);                          \
         l = l##_next, l##_next = l->next)

#endif
