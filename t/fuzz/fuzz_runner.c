/* A request to the command helper, from a process that was broken into. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/runner_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < sizeof(struct runner_ask) ? sizeof(struct runner_ask) : size;
    char *message = mem_new(n);
    struct runner_order o = {.ask = (const struct runner_ask *)(void *)message, .fds = {-1, -1}};
    size_t seen = 0;

    memcpy(message, data, size);
    if (runner_order_parse(&o, message, n)) {
        for (char **a = o.argv; *a != NULL; a++)
            seen += strlen(*a);
        for (char **e = o.env; *e != NULL; e++)
            seen += strlen(*e);
        if (seen + strlen(o.dir) > n)
            abort();
    }
    runner_order_free(&o);
    free(message);
    return 0;
}
