/*
 * Logs of what could not be delivered (yet), as Postfix writes them, and the services that keep
 * them.
 */
#include "queue/bounce_log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "queue/qid.h"

enum field {
    FIELD_RECIPIENT,
    FIELD_ORIGINAL,
    FIELD_OFFSET,
    FIELD_ORCPT,
    FIELD_NOTIFY,
    FIELD_STATUS,
    FIELD_ACTION,
    FIELD_DIAG_TYPE,
    FIELD_DIAG_TEXT,
    FIELD_MTA_TYPE,
    FIELD_MTA_NAME,
    FIELD_REASON,
    FIELD_REPORT_TO,
    FIELDS
};

/* The names in the file and on the wire; at: of the text in the record, or 0 for numbers. */
static const struct {
    const char *name;
    size_t at;
} fields[FIELDS] = {
    [FIELD_RECIPIENT] = {"recipient", offsetof(struct bounce_record, recipient)},
    [FIELD_ORIGINAL] = {"original_recipient", offsetof(struct bounce_record, original)},
    [FIELD_OFFSET] = {"offset", 0},
    [FIELD_ORCPT] = {"dsn_orig_rcpt", offsetof(struct bounce_record, dsn_orcpt)},
    [FIELD_NOTIFY] = {"notify_flags", 0},
    [FIELD_STATUS] = {"status", offsetof(struct bounce_record, status)},
    [FIELD_ACTION] = {"action", offsetof(struct bounce_record, action)},
    [FIELD_DIAG_TYPE] = {"diag_type", offsetof(struct bounce_record, diag_type)},
    [FIELD_DIAG_TEXT] = {"diag_text", offsetof(struct bounce_record, diag_text)},
    [FIELD_MTA_TYPE] = {"mta_type", offsetof(struct bounce_record, mta_type)},
    [FIELD_MTA_NAME] = {"mta_mname", offsetof(struct bounce_record, mta_name)},
    [FIELD_REASON] = {"reason", offsetof(struct bounce_record, reason)},
    [FIELD_REPORT_TO] = {"report_to", offsetof(struct bounce_record, report_to)},
};

/* The first member is a text at offset 0: so numbers are known by their field, not by at. */
static bool is_number(int field)
{
    return field == FIELD_OFFSET || field == FIELD_NOTIFY;
}

static const char **text_of(struct bounce_record *r, int field)
{
    return (const char **)(void *)((char *)r + fields[field].at);
}

static const char *text_in(const struct bounce_record *r, int field)
{
    const char *text = *text_of((struct bounce_record *)(uintptr_t)r, field);
    return text != NULL ? text : "";
}

static void set_field(struct bounce_record *r, int field, struct str value, struct arena *mem)
{
    int64_t n;

    if (field == FIELD_OFFSET) {
        if (num_parse(value, 0, INT64_MAX / 2, &n))
            r->at = n;
    } else if (field == FIELD_NOTIFY) {
        if (num_parse(value, 0, 15, &n))
            r->dsn_notify = (unsigned)n;
    } else {
        *text_of(r, field) = arena_strz(mem, value);
    }
}

static void clear(struct bounce_record *r)
{
    *r = (struct bounce_record){0};
    for (int i = 0; i < FIELDS; i++)
        if (!is_number(i))
            *text_of(r, i) = "";
}

/* A line of the log is one line, whatever a server said. */
static void put_clean(struct buf *out, const char *text)
{
    size_t from = out->n;

    buf_addz(out, text);
    for (size_t i = from; i < out->n; i++)
        if ((unsigned char)out->p[i] < ' ' || out->p[i] == 0x7f)
            out->p[i] = '?';
}

void bounce_record_format(const struct bounce_record *r, struct buf *out)
{
    buf_addz(out, "\n<");
    put_clean(out, text_in(r, FIELD_RECIPIENT));
    buf_addz(out, ">: ");
    put_clean(out, text_in(r, FIELD_REASON));
    buf_addc(out, '\n');
    for (int i = 0; i < FIELDS; i++) {
        if (i == FIELD_OFFSET && r->at > 0)
            buf_addf(out, "offset=%lld\n", (long long)r->at);
        if (i == FIELD_NOTIFY && r->dsn_notify != 0)
            buf_addf(out, "notify_flags=%u\n", r->dsn_notify);
        if (is_number(i) || *text_in(r, i) == 0)
            continue;
        if (i == FIELD_ORIGINAL && str_ieq(strz(r->original), strz(r->recipient)))
            continue;
        buf_addf(out, "%s=", fields[i].name);
        put_clean(out, text_in(r, i));
        buf_addc(out, '\n');
    }
    buf_addc(out, '\n');
}

static void take_line(struct bounce_record *r, struct str line, struct arena *mem)
{
    ptrdiff_t at = str_find(line, '=');

    if (at <= 0 || line.p[0] == '<')
        return;
    for (int i = 0; i < FIELDS; i++)
        if (str_eqz(str_upto(line, (size_t)at), fields[i].name))
            set_field(r, i, str_from(line, (size_t)at + 1), mem);
}

/* Postfix leaves out the line for people ("<") if backwards_bounce_logfile_compatibility = no. */
static bool begins_record(struct str text)
{
    return str_starts(text, STR("<")) || str_starts(text, STR("recipient="));
}

/*
 * A record has an empty line in front and one behind. What ends in another way was being written
 * when the machine stopped: its recipient is tried again, and nothing of it is true of the one
 * whose record stands behind it.
 */
bool bounce_record_next(struct str *rest, struct arena *mem, struct bounce_record *r)
{
    struct str line;

    clear(r);
    /* What is behind the last line end is no line. */
    while (str_split(rest, '\n', &line) && rest->p != NULL) {
        if (line.n == 0 && *r->recipient != 0 && !begins_record(*rest))
            return true;
        if (line.n == 0 || begins_record(line))
            clear(r);
        take_line(r, line, mem);
    }
    return false;
}

/* The log is read in pieces: it may be larger than memory should be. */
enum { PIECE = 4 << 20 };

static void add_record(struct bounce_log *log, size_t *room, const struct bounce_record *r,
                       struct arena *mem)
{
    if (log->n == *room) {
        *room = *room == 0 ? 4 : *room * 2;
        struct bounce_record *more = arena_array(mem, *room, sizeof *more);
        if (log->n > 0)
            memcpy(more, log->at, log->n * sizeof *more);
        log->at = more;
    }
    log->at[log->n++] = *r;
}

/* The records that are whole in the piece; how many of its bytes they are. If none is, all of it is
 * damaged. */
static size_t take_records(struct str piece, size_t max, size_t *room, struct arena *mem,
                           struct bounce_log *log)
{
    struct str rest = piece;
    struct bounce_record r;
    size_t taken = 0;

    while (log->n < max && bounce_record_next(&rest, mem, &r)) {
        add_record(log, room, &r, mem);
        taken = piece.n - rest.n;
    }
    return log->n < max && taken == 0 ? piece.n : taken;
}

static ssize_t read_piece(int fd, char *piece, off_t at)
{
    size_t n = 0;

    while (n < PIECE) {
        ssize_t got = pread(fd, piece + n, PIECE - n, at + (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int read_log(int fd, off_t *at, size_t max, struct arena *mem, struct bounce_log *log)
{
    char *piece = mem_new(PIECE);
    size_t room = 0;
    ssize_t n = 0;

    while (log->n < max && (n = read_piece(fd, piece, *at)) > 0)
        *at += (off_t)take_records((struct str){piece, (size_t)n}, max, &room, mem, log);
    free(piece);
    return log->n < max && n < 0 ? -1 : 0;
}

int bounce_log_next(enum queue q, const char *id, off_t *at, size_t max, struct arena *mem,
                    struct bounce_log *log, struct why *why)
{
    struct buf path = BUF(512);
    int result = 0;

    *log = (struct bounce_log){0};
    queue_path(&path, q, id);
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
        result = why_errno(why, "4.3.0", "open %s", path.p);
    else if (fd >= 0 && read_log(fd, at, max, mem, log) < 0)
        result = why_errno(why, "4.3.0", "read %s", path.p);
    if (fd >= 0)
        close(fd);
    buf_free(&path);
    return result;
}

void bounce_record_to_attrs(const struct bounce_record *r, struct attrs *a)
{
    for (int i = 0; i < FIELDS; i++)
        if (!is_number(i) && *text_in(r, i) != 0)
            attrs_putz(a, fields[i].name, text_in(r, i));
    attrs_putn(a, fields[FIELD_OFFSET].name, r->at);
    attrs_putn(a, fields[FIELD_NOTIFY].name, r->dsn_notify);
}

int bounce_record_of_attrs(struct attrs *a, struct arena *mem, struct bounce_record *r,
                           struct why *why)
{
    clear(r);
    for (int i = 0; i < FIELDS; i++)
        set_field(r, i, strz(attrs_opt(a, fields[i].name, "")), mem);
    if (*r->recipient == 0 || *r->status == 0)
        return why_set(why, "5.3.0", "malformed request: no recipient or status");
    return 0;
}

/* One channel per service and process, shared by all tasks. */
static struct channel *services[3];

static struct channel *service_of(enum queue q)
{
    int i = q == Q_BOUNCE ? 0 : q == Q_DEFER ? 1 : 2;
    const char *name = q == Q_BOUNCE  ? conf.bounce_service_name
                       : q == Q_DEFER ? conf.defer_service_name
                                      : conf.trace_service_name;

    if (services[i] == NULL)
        services[i] = channel_to("private", name, 0);
    return services[i];
}

static int ask_service(enum queue q, struct attrs *ask, struct why *why)
{
    struct attrs answer = ATTRS(4096);
    int result = channel_call(service_of(q), ask, &answer, 0, why);

    attrs_free(&answer);
    attrs_free(ask);
    return result;
}

static void put_file(struct attrs *ask, const struct qfile *file)
{
    int fd = file != NULL ? fcntl(qfile_fd(file), F_DUPFD_CLOEXEC, 0) : -1;

    if (fd >= 0)
        attrs_put_fd(ask, fd);
}

int bounce_append(enum queue q, const char *id, const struct bounce_record *r,
                  const struct qfile *file, struct why *why)
{
    struct attrs ask = ATTRS(BOUNCE_REQUEST_MAX);
    bool has_owner = r->report_to != NULL && *r->report_to != 0;

    attrs_putz(&ask, A_REQUEST, has_owner ? REQUEST_APPEND_OWNER : REQUEST_APPEND);
    attrs_putz(&ask, A_QUEUE_ID, id);
    bounce_record_to_attrs(r, &ask);
    put_file(&ask, file);
    return ask_service(q, &ask, why);
}

int bounce_report(enum queue q, const char *request, const struct delivery *d,
                  const struct qfile *file, struct why *why)
{
    struct attrs ask = ATTRS(BOUNCE_REQUEST_MAX);
    struct delivery message = *d;

    message.nrcpts = 0; /* they are in the log */
    attrs_putz(&ask, A_REQUEST, request);
    delivery_encode(&message, &ask);
    put_file(&ask, file);
    return ask_service(q, &ask, why);
}
