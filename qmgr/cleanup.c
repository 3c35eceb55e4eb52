/*
 * NAME
 *   cleanup - takes new mail into the queue
 *
 * SYNOPSIS
 *   cleanup [options of all daemons]
 *
 * DESCRIPTION
 *   cleanup gets a message from smtpd, pickup, bounce or local (queue/submit.h): envelope, content,
 *   and what was found in the content. It completes the header (Message-Id, Date, From, a To for
 *   undisclosed recipients), removes Bcc and its like, counts Received fields, brings addresses
 * into their canonical form, expands virtual aliases, adds the copies of the bcc parameters,
 * filters duplicate recipients, and writes one new file in the incoming queue (or the hold queue).
 * When the file is on stable storage it tells qmgr of it and answers with the queue id. Until then
 *   there is no message.
 *
 *   Milters see the message when all of it has been written, and change it in place: those that
 * smtpd has connected to, or non_smtpd_milters.
 *
 *   Body records are checked and copied as blocks; only the header is parsed, and the MIME parts of
 *   messages that header_checks or body_checks look at.
 *
 * SECURITY
 *   cleanup creates files in the queue and talks to qmgr and bounce. It connects to
 * non_smtpd_milters and to nothing else outside, runs no commands, and every record and attribute
 * of its clients is bounded.
 *
 * STANDARDS
 *   RFC 5321 (4.4 trace, 6.3 loops), RFC 5322 (message format)
 *
 * SEE ALSO
 *   qmgr(8), smtpd(8), pickup(8), canonical(5), virtual(5)
 */
#include "cleanup.h"

#include <sys/stat.h>

#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "milter/milter.h"
#include "net/stream.h"
#include "route/classes.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

/* With its head; less than what stream_peek_n can give. */
enum { RECORD_LIMIT = SUBMIT_RECORD_MAX + 8 };

static void cleanup_fail_one(struct cleanup *c, const char *code, const char *fmt, va_list ap)
{
    struct buf text = BUF_TEXT(1000);

    if (cleanup_failed(c))
        return;
    buf_addv(&text, fmt, ap);
    why_set(&c->why, code, "%s", text.p);
    buf_free(&text);
}

void cleanup_fail(struct cleanup *c, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cleanup_fail_one(c, code, fmt, ap);
    va_end(ap);
    c->stopped = true;
}

void cleanup_refuse(struct cleanup *c, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cleanup_fail_one(c, code, fmt, ap);
    va_end(ap);
    c->stopped = c->stopped || (c->flags & SUBMIT_BOUNCE) == 0 || code[0] != '5';
}

bool cleanup_failed(const struct cleanup *c)
{
    return c->why.code[0] != 0;
}

const char *cleanup_id(const struct cleanup *c)
{
    return c->d.queue_id != NULL ? c->d.queue_id : "NOQUEUE";
}

off_t cleanup_put(struct cleanup *c, enum rec type, struct str body)
{
    return c->stopped ? 0 : cleanup_edit_put(c, type, body);
}

static void broken(struct cleanup *c, const char *what)
{
    cleanup_fail(c, "4.3.0", "internal protocol error: %s", what);
    c->phase = CLEANUP_BROKEN;
}

/* What is held in memory for the client: nearly all of it is recipients. */
bool cleanup_has_room(struct cleanup *c)
{
    size_t held = arena_used(c->mem) - c->used_before + c->kept +
                  c->rcpts.room * sizeof *c->rcpts.at + c->prepend.room * sizeof *c->prepend.at +
                  c->asked.room * sizeof *c->asked.at;

    if (held <= (size_t)conf.cleanup_memory_limit)
        return true;
    /* A client of smtpd may find more later. A file in maildrop would be tried for ever. */
    cleanup_fail(c, (c->flags & SUBMIT_BOUNCE) != 0 ? "5.3.4" : "4.3.1",
                 "message needs too much memory: see cleanup_memory_limit");
    c->no_room = true;
    return false;
}

static void take_record(struct cleanup *c, int type, struct str body)
{
    if (c->file == NULL || c->no_room) { /* it is only read, so that the client hears why */
        if (type == REC_END)
            c->phase = CLEANUP_ENDED;
        return;
    }
    switch (c->phase) {
    case CLEANUP_ENVELOPE:
        cleanup_envelope(c, (enum rec)type, body);
        break;
    case CLEANUP_HEADER:
    case CLEANUP_BODY:
        if (type == REC_XTRA) {
            cleanup_convert_end(c);
            cleanup_end_headers(c);
            cleanup_edit_body(c);
            if (!c->stopped)
                c->size.size = c->size.content = qfile_tell(c->file) - c->size.data_offset;
            cleanup_put(c, REC_XTRA, STR(""));
            c->phase = CLEANUP_EXTRACTED;
        } else if ((type == REC_NORM || type == REC_CONT) && c->convert != NULL) {
            cleanup_convert_record(c, (enum rec)type, body);
        } else if (type == REC_NORM || type == REC_CONT) {
            cleanup_header_record(c, (enum rec)type, body);
        } else {
            broken(c, "unexpected record in the content");
        }
        break;
    default:
        cleanup_extracted(c, (enum rec)type, body);
    }
}

/* Takes the records that are there; the bytes used. *need: how many the next one wants. */
static size_t take_records(struct cleanup *c, struct str bytes, size_t *need)
{
    size_t used = 0;

    *need = 0;
    while (c->phase < CLEANUP_ENDED && used < bytes.n) {
        if (c->phase == CLEANUP_BODY)
            used += cleanup_body_records(c, str_from(bytes, used));
        struct str body;
        size_t size;
        int type = qrec_take(str_from(bytes, used), &body, &size);
        if (type == REC_EOF)
            break;
        if (type == QREC_MORE && size <= RECORD_LIMIT) {
            *need = size;
            break;
        }
        if (type < 0 || size > RECORD_LIMIT) {
            broken(c, "malformed record");
            break;
        }
        take_record(c, type, body);
        used += size;
        cleanup_has_room(c);
    }
    return used;
}

/* False: the client has gone before its end. */
static bool read_message(struct cleanup *c, struct stream *s)
{
    size_t need = 1;

    while (c->phase < CLEANUP_ENDED) {
        struct str bytes = stream_peek_n(s, need > 0 ? need : 1);
        if (bytes.n == 0 || bytes.n < need)
            return false;
        stream_skip(s, take_records(c, bytes, &need));
        task_yield_if_long();
    }
    return c->phase == CLEANUP_ENDED;
}

/* With SUBMIT_MILTERS. What the client is told early. */
static void tell_id(struct cleanup *c)
{
    struct attrs answer = ATTRS(4096);
    struct why why = WHY;

    attrs_put_why(&answer, NULL);
    attrs_putz(&answer, A_QUEUE_ID, qfile_id(c->file));
    if (attrs_send(c->from, &answer, &why) < 0)
        cleanup_fail(c, "4.3.0", "%s", why_text(&why));
    attrs_free(&answer);
    why_free(&why);
}

/* What the table of ipc/trust.c lets smtpd alone ask for. */
static void read_flags(struct cleanup *c, struct attrs *ask)
{
    c->flags = (unsigned)attrs_getn(ask, A_FLAGS, 0, 0xffff) & ~(unsigned)SUBMIT_MILTERS;
    if (strcmp(attrs_get(ask, A_REQUEST), REQUEST_SUBMIT_MILTERS) == 0)
        c->flags |= SUBMIT_MILTERS | SUBMIT_EDIT;
    else if (strcmp(attrs_get(ask, A_REQUEST), REQUEST_SUBMIT) != 0)
        broken(c, "not a submission");
    if (!attrs_ok(ask))
        broken(c, "malformed attributes");
    if (cleanup_has_local_milters(c))
        c->flags |= SUBMIT_EDIT;
}

static void start_message(struct cleanup *c, struct stream *client, struct attrs *ask,
                          struct arena *mem)
{
    *c = (struct cleanup){.mem = mem, .used_before = arena_used(mem), .why = WHY};
    c->from = client;
    c->client = ask->from;
    c->client_pid = ask->from_pid;
    c->dsn.original = BUF(RECORD_LIMIT); /* asked: by take_rcpt */
    c->dsn.orcpt = BUF(2 * RECORD_LIMIT); /* asked: by take_rcpt; quoted it may be longer */
    /* asked: by step_read */
    c->block.field = BUF((size_t)conf.header_size_limit + RECORD_LIMIT + 1);
    c->seen = hash_new();
    c->d = (struct delivery){.sender = "",
                             .nexthop = "",
                             .encoding = "",
                             .verp = "",
                             .dsn_envid = "",
                             .release_request = ""};
    c->d.client_name = c->d.client_addr = c->d.client_port = c->d.client_proto = "";
    c->d.client_helo = c->d.sasl_method = c->d.sasl_username = c->d.sasl_sender = "";
    c->d.rewrite_context = c->d.log_ident = c->d.filter = c->d.redirect = "";
    read_flags(c, ask);
    c->file = qfile_create((c->flags & SUBMIT_HOLD) != 0 ? Q_HOLD : Q_INCOMING, &c->why);
    if (c->file == NULL)
        service_look_at_dirs();
}

static void end_message(struct cleanup *c)
{
    if (c->file != NULL)
        qfile_abort(&c->file);
    buf_free(&c->dsn.original);
    buf_free(&c->dsn.orcpt);
    buf_free(&c->block.field);
    cleanup_mime_free(c);
    cleanup_convert_free(c);
    milters_free(&c->milters);
    hash_free(&c->seen, NULL);
    VEC_FREE(&c->rcpts);
    VEC_FREE(&c->prepend);
    VEC_FREE(&c->asked);
    VEC_FREE(&c->found_bcc);
    why_free(&c->why);
}

static void submission(struct stream *client, struct attrs *ask, struct attrs *answer,
                       struct arena *mem)
{
    struct cleanup c;

    start_message(&c, client, ask, mem);
    if ((c.flags & SUBMIT_MILTERS) != 0 && c.file != NULL)
        tell_id(&c);
    if ((c.flags & SUBMIT_MILTERS) != 0 && cleanup_failed(&c)) {
        attrs_put_why(answer, &c.why); /* at once */
    } else if (c.phase == CLEANUP_BROKEN || !read_message(&c, client)) {
        /* Protocol error: whatever follows cannot be understood, so close the channel. */
        cleanup_fail(&c, "4.3.0", "the client has gone");
        attrs_put_why(answer, &c.why);
        stream_fail(client, "protocol error");
    } else if (cleanup_ask_milters(&c), cleanup_finish(&c) < 0) {
        attrs_put_why(answer, &c.why);
        if (c.reply != NULL)
            attrs_putz(answer, A_REPLY, c.reply);
    } else {
        attrs_putz(answer, A_QUEUE_ID, c.d.queue_id);
    }
    end_message(&c);
}

static void cleanup_open_all(void)
{
    classes_open();
    cleanup_open_maps();
    cleanup_open_checks();
    cleanup_open_body();
    cleanup_open_strict();
    cleanup_open_milters();
}

/* "qmgr fifo" in an old master.cf: unlike a socket it is opened for writing. */
static void write_to_qmgr(void)
{
    struct buf path = BUF(256);
    struct stat st;

    buf_addf(&path, "public/%s", conf.queue_service_name);
    if (buf_ok(&path) && stat(path.p, &st) == 0 && S_ISFIFO(st.st_mode))
        jail_write(path.p);
    buf_free(&path);
}

static void cleanup_paths(void)
{
    write_to_qmgr();
    jail_write_queue("incoming");
    jail_write_queue("hold");
    jail_read_tables(conf.virtual_alias_maps);
    jail_read_tables(conf.canonical_maps);
    jail_read_tables(conf.sender_canonical_maps);
    jail_read_tables(conf.recipient_canonical_maps);
    jail_read_tables(conf.sender_bcc_maps);
    jail_read_tables(conf.recipient_bcc_maps);
    jail_read_tables(conf.header_checks);
    jail_read_tables(conf.mime_header_checks);
    jail_read_tables(conf.nested_header_checks);
    jail_read_tables(conf.milter_header_checks);
    cleanup_milter_paths();
    jail_read_tables(conf.body_checks);
}

int main(int argc, char **argv)
{
    static const struct service cleanup = {
        .name = "cleanup",
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_SHUT,
        .open = cleanup_open_all,
        .paths = cleanup_paths,
        .stream_request = submission,
    };
    return service_main(&cleanup, argc, argv);
}
