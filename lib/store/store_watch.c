/*
 * One inotify per store: a user has few instances of it, and thousands of virtual users may share
 * one uid. It is read in the loop, since every idle session would pay for a task. Without inotify,
 * a task wakes everybody every 30 seconds.
 */
#include "store/store_watch.h"

#include <poll.h>
#include <stdlib.h>

#include "base/str.h"
#include "store/view.h"
#include "task/notify.h"

enum {
    POLL_MS = 30000,
    NEWS = NOTIFY_CREATED | NOTIFY_MOVED_TO | NOTIFY_MOVED_FROM | NOTIFY_DELETED,
};

struct store_watch {
    struct store *store; /* null: the store is closed, the task ends */
    struct notify *notify; /* null: none to be had */
    struct task *task; /* without notify */
    size_t folders;
};

static void wake_folder(struct folder *f)
{
    LIST_EACH (&f->views, l) {
        struct mailbox *b = LIST_OF(l, struct mailbox, link);
        if (b->watcher != NULL)
            task_wake(b->watcher);
    }
}

static void wake_all(struct store *s)
{
    LIST_EACH (&s->folders, l)
        wake_folder(LIST_OF(l, struct folder, link));
}

static void wake_for(struct store *s, const struct notify_event *e)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        /* In the folder itself, only the journal is news. */
        if (e->watch == f->on->watch_new || e->watch == f->on->watch_cur ||
            (e->watch == f->on->watch_dir && str_eqz(e->name, "pombal.journal")))
            wake_folder(f);
    }
}

static void happened(void *arg, int fd, short events)
{
    struct store_watch *w = arg;

    (void)fd;
    (void)events;
    for (struct notify_event e; notify_next(w->notify, &e);) {
        if (e.watch == NOTIFY_LOST)
            wake_all(w->store);
        else
            wake_for(w->store, &e);
    }
}

static void look_often(void *arg)
{
    struct store_watch *w = arg;

    while (w->store != NULL && task_sleep(task_now() + POLL_MS) != WAIT_CANCELLED)
        if (w->store != NULL)
            wake_all(w->store);
    if (w->store != NULL)
        w->store->watch = NULL;
    free(w);
}

static struct store_watch *new_watch(struct store *s)
{
    struct store_watch *w = mem_new(sizeof *w);

    w->store = s;
    w->notify = notify_new();
    if (w->notify != NULL)
        task_watch(notify_fd(w->notify), POLLIN, happened, w);
    else
        w->task = task_start("mailbox-watch", look_often, w);
    return w;
}

static int store_watch_add(struct store_watch *w, const struct folder *f, const char *below,
                           unsigned mask)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);
    int id;

    if (w->notify == NULL)
        return -1;
    buf_addf(&path, "%s/%s%s", f->store->path, f->dir, below);
    id = notify_add(w->notify, path.p, mask);
    buf_free(&path);
    return id;
}

void store_watch_folder(struct folder *f)
{
    struct store_watch *w = f->store->watch;

    if (f->watched)
        return;
    f->watched = true;
    if (w == NULL)
        w = f->store->watch = new_watch(f->store);
    w->folders++;
    if (f->on->watchers++ > 0)
        return;
    f->on->watch_dir = store_watch_add(w, f, "", NOTIFY_WRITTEN | NOTIFY_MOVED_TO);
    f->on->watch_new = store_watch_add(w, f, "/new", NEWS);
    f->on->watch_cur = store_watch_add(w, f, "/cur", NEWS);
}

static void end_watches(struct store_watch *w, struct folder_dir *d)
{
    if (w->notify != NULL && d->watch_dir >= 0) {
        notify_drop(w->notify, d->watch_dir);
        notify_drop(w->notify, d->watch_new);
        notify_drop(w->notify, d->watch_cur);
    }
    d->watch_dir = d->watch_new = d->watch_cur = -1;
}

void store_unwatch_folder(struct folder *f)
{
    struct store_watch *w = f->store->watch;

    if (w == NULL || !f->watched)
        return;
    f->watched = false;
    if (--f->on->watchers == 0)
        end_watches(w, f->on);
    if (w->folders > 0 && --w->folders == 0)
        store_watch_stop(f->store);
}

void store_watch_stop(struct store *s)
{
    struct store_watch *w = s->watch;

    if (w == NULL)
        return;
    s->watch = NULL;
    w->store = NULL;
    if (w->task != NULL) {
        task_cancel(w->task);
    } else {
        notify_free(&w->notify);
        free(w);
    }
}

void mailbox_watch(struct mailbox *b, struct task *who)
{
    bool any = false;

    if (b->watcher == who)
        return;
    b->watcher = who;
    if (list_empty(&b->link))
        return;
    LIST_EACH (&b->f->views, l)
        any = any || LIST_OF(l, struct mailbox, link)->watcher != NULL;
    if (any)
        store_watch_folder(b->f);
    else
        store_unwatch_folder(b->f);
}
