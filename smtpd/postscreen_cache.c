/*
 * The clients that have passed tests, in memory and in a file. A place in the file is one line of a
 * fixed length, "192.0.2.1 until;until;until;until;until" and blanks, so that a change is one write
 * and nothing has to be sorted or locked: only one process has the cache at a time (it is locked),
 * and a line that a power cut has spoilt costs its client a test. The file is opened before the
 * jail, in which there is no directory to write in.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/random.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "ipc/trust.h"
#include "service/service.h"
#include "task/task.h"

#include "postscreen.h"
#include "postscreen_line.h"

struct client {
    size_t place;
    char *address;
    struct screen_stamps stamps;
};

static struct {
    int fd; /* -1: nobody is remembered */
    struct hash *clients; /* by address */
    VEC(struct client *) places; /* null: free */
    VEC(size_t) free;
} cache = {.fd = -1};

/* ---- places ---- */

static void write_place(size_t place, struct str line)
{
    if (pwrite(cache.fd, line.p, line.n, (off_t)(place * LINE_SIZE)) != (ssize_t)line.n)
        msg_warn("%s: cannot write: %m", conf.postscreen_cache_map);
}

static void write_client(const struct client *c)
{
    char line[LINE_SIZE];

    if (screen_line_format(strz(c->address), &c->stamps, line))
        write_place(c->place, (struct str){line, sizeof line});
}

static void drop_client(struct client *c)
{
    char line[LINE_SIZE];

    screen_line_empty(line);
    write_place(c->place, (struct str){line, sizeof line});
    hash_drop(cache.clients, strz(c->address));
    cache.places.at[c->place] = NULL;
    *VEC_ADD(&cache.free) = c->place;
    free(c->address);
    free(c);
}

/* Which place is free: one is made, or another client's taken away. */
static size_t find_place(void)
{
    if (cache.free.n == 0 && (int64_t)cache.places.n >= conf.postscreen_cache_limit) {
        size_t any = (size_t)random_below((uint32_t)cache.places.n);
        drop_client(cache.places.at[any]);
    }
    if (cache.free.n > 0)
        return cache.free.at[--cache.free.n];
    *VEC_ADD(&cache.places) = NULL;
    return cache.places.n - 1;
}

static struct client *add_client(struct str address, size_t place)
{
    struct client *c = mem_new(sizeof *c);

    c->address = mem_dup(address.p, address.n);
    c->place = place;
    cache.places.at[place] = c;
    hash_put(cache.clients, address, c);
    return c;
}

bool screen_cache_find(const char *address, struct screen_stamps *out)
{
    const struct client *c = cache.fd < 0 ? NULL : hash_find(cache.clients, strz(address));

    if (c != NULL)
        *out = c->stamps;
    return c != NULL;
}

void screen_cache_put(const char *address, const struct screen_stamps *stamps)
{
    struct client *c;

    if (cache.fd < 0)
        return;
    c = hash_find(cache.clients, strz(address));
    if (c == NULL)
        c = add_client(strz(address), find_place());
    c->stamps = *stamps;
    write_client(c);
}

/* ---- the file ---- */

/* A line that is none is a free place. */
static void read_line(struct str line)
{
    size_t place = cache.places.n;
    struct screen_stamps stamps;
    struct str address;

    *VEC_ADD(&cache.places) = NULL;
    if (!screen_line_parse(line, &address, &stamps) || hash_find(cache.clients, address) != NULL)
        *VEC_ADD(&cache.free) = place;
    else
        add_client(address, place)->stamps = stamps;
}

static void read_file(const char *path)
{
    char line[LINE_SIZE];
    struct stat st;

    if (fstat(cache.fd, &st) < 0)
        msg_fatal("%s: %m", path);
    off_t most = (off_t)conf.postscreen_cache_limit * LINE_SIZE;
    if (st.st_size > most && ftruncate(cache.fd, most) < 0)
        msg_warn("%s: cannot be made shorter: %m", path);
    for (off_t at = 0; at < most && pread(cache.fd, line, sizeof line, at) == LINE_SIZE;
         at += LINE_SIZE)
        read_line((struct str){line, sizeof line});
}

/* What Postfix's postscreen has found out, when there is nothing of ours yet. */
static void take_over(void)
{
    struct buf key = BUF(1000), value = BUF(1000);
    struct screen_stamps stamps;
    struct why why = WHY;
    struct dict *old = dict_open(conf.postscreen_cache_map, DICT_READ, 0, &why);
    size_t n = 0;

    while (old != NULL && dict_next(old, &key, &value, &why) == DICT_FOUND)
        if (buf_ok(&key) && buf_ok(&value) && screen_line_is_address(buf_str(&key)) &&
            screen_stamps_parse(buf_str(&value), &stamps)) {
            screen_cache_put(key.p, &stamps);
            n++;
        }
    if (n > 0)
        msg_info("%s: %zu clients of Postfix's postscreen are known", conf.postscreen_cache_map, n);
    if (old != NULL)
        dict_close(&old);
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
}

/* As the mail owner, whose directory it is: root follows nobody's links. */
static int open_as_owner(const char *path)
{
    bool is_root = geteuid() == 0;

    if (is_root && seteuid(trust_ids()->owner) < 0)
        msg_fatal("become user %s: %m", conf.mail_owner);
    int fd = file_open_plain(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    int error = errno;
    if (is_root && seteuid(0) < 0)
        msg_fatal("become root again: %m");
    errno = error;
    return fd;
}

/* Two services with one file would write over each other's clients. The process before this one
 * lets go of it when it is told to. Blocks, before the first client. */
static void lock_file(const char *path)
{
    enum { TRIES = 100, PAUSE_MS = 100 };

    for (int i = 0; lock_try_flock(cache.fd, true) < 0; i++) {
        if (errno != EAGAIN || i == TRIES)
            msg_fatal("%s: %s", path,
                      errno == EAGAIN ? "in use by another service: each needs a "
                                        "postscreen_cache_map of its own"
                                      : strerror(errno));
        task_sleep(task_now() + PAUSE_MS);
    }
}

/* "btree:/path": where the file is. */
static bool find_path(struct buf *path)
{
    struct str spec = strz(conf.postscreen_cache_map);

    if (str_starts(spec, STR("proxy:")))
        spec = str_from(spec, strlen("proxy:"));
    ptrdiff_t colon = str_find(spec, ':');
    spec = str_from(spec, (size_t)(colon + 1));
    buf_add(path, spec);
    buf_addz(path, ".clients");
    return colon > 0 && spec.n > 1 && spec.p[0] == '/' && buf_ok(path);
}

void screen_open_cache(void)
{
    struct buf path = BUF(4096); /* asked: by find_path */

    if (conf.postscreen_cache_map[0] == 0)
        return;
    if (!find_path(&path)) {
        conf_fault("postscreen_cache_map", "type:/path is wanted, as in btree:$data_directory/x");
    } else if (!service_trying()) {
        cache.clients = hash_new();
        cache.fd = open_as_owner(path.p);
        if (cache.fd < 0)
            msg_fatal("%s: %m", path.p);
        lock_file(path.p);
        read_file(path.p);
        if (cache.places.n == 0)
            take_over();
    }
    buf_free(&path);
}

/* ---- cleaning up ---- */

static bool is_expired(const struct client *c, int64_t now)
{
    int64_t last = 0;

    for (int t = 0; t < SCREEN_TESTS; t++)
        if (c->stamps.until[t] > last)
            last = c->stamps.until[t];
    return now > last + conf.postscreen_cache_retention_time;
}

static void clean_up(void)
{
    enum { AT_ONCE = 500 };
    int64_t now = clock_wall();
    size_t dropped = 0;

    for (size_t i = 0; i < cache.places.n && !task_is_cancelled() && cache.fd >= 0; i++) {
        struct client *c = cache.places.at[i];
        if (c != NULL && is_expired(c, now)) {
            drop_client(c);
            dropped++;
        }
        if (i % AT_ONCE == AT_ONCE - 1)
            task_yield();
    }
    if (cache.fd >= 0)
        msg_info("cache %s full cleanup: retained=%zu dropped=%zu entries",
                 conf.postscreen_cache_map, hash_count(cache.clients), dropped);
}

static void clean_regularly(void *arg)
{
    (void)arg;
    do
        clean_up();
    while (cache.fd >= 0 && task_sleep(task_now() + conf.postscreen_cache_cleanup_interval *
                                                        1000) != WAIT_CANCELLED);
}

void screen_start_cache(void)
{
    if (cache.fd >= 0 && conf.postscreen_cache_cleanup_interval > 0)
        task_start("cleanup", clean_regularly, NULL);
}

void screen_close_cache(void)
{
    if (cache.fd >= 0)
        close(cache.fd);
    cache.fd = -1;
}
