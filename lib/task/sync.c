/*
 * The sync threads. A thread takes a request, syncs, and puts it on the done list; the first one
 * there wakes the loop through an eventfd. Threads start when requests wait and none is idle, so a
 * process that never syncs has none; they start after the jail and inherit it. They block all
 * signals and touch nothing but their request.
 */
#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/msg.h"
#include "task/annotate.h"
#include "task/loop.h"

struct request {
    struct list list;
    struct task *task;
    int fd;
    bool data_only;
    bool done;
    int error;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list todo, done;
    unsigned threads, idle, queued;
    int event;
} sync_pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .todo = {&sync_pool.todo, &sync_pool.todo},
    .done = {&sync_pool.done, &sync_pool.done},
    .event = -1,
};

static int sync_now(int fd, bool data_only)
{
    int r;

    do
        r = data_only ? fdatasync(fd) : fsync(fd);
    while (r < 0 && errno == EINTR);
    return r < 0 ? errno : 0;
}

static struct request *next_request(void)
{
    sync_pool.idle++;
    while (list_empty(&sync_pool.todo))
        pthread_cond_wait(&sync_pool.work, &sync_pool.lock);
    sync_pool.idle--;
    struct list *first = sync_pool.todo.next;
    list_drop(first);
    sync_pool.queued--;
    return LIST_OF(first, struct request, list);
}

static void *sync_thread(void *unused)
{
    static const uint64_t one = 1;

    pthread_mutex_lock(&sync_pool.lock);
    for (;;) {
        struct request *r = next_request();
        pthread_mutex_unlock(&sync_pool.lock);
        r->error = sync_now(r->fd, r->data_only);
        pthread_mutex_lock(&sync_pool.lock);
        bool first = list_empty(&sync_pool.done);
        list_add(&sync_pool.done, &r->list);
        if (first && write(sync_pool.event, &one, sizeof one) < 0)
            abort(); /* cannot happen: the counter is far from full */
    }
    return unused;
}

static void collect(void *arg, int fd, short events)
{
    uint64_t n;

    (void)arg;
    (void)events;
    if (read(fd, &n, sizeof n) < 0)
        return;
    pthread_mutex_lock(&sync_pool.lock);
    LIST_EACH (&sync_pool.done, l) {
        struct request *r = LIST_OF(l, struct request, list);
        list_drop(l);
        r->done = true;
        task_resume(r->task, WAIT_READY);
    }
    pthread_mutex_unlock(&sync_pool.lock);
}

static void open_event(void)
{
    if (sync_pool.event >= 0)
        return;
    sync_pool.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sync_pool.event < 0)
        msg_fatal("eventfd: %s", strerror(errno));
    task_watch(sync_pool.event, POLLIN, collect, NULL);
}

static bool start_thread(void)
{
    enum { STACK = ANNOTATE_ASAN ? 512 * 1024 : 64 * 1024 };
    pthread_attr_t attr;
    pthread_t id;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&id, &attr, sync_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed == 0;
}

/* False: there is no thread that could do it. */
static bool hand_over(struct request *r)
{
    bool taken = true;

    open_event();
    pthread_mutex_lock(&sync_pool.lock);
    if (sync_pool.queued >= sync_pool.idle && sync_pool.threads < loop.settings.sync_threads) {
        if (start_thread())
            sync_pool.threads++;
        else
            taken = sync_pool.threads > 0;
    }
    if (taken) {
        list_add(&sync_pool.todo, &r->list);
        sync_pool.queued++;
        pthread_cond_signal(&sync_pool.work);
    }
    pthread_mutex_unlock(&sync_pool.lock);
    return taken;
}

static bool costs_nothing(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int sync_file(int fd, bool data_only)
{
    struct task *t = loop.self;
    struct request r = {.task = t, .fd = fd, .data_only = data_only};

    if (t != NULL)
        hostile_wait();
    if (t == NULL || costs_nothing(fd) || !hand_over(&r)) {
        r.error = sync_now(fd, data_only);
    } else {
        t->firm = true;
        while (!r.done)
            task_block(0, false);
        t->firm = false;
    }
    errno = r.error;
    return r.error == 0 ? 0 : -1;
}

int task_fsync(int fd)
{
    return sync_file(fd, false);
}

int task_fdatasync(int fd)
{
    return sync_file(fd, true);
}

void sync_forked(void)
{
    if (sync_pool.event >= 0)
        close(sync_pool.event);
    pthread_mutex_init(&sync_pool.lock, NULL);
    pthread_cond_init(&sync_pool.work, NULL);
    list_init(&sync_pool.todo);
    list_init(&sync_pool.done);
    sync_pool.threads = sync_pool.idle = sync_pool.queued = 0;
    sync_pool.event = -1;
}
