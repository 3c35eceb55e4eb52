/* vec.h - a growable array of any type. VEC(int) v = {0}; *VEC_ADD(&v) = 3; ... VEC_FREE(&v); */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t n, room;                                                                            \
    }

/* Adds a zeroed element at the end and points to it. Elements move when the array grows: do not
 * keep pointers across a VEC_ADD. */
#define VEC_ADD(v)                                                                                 \
    ((v)->n < (v)->room ? (void)0 : vec_grow((void **)&(v)->at, &(v)->room, sizeof *(v)->at),      \
     memset(&(v)->at[(v)->n], 0, sizeof *(v)->at), &(v)->at[(v)->n++])
#define VEC_FREE(v) (free((v)->at), (v)->at = NULL, (v)->n = (v)->room = 0)
#define VEC_EACH(v, p)                                                                             \
    for (__typeof__((v)->at) p = (v)->at; p != NULL && (size_t)(p - (v)->at) < (v)->n; p++)

static inline void vec_grow(void **at, size_t *room, size_t size)
{
    size_t want = *room < 4 ? 8 : *room * 2;
    *at = mem_resize(*at, want * size);
    *room = want;
}

#endif
