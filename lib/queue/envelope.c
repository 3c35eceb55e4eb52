/*
 * Reading the envelope of a queue file.
 */
#include "base/num.h"
#include "base/str.h"
#include "queue/delivery.h"

/* Later ones win: log_client_name= is what came with XFORWARD, client_name= who connected. */
static const struct {
    const char *name;
    size_t at;
} texts[] = {
    {"encoding", offsetof(struct delivery, encoding)},
    {"envelope_id", offsetof(struct delivery, dsn_envid)},
    {"release_request", offsetof(struct delivery, release_request)},
    {"log_client_name", offsetof(struct delivery, client_name)},
    {"log_client_address", offsetof(struct delivery, client_addr)},
    {"log_client_port", offsetof(struct delivery, client_port)},
    {"log_protocol_name", offsetof(struct delivery, client_proto)},
    {"log_helo_name", offsetof(struct delivery, client_helo)},
    {"sasl_method", offsetof(struct delivery, sasl_method)},
    {"sasl_username", offsetof(struct delivery, sasl_username)},
    {"sasl_sender", offsetof(struct delivery, sasl_sender)},
    {"rewrite_context", offsetof(struct delivery, rewrite_context)},
    {"log_ident", offsetof(struct delivery, log_ident)},
};

/* What stands in front of a recipient and belongs to it. */
struct reader {
    struct envelope *e;
    struct arena *mem;
    struct rcpt next;
    size_t room; /* of e->d.rcpts */
    size_t max;
    bool only_rcpts; /* the message's own records were read before */
    bool has_max; /* of the recipients: only the message's own records are looked for now */
    bool dropped; /* a file of maildrop: its envelope ends with the content's beginning */
};

static void forget_rcpt(struct reader *r)
{
    r->next = (struct rcpt){.original = "", .dsn_orcpt = ""};
}

static const char *keep(struct reader *r, struct str s)
{
    return arena_strz(r->mem, s);
}

static void take_flags(struct delivery *d, struct str value)
{
    int64_t n;

    if (num_parse(value, 0, INT32_MAX, &n))
        d->flags |= delivery_trace_flags(n);
}

static void take_notify(struct reader *r, struct str value)
{
    int64_t n;

    if (num_parse(value, 0, 15, &n))
        r->next.dsn_notify = (unsigned)n;
}

static void take_ret(struct delivery *d, struct str value)
{
    int64_t n;

    if (num_parse(value, 0, DSN_RET_HDRS, &n))
        d->dsn_ret = (enum dsn_ret)n;
}

static void take_attribute(struct reader *r, struct str name, struct str value)
{
    struct delivery *d = &r->e->d;
    int64_t n;

    if (str_eqz(name, "dsn_orig_rcpt")) {
        r->next.dsn_orcpt = keep(r, value);
        return;
    }
    if (str_eqz(name, "notify_flags")) {
        take_notify(r, value);
        return;
    }
    if (r->only_rcpts)
        return;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (str_eqz(name, texts[i].name)) {
            *(const char **)(void *)((char *)d + texts[i].at) = keep(r, value);
            return;
        }
    if (str_eqz(name, "ret_flags"))
        take_ret(d, value);
    else if (str_eqz(name, "trace_flags"))
        take_flags(d, value);
    else if (str_eqz(name, "create_time") && num_parse(value, 0, INT64_MAX / 1000000, &n))
        d->created_s = n;
    else if (str_eqz(name, "release_time") && num_parse(value, 0, INT64_MAX / 1000000, &n))
        d->release_s = n;
    else if (str_eqz(name, "deliver_by"))
        deliver_by_parse_time(value, &d->by);
    else if (str_eqz(name, "mt_priority") &&
             num_parse(value, -DELIVERY_PRIORITY_MOST, DELIVERY_PRIORITY_MOST, &n))
        d->priority = (int)n;
}

static void add_rcpt(struct reader *r, struct str address, off_t at)
{
    struct delivery *d = &r->e->d;

    if (d->nrcpts == r->room) {
        size_t room = r->room < 4 ? 4 : r->room * 2;
        struct rcpt *more = arena_array(r->mem, room, sizeof *more);
        if (d->nrcpts > 0)
            memcpy(more, d->rcpts, d->nrcpts * sizeof *more);
        d->rcpts = more;
        r->room = room;
    }
    r->next.at = at;
    r->next.address = keep(r, address);
    d->rcpts[d->nrcpts++] = r->next;
    forget_rcpt(r);
}

static void take_message_record(struct reader *r, int type, struct str body, off_t at)
{
    struct delivery *d = &r->e->d;
    struct str word = str_trim(body);
    struct qsize size;
    int64_t n;

    switch (type) {
    case REC_SIZE: /* of what postsuper has put back into maildrop */
        if (r->dropped && qsize_parse(body, &size))
            d->content_size = size.content;
        break;
    case REC_TIME:
        qrec_parse_time(body, &d->arrival_us);
        break;
    case REC_CTIME:
        if (num_parse(word, 0, INT64_MAX / 1000000, &n))
            d->created_s = n;
        break;
    case REC_FROM:
        d->sender = keep(r, body);
        break;
    case REC_VERP:
        d->verp = body.n == 2 ? keep(r, body) : "";
        break;
    case REC_FILT:
        d->filter = keep(r, body);
        break;
    case REC_RDIR:
        d->redirect = keep(r, body);
        break;
    case REC_DSN_ENVID:
        d->dsn_envid = keep(r, body);
        break;
    case REC_DSN_RET:
        take_ret(d, body);
        break;
    case REC_WARN:
        if (num_parse(word, -1, INT64_MAX / 1000000, &d->warn_at_s))
            d->warn_record = at;
        if (d->warn_at_s < 0)
            d->flags |= DELIVERY_DELAY_SAID;
        break;
    default:
        break;
    }
}

/* The records of recipients that the caller gets with another call. */
static bool is_for_later(const struct reader *r, int type, struct str body)
{
    struct str name, value;

    if (!r->has_max)
        return false;
    if (type == REC_ATTR && qrec_parse_attr(body, &name, &value))
        return str_eqz(name, "dsn_orig_rcpt") || str_eqz(name, "notify_flags");
    return strchr((const char[]){REC_RCPT, REC_ORCP, REC_DONE, REC_DRCP, REC_DSN_ORCPT,
                                 REC_DSN_NOTIFY, 0},
                  type) != NULL;
}

static void take_record(struct reader *r, int type, struct str body, off_t at)
{
    struct str name, value;

    if (is_for_later(r, type, body))
        return;
    switch (type) {
    case REC_ATTR:
        if (qrec_parse_attr(body, &name, &value))
            take_attribute(r, name, value);
        break;
    case REC_DSN_ORCPT:
        r->next.dsn_orcpt = keep(r, body);
        break;
    case REC_DSN_NOTIFY:
        take_notify(r, body);
        break;
    case REC_ORCP:
        r->next.original = keep(r, body);
        break;
    case REC_DONE:
        r->e->done++;
        forget_rcpt(r);
        break;
    case REC_DRCP:
        forget_rcpt(r);
        break;
    case REC_RCPT:
        add_rcpt(r, body, at);
        break;
    default:
        if (!r->only_rcpts)
            take_message_record(r, type, body, at);
    }
}

static void envelope_start(struct envelope *e)
{
    *e = (struct envelope){.d = {.queue_id = "",
                                 .nexthop = "",
                                 .sender = "",
                                 .encoding = "",
                                 .dsn_envid = "",
                                 .verp = "",
                                 .release_request = "",
                                 .client_name = "",
                                 .client_addr = "",
                                 .client_port = "",
                                 .client_proto = "",
                                 .client_helo = "",
                                 .sasl_method = "",
                                 .sasl_username = "",
                                 .sasl_sender = "",
                                 .log_ident = "",
                                 .rewrite_context = "",
                                 .filter = "",
                                 .redirect = ""}};
}

/* The first record says how long the content is, so that it can be passed over. */
static int read_size(struct qfile *f, struct envelope *e, struct why *why)
{
    struct str body;

    if (qfile_next(f, &body) != REC_SIZE || !qsize_parse(body, &e->size))
        return qfile_damaged(f, "queue file has no size record", why);
    e->d.content_size = e->size.content;
    e->d.data_offset = e->size.data_offset;
    e->d.sendopts = (unsigned)(e->size.sendopts & SENDOPT_ALL);
    return 0;
}

/* From where the file stands. */
static int read_records(struct reader *r, struct qfile *f, struct why *why)
{
    struct envelope *e = r->e;
    struct str body;
    enum rec type;

    forget_rcpt(r);
    e->d.rcpts = NULL;
    e->d.nrcpts = 0;
    e->next = 0;
    while ((type = qfile_next(f, &body)) != REC_END && type != REC_EOF) {
        if (type == REC_BAD)
            return qfile_damaged(f, "queue file is damaged", why);
        if (type == REC_MESG && r->dropped)
            break;
        if (type == REC_MESG) {
            if (qfile_tell(f) != e->size.data_offset)
                return why_set(why, "5.3.0", "queue file has its content in the wrong place");
            if (qfile_seek(f, e->size.data_offset + e->size.size, NULL) < 0)
                return why_set(why, "5.3.0", "queue file is shorter than it should be");
            continue;
        }
        take_record(r, type, body, qfile_at(f));
        if (e->d.nrcpts == r->max && e->next == 0) {
            e->next = qfile_tell(f);
            if (r->only_rcpts || r->dropped)
                break;
            r->has_max = true;
        }
    }
    e->truncated = type == REC_EOF;
    if (e->d.created_s == 0)
        e->d.created_s = e->d.arrival_us / 1000000;
    return 0;
}

int envelope_read(struct qfile *f, off_t from, size_t max_rcpts, struct arena *mem,
                  struct envelope *e, struct why *why)
{
    struct reader r = {.e = e, .mem = mem, .max = max_rcpts, .only_rcpts = from > 0};

    if (from == 0) {
        envelope_start(e);
        if (read_size(f, e, why) < 0)
            return -1;
    } else if (qfile_seek(f, from, why) < 0) {
        return -1;
    }
    return read_records(&r, f, why);
}

int envelope_read_dropped(struct qfile *f, off_t from, size_t max_rcpts, struct arena *mem,
                          struct envelope *e, struct why *why)
{
    struct reader r = {
        .e = e, .mem = mem, .max = max_rcpts, .only_rcpts = from > 0, .dropped = true};

    if (from == 0) {
        envelope_start(e);
        e->d.content_size = qfile_stat(f)->st_size;
    } else if (qfile_seek(f, from, why) < 0) {
        return -1;
    }
    return read_records(&r, f, why);
}
