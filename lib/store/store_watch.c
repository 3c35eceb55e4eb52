/*
 * One task and one inotify per store: a user has few instances of inotify, and thousands of virtual
 * users may share one uid. Without inotify, everybody is woken every 30 seconds.
 */
#include "store/store_watch.h"

#include <stdlib.h>

#include "base/str.h"
#include "store/view.h"
#include "task/notify.h"

enum {
    POLL_MS = 30000,
    NEWS = NOTIFY_CREATED | NOTIFY_MOVED_TO | NOTIFY_MOVED_FROM | NOTIFY_DELETED,
};

struct store_watch {
    struct store *store; /* null: the store is closed, end */
    struct notify *notify; /* null: none to be had */
    struct task *task;
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

static void wake_for(struct store *s, const struct notify_event *e)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        bool all = e == NULL || e->watch == NOTIFY_LOST;
        /* In the folder itself, only the journal is news. */
        if (all || e->watch == f->watch_new || e->watch == f->watch_cur ||
            (e->watch == f->watch_dir && str_eqz(e->name, "pombal.journal")))
            wake_folder(f);
    }
}

static void watch(void *arg)
{
    struct store_watch *w = arg;

    while (w->store != NULL) {
        struct notify_event e;
        enum wait result =
            w->notify != NULL ? notify_wait(w->notify, &e, 0) : task_sleep(task_now() + POLL_MS);
        if (result == WAIT_CANCELLED || w->store == NULL)
            break;
        if (result == WAIT_READY || w->notify == NULL)
            wake_for(w->store, w->notify != NULL ? &e : NULL);
    }
    if (w->store != NULL)
        w->store->watch = NULL;
    notify_free(&w->notify);
    free(w);
}

static int add(struct store_watch *w, const struct folder *f, const char *below, unsigned mask)
{
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
    if (w == NULL) {
        w = mem_new(sizeof *w);
        w->store = f->store;
        w->notify = notify_new();
        w->task = task_start("mailbox-watch", watch, w);
        f->store->watch = w;
    }
    w->folders++;
    f->watch_dir = add(w, f, "", NOTIFY_WRITTEN | NOTIFY_MOVED_TO);
    f->watch_new = add(w, f, "/new", NEWS);
    f->watch_cur = add(w, f, "/cur", NEWS);
}

void store_unwatch_folder(struct folder *f)
{
    struct store_watch *w = f->store->watch;

    if (w == NULL || !f->watched)
        return;
    f->watched = false;
    if (w->notify != NULL && f->watch_dir >= 0) {
        notify_drop(w->notify, f->watch_dir);
        notify_drop(w->notify, f->watch_new);
        notify_drop(w->notify, f->watch_cur);
    }
    f->watch_dir = f->watch_new = f->watch_cur = -1;
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
    task_cancel(w->task);
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
