/*
 * The queue as a stream of attribute lists.
 */
#include "queue/listing.h"

#include <time.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "queue/bounce_log.h"
#include "task/task.h"

enum { RCPTS_AT_A_TIME = 1000, FILES_A_TURN = 16, MODE_EXPIRE = 0010 };

static void pause_in_daemon(void)
{
    if (task_self() != NULL)
        task_yield();
}

static void put(struct buf *out, const char *name, const char *value)
{
    buf_addz(out, name);
    buf_addc(out, 0);
    buf_addz(out, value);
    buf_addc(out, 0);
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    put(out, name, text);
}

/* Why recipients were put off: by address and place in the file, and by address alone. */
struct reasons {
    struct arena *mem;
    struct hash *of_place, *of_address;
    const char *last; /* most have the same one */
};

static void add_first(struct hash *h, struct str key, const char *reason)
{
    if (hash_find(h, key) == NULL)
        hash_put(h, key, (void *)(uintptr_t)reason);
}

/* The place may be missing: 0. */
static void put_place(struct buf *key, off_t at, const char *address)
{
    buf_clear(key);
    buf_addf(key, "%lld %s", (long long)at, address);
}

static void reasons_add(struct reasons *all, const struct bounce_record *r)
{
    struct buf key = BUF(3 * REC_MAX); /* fits: an address that may be quoted, and a number */

    if (all->last == NULL || strcmp(all->last, r->reason) != 0)
        all->last = arena_strz(all->mem, strz(r->reason));
    put_place(&key, r->at, r->recipient);
    add_first(all->of_place, buf_str(&key), all->last);
    add_first(all->of_address, strz(r->recipient), all->last);
    buf_free(&key);
}

/* (waits) in a daemon: the log has a record for each recipient, and there may be many. */
static void reasons_read(struct reasons *all, const char *id)
{
    struct bounce_log log;
    off_t at = 0;

    *all = (struct reasons){arena_new(NULL), hash_new(), hash_new(), NULL};
    do {
        struct arena *part = arena_new(NULL);
        if (bounce_log_next(Q_DEFER, id, &at, RCPTS_AT_A_TIME, part, &log, NULL) < 0)
            log.n = 0;
        for (size_t i = 0; i < log.n; i++)
            reasons_add(all, &log.at[i]);
        arena_free(&part);
        pause_in_daemon();
    } while (log.n > 0);
}

static void reasons_free(struct reasons *all)
{
    hash_free(&all->of_place, NULL);
    hash_free(&all->of_address, NULL);
    arena_free(&all->mem);
}

static const char *reason_of(const struct reasons *all, const struct rcpt *r, const char *address,
                             struct buf *key)
{
    put_place(key, r->at, address);
    const char *reason = hash_find(all->of_place, buf_str(key));
    if (reason == NULL)
        reason = hash_find(all->of_address, strz(address));
    return reason != NULL ? reason : "";
}

static void put_rcpts(const struct envelope *e, const struct reasons *all, struct buf *out)
{
    /* fits: a record, all of it quoted, and a number */
    struct buf address = BUF(2 * REC_MAX + 2), key = BUF(3 * REC_MAX);

    for (size_t i = 0; i < e->d.nrcpts; i++) {
        buf_clear(&address);
        path_quote(strz(e->d.rcpts[i].address), &address);
        put(out, "recipient", address.p);
        put(out, "reason", all->mem == NULL ? "" : reason_of(all, &e->d.rcpts[i], address.p, &key));
    }
    buf_free(&address);
    buf_free(&key);
}

static void put_message(enum queue q, const char *id, const struct envelope *e, bool forced,
                        struct buf *out)
{
    struct buf sender = BUF(2 * REC_MAX + 2); /* fits: a record, all of it quoted */

    path_quote(strz(e->d.sender), &sender);
    put(out, A_QUEUE_NAME, queue_name(q));
    put(out, A_QUEUE_ID, id);
    put_number(out, "time", e->d.arrival_us / 1000000);
    /* As Postfix: before edits; a file of maildrop has no size record. */
    put_number(out, A_SIZE, e->size.size > 0 ? e->size.size : e->d.content_size);
    put(out, "forced_expire", forced ? "1" : "0");
    put(out, A_SENDER, sender.n > 0 ? sender.p : "MAILER-DAEMON");
    buf_free(&sender);
}

static bool emit_file(enum queue q, const char *id, const char *path, listing_fn *emit, void *arg)
{
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(256 << 20);
    struct reasons reasons = {0};
    struct envelope e;
    struct qfile *f = qfile_open_path(path, NULL);
    off_t from = 0;
    bool more = true;

    /* What is not complete, or moves away while we look, is no mail yet or any more. */
    if (f != NULL && (qfile_stat(f)->st_mode & S_IXUSR) != 0) {
        if (q == Q_DEFERRED || q == Q_HOLD)
            reasons_read(&reasons, id);
        do {
            struct arena *part = arena_new(mem);
            if ((q == Q_MAILDROP ? envelope_read_dropped : envelope_read)(f, from, RCPTS_AT_A_TIME,
                                                                          part, &e, NULL) < 0)
                break;
            if (from == 0)
                put_message(q, id, &e, (qfile_stat(f)->st_mode & MODE_EXPIRE) != 0, &out);
            put_rcpts(&e, &reasons, &out);
            arena_free(&part);
            pause_in_daemon();
        } while ((from = e.next) > 0);
        buf_addc(&out, 0);
        if (!buf_ok(&out))
            msg_warn("%s: it has too many recipients to be listed", id);
        else if (out.n > 1)
            more = emit(arg, buf_str(&out));
        if (reasons.mem != NULL)
            reasons_free(&reasons);
    }
    qfile_close(&f);
    buf_free(&out);
    arena_free(&mem);
    return more;
}

static bool walk_queue(enum queue q, listing_fn *emit, void *arg)
{
    struct queue_scan *scan = queue_scan_new(q);
    const char *id;
    size_t seen = 0;
    bool more = true;

    while (more && (id = queue_scan_next(scan)) != NULL) {
        more = emit_file(q, id, queue_scan_path(scan), emit, arg);
        if (++seen % FILES_A_TURN == 0)
            pause_in_daemon();
    }
    queue_scan_free(&scan);
    return more;
}

void listing_walk(listing_fn *emit, void *arg)
{
    static const enum queue order[] = {Q_MAILDROP, Q_ACTIVE, Q_INCOMING, Q_DEFERRED, Q_HOLD};
    static const char protocol[] = "protocol\0" LISTING_PROTOCOL "\0";

    if (!emit(arg, (struct str){protocol, sizeof protocol}))
        return;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (!walk_queue(order[i], emit, arg))
            return;
    emit(arg, (struct str){"", 1});
}

/* The next name and value; false at the end or if the list is cut off. */
static bool next_pair(struct str *list, const char **name, const char **value)
{
    struct str part;

    for (int i = 0; i < 2; i++) {
        ptrdiff_t end = str_find(*list, 0);
        if (end < 0 || (i == 0 && end == 0))
            return false;
        part = str_upto(*list, (size_t)end);
        *list = str_from(*list, (size_t)end + 1);
        *(i == 0 ? name : value) = part.p;
    }
    return true;
}

static size_t count_rcpts(struct str list)
{
    const char *name, *value;
    size_t n = 0;

    while (next_pair(&list, &name, &value))
        n += strcmp(name, "recipient") == 0;
    return n;
}

bool listing_parse(struct str list, struct arena *mem, struct listed *m)
{
    const char *name, *value;
    struct listed_rcpt *rcpt = NULL;

    *m = (struct listed){.queue = "", .id = "", .sender = ""};
    m->rcpts = arena_array(mem, count_rcpts(list) + 1, sizeof *m->rcpts);
    while (next_pair(&list, &name, &value)) {
        if (strcmp(name, A_QUEUE_NAME) == 0)
            m->queue = value;
        else if (strcmp(name, A_QUEUE_ID) == 0)
            m->id = value;
        else if (strcmp(name, A_SENDER) == 0)
            m->sender = value;
        else if (strcmp(name, "time") == 0)
            num_parse(strz(value), 0, INT64_MAX, &m->arrival);
        else if (strcmp(name, A_SIZE) == 0)
            num_parse(strz(value), 0, INT64_MAX, &m->size);
        else if (strcmp(name, "forced_expire") == 0)
            m->forced_expire = strcmp(value, "0") != 0;
        else if (strcmp(name, "recipient") == 0)
            *(rcpt = &m->rcpts[m->nrcpts++]) = (struct listed_rcpt){value, ""};
        else if (strcmp(name, "reason") == 0 && rcpt != NULL)
            rcpt->reason = value;
    }
    return *m->id != 0;
}
