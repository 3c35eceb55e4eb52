/*
 * The queue as a stream of attribute lists.
 */
#include "queue/listing.h"

#include <time.h>

#include "base/num.h"
#include "base/str.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "queue/bounce_log.h"
#include "task/task.h"

enum { RCPTS_AT_A_TIME = 1000, FILES_A_TURN = 16, MODE_EXPIRE = 0010 };

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

static const char *reason_of(const struct bounce_log *log, const struct rcpt *r,
                             const char *address)
{
    for (size_t i = 0; i < log->n; i++)
        if (r->at == log->at[i].at && strcmp(address, log->at[i].recipient) == 0)
            return log->at[i].reason;
    for (size_t i = 0; i < log->n; i++)
        if (strcmp(address, log->at[i].recipient) == 0)
            return log->at[i].reason;
    return "";
}

static void put_rcpts(const struct envelope *e, const struct bounce_log *log, struct buf *out)
{
    struct buf address = BUF(2 * REC_MAX + 2); /* fits: a record, all of it quoted */

    for (size_t i = 0; i < e->d.nrcpts; i++) {
        buf_clear(&address);
        path_quote(strz(e->d.rcpts[i].address), &address);
        put(out, "recipient", address.p);
        put(out, "reason", reason_of(log, &e->d.rcpts[i], address.p));
    }
    buf_free(&address);
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
    struct bounce_log log = {0};
    struct envelope e;
    struct qfile *f = qfile_open_path(path, NULL);
    off_t from = 0;
    bool more = true;

    /* What is not complete, or moves away while we look, is no mail yet or any more. */
    if (f != NULL && (qfile_stat(f)->st_mode & S_IXUSR) != 0) {
        if (q == Q_DEFERRED || q == Q_HOLD)
            bounce_log_read(Q_DEFER, id, RCPTS_AT_A_TIME, mem, &log, NULL);
        do {
            struct arena *part = arena_new(mem);
            if ((q == Q_MAILDROP ? envelope_read_dropped : envelope_read)(f, from, RCPTS_AT_A_TIME,
                                                                          part, &e, NULL) < 0)
                break;
            if (from == 0)
                put_message(q, id, &e, (qfile_stat(f)->st_mode & MODE_EXPIRE) != 0, &out);
            put_rcpts(&e, &log, &out);
            arena_free(&part);
        } while ((from = e.next) > 0);
        buf_addc(&out, 0);
        if (out.n > 1 && buf_ok(&out))
            more = emit(arg, buf_str(&out));
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
        if (++seen % FILES_A_TURN == 0 && task_self() != NULL)
            task_yield();
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
