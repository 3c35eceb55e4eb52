/* sixteen.h - sixteen bytes that are looked at together */
#ifndef BASE_SIXTEEN_H
#define BASE_SIXTEEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The compiler makes vector instructions of it, if the processor has them. A comparison gives 255
 * in each byte for which it holds. */
typedef unsigned char sixteen __attribute__((vector_size(16)));

static inline sixteen sixteen_load(const char *p) /* p need not be aligned */
{
    sixteen v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline bool sixteen_any(sixteen v) /* is one of them not 0? */
{
    uint64_t half[2];

    memcpy(half, &v, sizeof half);
    return (half[0] | half[1]) != 0;
}

#endif
