#include "queue/report_source.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "mail/path.h"

struct report_source {
    enum queue log;
    const struct delivery *d;
    bool in_log, in_file; /* there may be more of it */
    off_t log_at, file_at;
    VEC(off_t) known; /* the recipients' places in the queue file; sorted when the log is through */
    struct qfile *file;
    struct envelope e;
};

struct report_source *report_source_new(enum queue log, const struct delivery *d, bool last_word)
{
    struct report_source *s = mem_new(sizeof *s);

    s->log = log;
    s->d = d;
    s->in_log = true;
    s->in_file = last_word;
    return s;
}

void report_source_free(struct report_source **source)
{
    struct report_source *s = *source;

    if (s == NULL)
        return;
    *source = NULL;
    qfile_close(&s->file);
    VEC_FREE(&s->known);
    free(s);
}

static int by_place(const void *a, const void *b)
{
    off_t x = *(const off_t *)a, y = *(const off_t *)b;

    return (x > y) - (x < y);
}

static bool is_known(const struct report_source *s, off_t at)
{
    return s->known.n > 0 &&
           bsearch(&at, s->known.at, s->known.n, sizeof *s->known.at, by_place) != NULL;
}

static int open_file(struct report_source *s, struct why *why)
{
    if (s->file == NULL)
        s->file = qfile_open(s->d->queue, s->d->queue_id, QFILE_READ, why);
    return s->file != NULL ? 0 : -1;
}

/* The defer log may be older than the marks in the file: whoever was put off has the mail now. */
static int drop_done(struct report_source *s, struct bounce_log *portion, struct why *why)
{
    size_t n = 0;

    if (s->log != Q_DEFER || portion->n == 0)
        return 0;
    if (open_file(s, why) < 0)
        return -1;
    for (size_t i = 0; i < portion->n; i++) {
        int done = qfile_is_done(s->file, portion->at[i].at, why);
        if (done < 0)
            return -1;
        if (!done)
            portion->at[n++] = portion->at[i];
    }
    portion->n = n;
    return 0;
}

static int from_log(struct report_source *s, size_t max, struct arena *mem,
                    struct bounce_log *portion, struct why *why)
{
    if (bounce_log_next(s->log, s->d->queue_id, &s->log_at, max, mem, portion, why) < 0)
        return -1;
    for (size_t i = 0; i < portion->n && s->in_file; i++)
        *VEC_ADD(&s->known) = portion->at[i].at;
    s->in_log = portion->n > 0;
    if (!s->in_log && s->known.n > 0)
        qsort(s->known.at, s->known.n, sizeof *s->known.at, by_place);
    return drop_done(s, portion, why);
}

static const char *external(const char *address, struct arena *mem)
{
    struct buf text = BUF(2 * REC_MAX + 2); /* fits: a record, all of it quoted */

    path_quote(strz(address), &text);
    const char *copy = arena_strz(mem, buf_str(&text));
    buf_free(&text);
    return copy;
}

static struct bounce_record record_of(const struct rcpt *r, struct arena *mem)
{
    return (struct bounce_record){
        .recipient = external(r->address, mem),
        .original = external(r->original, mem),
        .dsn_orcpt = r->dsn_orcpt,
        .dsn_notify = r->dsn_notify,
        .at = r->at,
        .status = "4.4.7", /* RFC 3463 3.5: delivery time expired */
        .action = "failed",
        .diag_type = "",
        .diag_text = "",
        .mta_type = "",
        .mta_name = "",
        .reason = "the message could not be delivered in time; the reason of the last attempt "
                  "is not known",
        .report_to = "",
    };
}

/* REDIRECT: the others of the file are not meant to get it. */
static void keep_redirected(struct report_source *s)
{
    struct envelope *e = &s->e;

    if (*e->d.redirect == 0 || e->d.nrcpts == 0)
        return;
    e->d.rcpts[0].address = e->d.redirect;
    e->d.nrcpts = s->known.n > 0 || e->done > 0 ? 0 : 1;
    e->next = 0;
}

/* One portion of the file; its records may all be of recipients that are known. */
static int report_source_read_file(struct report_source *s, size_t max, struct arena *mem,
                                   struct bounce_log *portion, struct why *why)
{
    struct envelope *e = &s->e;

    if (open_file(s, why) < 0 || envelope_read(s->file, s->file_at, max, mem, e, why) < 0)
        return -1;
    if (s->file_at == 0)
        keep_redirected(s);
    portion->at = arena_array(mem, e->d.nrcpts + 1, sizeof *portion->at);
    for (size_t i = 0; i < e->d.nrcpts; i++)
        if (!is_known(s, e->d.rcpts[i].at))
            portion->at[portion->n++] = record_of(&e->d.rcpts[i], mem);
    s->file_at = e->next;
    s->in_file = e->next > 0;
    return 0;
}

int report_source_next(struct report_source *s, size_t max, struct arena *mem,
                       struct bounce_log *portion, struct why *why)
{
    *portion = (struct bounce_log){0};
    while (portion->n == 0 && s->in_log)
        if (from_log(s, max, mem, portion, why) < 0)
            return -1;
    while (portion->n == 0 && s->in_file)
        if (report_source_read_file(s, max, mem, portion, why) < 0)
            return -1;
    return 0;
}
