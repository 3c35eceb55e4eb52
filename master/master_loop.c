/*
 * Poll and call: master has few descriptors and little to do.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"

#include "master.h"

static struct {
    struct list watches;
    struct watch **ready; /* of this turn; null once dropped */
    struct pollfd *fds;
    size_t n, room;
} loop = {.watches = {&loop.watches, &loop.watches}};

void loop_add(struct watch *w)
{
    list_add(&loop.watches, &w->link);
}

void loop_drop(struct watch *w)
{
    if (w->link.next == NULL)
        return;
    list_drop(&w->link);
    for (size_t i = 0; i < loop.n; i++)
        if (loop.ready[i] == w)
            loop.ready[i] = NULL;
}

static void collect(void)
{
    loop.n = 0;
    LIST_EACH (&loop.watches, l) {
        struct watch *w = LIST_OF(l, struct watch, link);
        if (w->events == 0)
            continue;
        if (loop.n == loop.room) {
            loop.room = loop.room < 32 ? 32 : loop.room * 2;
            loop.fds = mem_resize(loop.fds, loop.room * sizeof *loop.fds);
            loop.ready = mem_resize(loop.ready, loop.room * sizeof(struct watch *));
        }
        loop.fds[loop.n] = (struct pollfd){w->fd, w->events, 0};
        loop.ready[loop.n++] = w;
    }
}

void loop_turn(int64_t until)
{
    int64_t left = until - clock_ms();

    collect();
    if (left < 0)
        left = 0;
    int n = poll(loop.fds, loop.n, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n < 0 && errno != EINTR)
        msg_fatal("poll: %m");
    for (size_t i = 0; n > 0 && i < loop.n; i++)
        if (loop.fds[i].revents != 0 && loop.ready[i] != NULL)
            loop.ready[i]->fn(loop.ready[i]);
    loop.n = 0;
}
