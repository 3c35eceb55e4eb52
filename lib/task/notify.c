#include "task/notify.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static_assert(NOTIFY_WRITTEN == IN_MODIFY && NOTIFY_MOVED_FROM == IN_MOVED_FROM &&
                  NOTIFY_MOVED_TO == IN_MOVED_TO && NOTIFY_CREATED == IN_CREATE &&
                  NOTIFY_DELETED == IN_DELETE,
              "the kernel's numbers");

enum { ROOM = 8192 }; /* at least one event with a name of 255 bytes */

struct notify {
    int fd;
    size_t at, n; /* events read and not told yet */
    char *events; /* null when there are none: a waiting session holds no buffer */
};

struct notify *notify_new(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct notify *n;

    if (fd < 0)
        return NULL;
    n = mem_new(sizeof *n);
    n->fd = fd;
    return n;
}

void notify_free(struct notify **n)
{
    if (*n == NULL)
        return;
    task_close((*n)->fd);
    free((*n)->events);
    free(*n);
    *n = NULL;
}

int notify_add(struct notify *n, const char *path, unsigned mask)
{
    return inotify_add_watch(n->fd, path, mask);
}

void notify_drop(struct notify *n, int watch)
{
    inotify_rm_watch(n->fd, watch);
}

int notify_fd(const struct notify *n)
{
    return n->fd;
}

/* False: nothing there. */
static bool notify_fill(struct notify *n)
{
    ssize_t got;

    if (n->events == NULL)
        n->events = mem_new(ROOM);
    got = read(n->fd, n->events, ROOM);
    n->at = 0;
    n->n = got > 0 ? (size_t)got : 0;
    if (n->n > 0)
        return true;
    free(n->events);
    n->events = NULL;
    return false;
}

static bool same(const struct notify_event *a, const struct notify_event *b)
{
    return a->watch == b->watch && str_eq(a->name, b->name);
}

static struct notify_event notify_take(struct notify *n)
{
    struct inotify_event e;
    struct notify_event out = {0};

    memcpy(&e, n->events + n->at, sizeof e);
    out.watch = e.mask & IN_Q_OVERFLOW ? NOTIFY_LOST : e.wd;
    out.mask = e.mask;
    if (e.len > 0)
        out.name = (struct str){n->events + n->at + sizeof e,
                                strnlen(n->events + n->at + sizeof e, e.len)};
    n->at += sizeof e + e.len;
    return out;
}

bool notify_next(struct notify *n, struct notify_event *event)
{
    if (n->at >= n->n && !notify_fill(n))
        return false;
    *event = notify_take(n);
    while (n->at < n->n) { /* neighbours of the same name are one */
        size_t before = n->at;
        struct notify_event next = notify_take(n);
        if (!same(event, &next)) {
            n->at = before;
            break;
        }
        event->mask |= next.mask;
    }
    return true;
}

enum wait notify_wait(struct notify *n, struct notify_event *event, int64_t deadline)
{
    while (!notify_next(n, event)) {
        enum wait w = task_wait_either(n->fd, POLLIN, deadline);
        if (w != WAIT_READY)
            return w;
    }
    return WAIT_READY;
}
