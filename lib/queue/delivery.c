/*
 * A message on its way: as attributes, and the letters that say what became of it.
 */
#include "queue/delivery.h"

#include <sys/stat.h>

#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "ipc/trigger.h"
#include "ipc/trust.h"
#include "queue/qid.h"
#include "task/task.h"

#define A_STATUSES    "fates" /* the wire keeps the old name for the time of a reload */
#define A_SITE        "site"
#define A_RCPT_AT     "rcpt_at"
#define A_RCPT        "rcpt"
#define A_RCPT_ORIG   "rcpt_orig"
#define A_RCPT_ORCPT  "rcpt_orcpt"
#define A_RCPT_NOTIFY "rcpt_notify"

/* Above this many recipients cleanup does not tell qmgr all of them: it reads the file. */
enum { ANNOUNCE_MAX = 500 };

static const struct {
    const char *name;
    size_t at;
} texts[] = {
    {A_QUEUE_ID, offsetof(struct delivery, queue_id)},
    {"nexthop", offsetof(struct delivery, nexthop)},
    {A_SENDER, offsetof(struct delivery, sender)},
    {"encoding", offsetof(struct delivery, encoding)},
    {"verp_delimiters", offsetof(struct delivery, verp)},
    {"envelope_id", offsetof(struct delivery, dsn_envid)},
    {"release_request", offsetof(struct delivery, release_request)},
    {"client_name", offsetof(struct delivery, client_name)},
    {"client_address", offsetof(struct delivery, client_addr)},
    {"client_port", offsetof(struct delivery, client_port)},
    {"protocol_name", offsetof(struct delivery, client_proto)},
    {"helo_name", offsetof(struct delivery, client_helo)},
    {"sasl_method", offsetof(struct delivery, sasl_method)},
    {"sasl_username", offsetof(struct delivery, sasl_username)},
    {"sasl_sender", offsetof(struct delivery, sasl_sender)},
    {"rewrite_context", offsetof(struct delivery, rewrite_context)},
    {"log_ident", offsetof(struct delivery, log_ident)},
    {"filter", offsetof(struct delivery, filter)},
    {"redirect", offsetof(struct delivery, redirect)},
};

/* On the wire a number is not negative, and 0 is not there. */
enum { PRIORITY_ZERO = DELIVERY_PRIORITY_MOST + 1 };
enum { BY_RETURNS = 1, BY_TRACED = 2 }; /* bits of N_BY_MODE */

enum number {
    N_FLAGS,
    N_RET,
    N_SENDOPTS,
    N_SIZE,
    N_DATA,
    N_ARRIVAL,
    N_CREATED,
    N_ACTIVE,
    N_WARN,
    N_WARN_AT,
    N_RELEASE,
    N_PRIORITY,
    N_BY,
    N_BY_MODE
};
static const char *const numbers[] = {
    [N_FLAGS] = A_FLAGS,         [N_RET] = "ret_flags",           [N_SENDOPTS] = "sendopts",
    [N_SIZE] = A_SIZE,           [N_DATA] = "data_offset",        [N_ARRIVAL] = "arrival_us",
    [N_CREATED] = "created",     [N_ACTIVE] = "active_us",        [N_WARN] = "warn_at",
    [N_WARN_AT] = "warn_record", [N_RELEASE] = "release_time",    [N_PRIORITY] = "mt_priority",
    [N_BY] = "deliver_by",       [N_BY_MODE] = "deliver_by_mode",
};

unsigned delivery_trace_flags(int64_t trace_flags)
{
    unsigned flags = 0;

    if (trace_flags & (TRACE_MTA_VERIFY | TRACE_USER_VERIFY))
        flags |= DELIVERY_TRACE_ONLY;
    if (trace_flags & TRACE_MTA_VERIFY)
        flags |= DELIVERY_PROBE;
    if (trace_flags & TRACE_RECORD)
        flags |= DELIVERY_REPORT;
    return flags;
}

int64_t delivery_begins_s(const struct delivery *d)
{
    return d->release_s > d->created_s ? d->release_s : d->created_s;
}

enum {
    TEXTS = sizeof texts / sizeof *texts,
    KNOWN = TEXTS + sizeof numbers / sizeof *numbers /* all of both */
};

static const char *name_of(size_t i)
{
    return i < TEXTS ? texts[i].name : numbers[i - TEXTS];
}

/* Which one it is; KNOWN: none of them. They come in the order of the tables, as a rule, so *next
 * is tried first. */
static size_t find_known(const char *name, size_t *next)
{
    for (size_t n = 0; n < KNOWN; n++) {
        size_t i = (*next + n) % KNOWN;
        const char *known = name_of(i);
        if (known[0] == name[0] && strcmp(name, known) == 0) {
            *next = i + 1;
            return i;
        }
    }
    return KNOWN;
}

static const char **text_of(struct delivery *d, size_t i)
{
    return (const char **)(void *)((char *)d + texts[i].at);
}

static void put_text(struct attrs *ask, const char *name, const char *value)
{
    if (value != NULL && *value != 0)
        attrs_putz(ask, name, value);
}

static void put_number(struct attrs *ask, const char *name, int64_t value)
{
    if (value != 0)
        attrs_putn(ask, name, value);
}

void delivery_encode(const struct delivery *d, struct attrs *ask)
{
    attrs_putz(ask, A_QUEUE_NAME, queue_name(d->queue));
    for (size_t i = 0; i < TEXTS; i++)
        put_text(ask, texts[i].name, *text_of((struct delivery *)(uintptr_t)d, i));
    put_number(ask, numbers[N_FLAGS], d->flags);
    put_number(ask, numbers[N_RET], d->dsn_ret);
    put_number(ask, numbers[N_SENDOPTS], d->sendopts);
    put_number(ask, numbers[N_SIZE], d->content_size);
    put_number(ask, numbers[N_DATA], d->data_offset);
    put_number(ask, numbers[N_ARRIVAL], d->arrival_us);
    put_number(ask, numbers[N_CREATED], d->created_s);
    put_number(ask, numbers[N_ACTIVE], d->active_us);
    put_number(ask, numbers[N_WARN], d->warn_at_s > 0 ? d->warn_at_s : 0);
    put_number(ask, numbers[N_WARN_AT], d->warn_record);
    put_number(ask, numbers[N_RELEASE], d->release_s);
    if (d->priority != 0)
        put_number(ask, numbers[N_PRIORITY], d->priority + PRIORITY_ZERO);
    put_number(ask, numbers[N_BY], d->by.s);
    put_number(ask, numbers[N_BY_MODE],
               (d->by.returns ? BY_RETURNS : 0) | (d->by.traced ? BY_TRACED : 0));
    for (const struct rcpt *r = d->rcpts; r < d->rcpts + d->nrcpts; r++) {
        attrs_putn(ask, A_RCPT_AT, r->at); /* begins the next one */
        put_text(ask, A_RCPT, r->address);
        put_text(ask, A_RCPT_ORIG, r->original);
        put_text(ask, A_RCPT_ORCPT, r->dsn_orcpt);
        put_number(ask, A_RCPT_NOTIFY, r->dsn_notify);
    }
}

static bool set_number(struct delivery *d, enum number which, int64_t n)
{
    switch (which) {
    case N_FLAGS:
        d->flags = (unsigned)(n & 0xffff);
        break;
    case N_RET:
        if (n > DSN_RET_HDRS)
            return false;
        d->dsn_ret = (enum dsn_ret)n;
        break;
    case N_SENDOPTS:
        d->sendopts = (unsigned)(n & SENDOPT_ALL);
        break;
    case N_SIZE:
        d->content_size = n;
        break;
    case N_DATA:
        d->data_offset = n;
        break;
    case N_ARRIVAL:
        d->arrival_us = n;
        break;
    case N_CREATED:
        d->created_s = n;
        break;
    case N_ACTIVE:
        d->active_us = n;
        break;
    case N_WARN:
        d->warn_at_s = n;
        break;
    case N_WARN_AT:
        d->warn_record = n;
        break;
    case N_RELEASE:
        d->release_s = n;
        break;
    case N_PRIORITY:
        if (n < PRIORITY_ZERO - DELIVERY_PRIORITY_MOST ||
            n > PRIORITY_ZERO + DELIVERY_PRIORITY_MOST)
            return false;
        d->priority = (int)n - PRIORITY_ZERO;
        break;
    case N_BY:
        d->by.s = n;
        break;
    case N_BY_MODE:
        d->by.returns = (n & BY_RETURNS) != 0;
        d->by.traced = (n & BY_TRACED) != 0;
        break;
    }
    return true;
}

/* One attribute of the message. False: known and malformed. */
static bool take_attribute(struct delivery *d, const char *name, const char *value, size_t *next,
                           struct arena *mem)
{
    size_t known = find_known(name, next);
    int64_t n;

    if (known < TEXTS)
        *text_of(d, known) = arena_strz(mem, strz(value));
    else if (known < KNOWN)
        return num_parse(strz(value), 0, INT64_MAX / 2, &n) &&
               set_number(d, (enum number)(known - TEXTS), n);
    else if (strcmp(name, A_QUEUE_NAME) == 0)
        return queue_by_name(value, &d->queue);
    return true;
}

static bool take_rcpt(struct rcpt *r, const char *name, const char *value, struct arena *mem)
{
    int64_t n;

    if (strcmp(name, A_RCPT_AT) == 0) {
        *r = (struct rcpt){.address = "", .original = "", .dsn_orcpt = ""};
        if (!num_parse(strz(value), 0, INT64_MAX / 2, &n))
            return false;
        r->at = n;
    } else if (strcmp(name, A_RCPT) == 0) {
        r->address = arena_strz(mem, strz(value));
    } else if (strcmp(name, A_RCPT_ORIG) == 0) {
        r->original = arena_strz(mem, strz(value));
    } else if (strcmp(name, A_RCPT_ORCPT) == 0) {
        r->dsn_orcpt = arena_strz(mem, strz(value));
    } else if (strcmp(name, A_RCPT_NOTIFY) == 0) {
        if (!num_parse(strz(value), 0, 15, &n))
            return false;
        r->dsn_notify = (unsigned)n;
    }
    return true;
}

static size_t count(struct attrs *ask, const char *wanted)
{
    size_t n = 0, cursor = 0;

    while (attrs_each(ask, wanted, &cursor) != NULL)
        n++;
    return n;
}

static void clear(struct delivery *d)
{
    *d = (struct delivery){.queue = Q_ACTIVE};
    for (size_t i = 0; i < TEXTS; i++)
        *text_of(d, i) = "";
}

int delivery_decode(struct attrs *ask, size_t max_rcpts, struct arena *mem, struct delivery *d,
                    struct why *why)
{
    size_t cursor = 0, next = 0, n = count(ask, A_RCPT_AT);
    const char *name, *value;
    struct rcpt *r = NULL;

    clear(d);
    if (n > max_rcpts)
        return why_set(why, "5.3.0", "too many recipients in a request");
    d->rcpts = arena_array(mem, n > 0 ? n : 1, sizeof *d->rcpts);
    while ((value = attrs_next(ask, &name, &cursor)) != NULL) {
        if (strcmp(name, A_RCPT_AT) == 0)
            r = &d->rcpts[d->nrcpts++];
        bool good =
            r != NULL ? take_rcpt(r, name, value, mem) : take_attribute(d, name, value, &next, mem);
        if (!good)
            return why_set(why, "5.3.0", "malformed request: %s", name);
    }
    if (!qid_valid(strz(d->queue_id)))
        return why_set(why, "5.3.0", "malformed request: no queue id");
    return 0;
}

struct qfile *delivery_file(struct attrs *ask, const struct delivery *d, struct why *why)
{
    if (d->queue != Q_ACTIVE) {
        why_set(why, "5.3.0", "malformed request: a message that is not in the active queue");
        return NULL;
    }
    return qfile_passed(attrs_take_fd(ask), d->queue_id, trust_ids()->owner, why);
}

/* One channel per process, shared by all its tasks. */
static struct {
    struct channel *channel;
    bool is_socket; /* known; it stays one until a reload, which ends this process */
} qmgr;

/* "qmgr fifo" in an old master.cf: a byte is all that can be said there. */
static bool is_fifo(const char *path)
{
    struct stat st;

    if (qmgr.is_socket || stat(path, &st) < 0)
        return false;
    qmgr.is_socket = S_ISSOCK(st.st_mode);
    return S_ISFIFO(st.st_mode);
}

void delivery_announce(const struct delivery *d, int fd)
{
    struct attrs ask = ATTRS(DELIVERY_MAX);
    struct buf path = BUF(256); /* fits: or is left out whole, and "" names no socket */
    struct why why = WHY;

    buf_addf(&path, "public/%s", conf.queue_service_name);
    if (qmgr.channel == NULL)
        qmgr.channel = channel_new(path.p, 0);
    attrs_putz(&ask, A_REQUEST, REQUEST_ARRIVED);
    attrs_putn(&ask, A_ONE_WAY, 1);
    attrs_put_fd(&ask, fd);
    delivery_encode(d, &ask);
    /* A failure loses nothing: qmgr finds the file when it scans. */
    if (d->nrcpts > ANNOUNCE_MAX || !attrs_ok(&ask) || is_fifo(path.p))
        trigger_send(path.p, 'I', &why);
    else
        channel_tell(qmgr.channel, &ask, task_now() + 1000, &why);
    attrs_free(&ask);
    buf_free(&path);
    why_free(&why);
}

void delivery_result_start(struct delivery_result *r, size_t nrcpts)
{
    /* fits: a letter for each recipient */
    *r = (struct delivery_result){.statuses = BUF(nrcpts), .why = WHY};
    for (size_t i = 0; i < nrcpts; i++)
        buf_addc(&r->statuses, RCPT_DEFERRED);
}

void delivery_result_free(struct delivery_result *r)
{
    buf_free(&r->statuses);
    why_free(&r->why);
}

void delivery_site_failed(struct delivery_result *r, const struct why *why)
{
    r->site_failed = true;
    why_copy(&r->why, why);
}

/* The status is that of the request, not of the recipients: their statuses are an answer as good as
 * any. So it is always ok, and the why of a dead site has its own attributes. */
void delivery_answer(struct attrs *answer, const struct delivery_result *r)
{
    attrs_putz(answer, A_STATUS, STATUS_OK);
    attrs_put(answer, A_STATUSES, buf_str(&r->statuses));
    if (!r->site_failed)
        return;
    attrs_putn(answer, A_SITE, 1);
    attrs_putz(answer, A_WHY_CODE, r->why.code);
    attrs_put(answer, A_WHY_TEXT, buf_str(&r->why.text));
}

int delivery_read_answer(struct attrs *answer, struct delivery_result *r, size_t nrcpts)
{
    struct str statuses = strz(attrs_opt(answer, A_STATUSES, ""));

    delivery_result_start(r, nrcpts);
    if (statuses.n != nrcpts)
        return -1;
    for (size_t i = 0; i < nrcpts; i++)
        if (strchr("dbtl", statuses.p[i]) == NULL)
            return -1;
    buf_set(&r->statuses, statuses);
    if (strcmp(attrs_opt(answer, A_SITE, "0"), "1") == 0) {
        const char *code = attrs_opt(answer, A_WHY_CODE, "4.3.0");
        r->site_failed = true;
        why_set(&r->why, strlen(code) < sizeof r->why.code ? code : "4.3.0", "%s",
                attrs_opt(answer, A_WHY_TEXT, "unknown"));
    }
    return 0;
}
