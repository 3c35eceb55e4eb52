#include "service/runner_wire.h"

#include <unistd.h>

#include "base/mem.h"

static char **take_texts(char **at, const char *end, uint32_t n)
{
    char **texts = mem_array((size_t)n + 1, sizeof *texts);

    for (uint32_t i = 0; i < n; i++) {
        char *zero = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
        if (zero == NULL) {
            free(texts);
            return NULL;
        }
        texts[i] = *at;
        *at = zero + 1;
    }
    return texts;
}

bool runner_order_parse(struct runner_order *o, char *message, size_t n)
{
    const struct runner_ask *ask = o->ask;
    char *texts = message + sizeof *ask;
    const char *end = message + n;
    size_t room = n - sizeof *ask;

    if (ask->nargs == 0 || ask->nargs > room || ask->nenv > room)
        return false;
    o->argv = take_texts(&texts, end, ask->nargs);
    o->env = o->argv != NULL ? take_texts(&texts, end, ask->nenv) : NULL;
    char **dirs = o->env != NULL ? take_texts(&texts, end, 2) : NULL;
    o->dir = dirs != NULL ? dirs[0] : NULL;
    o->root = dirs != NULL ? dirs[1] : NULL;
    free(dirs);
    return o->dir != NULL;
}

void runner_order_free(struct runner_order *o)
{
    free(o->argv);
    free(o->env);
    for (int i = 0; i < 2; i++)
        if (o->fds[i] >= 0)
            close(o->fds[i]);
}
