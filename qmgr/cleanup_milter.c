/*
 * Milters: who has a say about a whole message.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "net/stream.h"

#include "cleanup.h"

/* A stream over a socket never blocks, whatever the client does with its own end. */
static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void cleanup_take_milters(struct cleanup *c, struct str state)
{
    bool may = (c->flags & SUBMIT_MILTERS) != 0 && c->has_sender && c->nmilters == 0;
    int fd;

    while ((fd = stream_take_fd(c->from)) >= 0) {
        may = may && c->nmilters < SUBMIT_MILTERS_MOST && is_socket(fd);
        if (may)
            c->milters_fd[c->nmilters++] = fd;
        else
            close(fd);
    }
    if (!may || c->nmilters == 0)
        cleanup_fail(c, "4.3.0", "internal protocol error: connections to milters");
    c->milters_state = arena_str(c->mem, state);
}

void cleanup_drop_milters(struct cleanup *c)
{
    for (size_t i = 0; i < c->nmilters; i++)
        close(c->milters_fd[i]);
    c->nmilters = 0;
}
