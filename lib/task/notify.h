/* notify.h - changes in directories (inotify) as a wait */
#ifndef TASK_NOTIFY_H
#define TASK_NOTIFY_H

#include "base/buf.h"
#include "task/task.h"

/*
 * One notify holds many watches. Equal events that arrive together are reported once per watch and
 * name, in order. If the kernel's queue has overflowed, watch is NOTIFY_LOST: events are missing,
 * so everything must be looked at again.
 */
struct notify;
enum { NOTIFY_LOST = -1 };
/* The values of sys/inotify.h. */
enum notify_mask {
    NOTIFY_WRITTEN = 0x2,
    NOTIFY_MOVED_FROM = 0x40,
    NOTIFY_MOVED_TO = 0x80,
    NOTIFY_CREATED = 0x100,
    NOTIFY_DELETED = 0x200,
};

struct notify_event {
    int watch; /* as notify_add said, or NOTIFY_LOST */
    unsigned mask; /* of notify_mask */
    struct str name; /* in the watched directory, or empty; valid until the next notify_wait */
};

struct notify *notify_new(void); /* null and errno: the kernel's limits for inotify are reached */
void notify_free(struct notify **n); /* with all watches; null is accepted */
int notify_add(struct notify *n, const char *path, unsigned mask); /* -1 and errno */
void notify_drop(struct notify *n, int watch); /* a number of notify_add */
int notify_fd(const struct notify *n); /* for task_watch: readable when there are events */
/* Takes an event that has already arrived; false if there is none. For callbacks, which cannot
 * wait. */
bool notify_next(struct notify *n, struct notify_event *event);
/* (waits) WAIT_READY and an event; WAIT_WOKEN after task_wake. A deadline that has passed: only
 * what is there. */
enum wait notify_wait(struct notify *n, struct notify_event *event, int64_t deadline_ms);

#endif
