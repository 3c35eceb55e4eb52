/*
 * NAME
 *   pickup - takes mail of local programs into the queue
 *
 * SYNOPSIS
 *   pickup [options of all daemons]
 *
 * DESCRIPTION
 *   postdrop leaves messages in the maildrop directory and wakes pickup; so does master from time
 * to time. pickup passes each to cleanup, adds a Received field that tells the user, and removes
 * the file when cleanup has the message on stable storage. What cannot be taken now stays; what is
 *   damaged goes to the corrupt queue.
 *
 * SECURITY
 *   The files are written by any local user: only the records of a new message are passed on, and
 *   of attributes only those that a user may set.
 *
 * SEE ALSO
 *   postdrop(1), sendmail(1), cleanup(8)
 */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "mail/received.h"
#include "queue/qfile.h"
#include "queue/submit.h"
#include "service/jail.h"
#include "service/service.h"

/* One file on its way to cleanup. */
struct drop {
    const char *name; /* in maildrop */
    struct qfile *file;
    struct submit *submit;
    uid_t uid;
    int64_t arrival;
    struct buf sender;
    bool has_sender;
    int64_t attributes; /* that cleanup counts */
    bool remote; /* sendmail -G: headers are not ours to complete */
    bool requeued; /* postsuper -r: a queue file of our own, with all that it knows */
    struct buf pending; /* records in front of a recipient, until it is known to be needed */
    size_t left, done; /* recipients; done: or taken back by a milter */
    bool delivered; /* a recipient is done */
    bool redirected; /* to one recipient, in the place of all */
    bool finished; /* nobody is left: its delivery ended while postsuper -r took it */
    struct why why;
};

enum part { ENVELOPE, CONTENT, EXTRACTED, COMPLETE };

/* Attributes that a local user may set. */
static bool may_pass(struct str record)
{
    static const char *const names[] = {"dsn_orig_rcpt", "encoding",  "envelope_id",
                                        "notify_flags",  "ret_flags", "trace_flags"};
    struct str name, value;

    if (!qrec_parse_attr(record, &name, &value))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eqz(name, names[i]))
            return true;
    return false;
}

/* What cleanup makes anew for each file. */
static bool is_own_attribute(struct str name)
{
    return str_eqz(name, "create_time") || str_eqz(name, "log_ident") || str_eqz(name, "log_as") ||
           str_eqz(name, "log_text") || str_starts(name, STR("received_"));
}

static int damaged(struct drop *d, const char *what)
{
    return qfile_damaged(d->file, what, &d->why);
}

/* What cleanup would take for a mistake of ours, which may be mended some time, can only be one of
 * whoever has written the file: it would be tried for ever. */
static int pass_attribute(struct drop *d, struct str body)
{
    struct str name, value;

    if (!qrec_parse_attr(body, &name, &value))
        return 0;
    if (str_eqz(name, "rewrite_context")) {
        d->remote = str_eqz(value, "remote");
    } else if (str_eqz(name, "dsn_orig_rcpt") || str_eqz(name, "notify_flags")) {
        qrec_put(&d->pending, REC_ATTR, body);
    } else if (may_pass(body) || (d->requeued && !is_own_attribute(name))) {
        d->attributes += !str_eqz(name, "encoding"); /* and one will be ours */
        if (d->attributes >= conf.queue_file_attribute_count_limit && !d->requeued)
            return damaged(d, "too many attributes");
        submit_put(d->submit, REC_ATTR, body);
    }
    return 0;
}

static int pass_sender(struct drop *d, struct str body)
{
    if (d->has_sender)
        return damaged(d, "two senders");
    d->has_sender = true;
    buf_set(&d->sender, body);
    submit_put(d->submit, REC_FROM, body);
    return 0;
}

/* What of a queue file is left to do, and nothing that cleanup will say itself. */
static bool pass_requeued(struct drop *d, enum rec type, struct str body)
{
    static const char left_out[] = {REC_KILL, REC_WARN, REC_FILT, REC_FLGS, REC_CTIME, 0};

    if (type == REC_ORCP) {
        qrec_put(&d->pending, type, body);
    } else if (type == REC_DONE || type == REC_DRCP) {
        buf_clear(&d->pending);
        d->done++;
        d->delivered |= type == REC_DONE;
    } else if (type == REC_RDIR) {
        submit_put(d->submit, type, body);
        d->redirected = true;
    } else {
        return type > 0 && type < 128 && strchr(left_out, type) != NULL;
    }
    return true;
}

static void put_trace(struct drop *d)
{
    struct received r = {.uid = (long)d->uid,
                         .host = conf.myhostname,
                         .mail_name = conf.mail_name,
                         .wall = d->arrival};
    struct buf text = BUF_TEXT(2000); /* our own names, and a date */

    received_before(&r, &text);
    submit_putf(d->submit, REC_ATTR, "received_before=%s", text.p);
    buf_clear(&text);
    received_after(&r, &text);
    submit_putf(d->submit, REC_ATTR, "received_after=%s", text.p);
    buf_free(&text);
}

/* "ID: uid=0 from=<a>", written by cleanup in our name: it knows the queue id first. */
static void put_log_line(struct drop *d)
{
    struct buf who = BUF_TEXT(200), sender = BUF_TEXT(4096);

    msg_who(&who);
    path_quote(buf_str(&d->sender), &sender);
    submit_putf(d->submit, REC_ATTR, "log_as=%s", who.p);
    submit_putf(d->submit, REC_ATTR, "log_text=uid=%ld from=<%s>", (long)d->uid, sender.p);
    buf_free(&who);
    buf_free(&sender);
}

static int pass_rcpt(struct drop *d, struct str body)
{
    if (!d->has_sender)
        return damaged(d, "no sender in front of a recipient");
    if (!buf_ok(&d->pending))
        return damaged(d, "too much in front of a recipient");
    submit_raw(d->submit, buf_str(&d->pending));
    buf_clear(&d->pending);
    submit_put(d->submit, REC_RCPT, body);
    d->left++;
    return 0;
}

static bool is_rcpt_attribute(struct str body)
{
    struct str name, value;

    return qrec_parse_attr(body, &name, &value) &&
           (str_eqz(name, "dsn_orig_rcpt") || str_eqz(name, "notify_flags"));
}

/*
 * Queue files of old, and those that a milter has edited, have recipients behind the content;
 * cleanup wants all of them before. The rest that stands there it finds anew. The file is at the
 * content.
 */
static int pass_late_rcpts(struct drop *d)
{
    off_t content = qfile_tell(d->file);
    bool extracted = false;
    struct str body;
    enum rec type;

    while ((type = qfile_next(d->file, &body)) != REC_END) {
        if (type == REC_BAD || type == REC_EOF)
            return damaged(d, "malformed record");
        if (type == REC_XTRA)
            extracted = true;
        else if (extracted && type == REC_RCPT && pass_rcpt(d, body) < 0)
            return -1;
        else if (extracted && type == REC_ATTR && is_rcpt_attribute(body))
            qrec_put(&d->pending, type, body);
        else if (extracted && (type == REC_ORCP || type == REC_DONE || type == REC_DRCP))
            pass_requeued(d, type, body);
        else if (extracted && type == REC_RDIR)
            d->redirected = true;
    }
    return qfile_seek(d->file, content, &d->why);
}

static bool is_finished(const struct drop *d)
{
    return d->requeued && ((d->left == 0 && d->done > 0) || (d->redirected && d->delivered));
}

static int pass_envelope(struct drop *d, enum rec type, struct str body, enum part *part)
{
    switch (type) {
    case REC_TIME:
        break;
    case REC_SIZE: /* of a queue file: what was asked for the message */
        if (d->requeued)
            submit_put(d->submit, type, body);
        break;
    case REC_ATTR:
        return pass_attribute(d, body);
    case REC_FROM:
        return pass_sender(d, body);
    case REC_RCPT:
        return pass_rcpt(d, body);
    case REC_FULL:
    case REC_VERP:
        submit_put(d->submit, type, body);
        break;
    case REC_MESG:
        if (!d->has_sender)
            return damaged(d, "no sender");
        if (d->requeued && pass_late_rcpts(d) < 0)
            return -1;
        d->finished = is_finished(d);
        if (d->finished)
            return why_set(&d->why, "2.0.0", "all recipients are done");
        if (*conf.content_filter != 0)
            submit_put(d->submit, REC_FILT, strz(conf.content_filter));
        submit_putf(d->submit, REC_ATTR, "rewrite_context=%s", d->remote ? "remote" : "local");
        put_trace(d);
        put_log_line(d);
        submit_put(d->submit, type, body);
        *part = CONTENT;
        break;
    default:
        if (!d->requeued || !pass_requeued(d, type, body))
            return damaged(d, "unexpected record in the envelope");
    }
    return 0;
}

static int pass_content(struct drop *d, enum rec type, struct str body, enum part *part)
{
    if (type != REC_NORM && type != REC_CONT && type != REC_XTRA)
        return damaged(d, "unexpected record in the content");
    submit_put(d->submit, type, body);
    if (type == REC_XTRA)
        *part = EXTRACTED;
    return 0;
}

/* Only of content may a record be longer than what cleanup takes: submit_put makes pieces of it.
 * What a local user sends postdrop has measured; line_length_limit may have been larger then, and
 * does not bind the queue files of our own that postsuper -r gives back. */
static bool fits(enum rec type, struct str body)
{
    return body.n <= SUBMIT_RECORD_MAX || type == REC_NORM || type == REC_CONT;
}

static int pass_record(struct drop *d, enum rec type, struct str body, enum part *part)
{
    if (type == REC_BAD || type == REC_EOF || !fits(type, body))
        return damaged(d, "malformed record");
    if (*part == ENVELOPE)
        return pass_envelope(d, type, body, part);
    if (*part == CONTENT)
        return pass_content(d, type, body, part);
    if (type == REC_RRTO || type == REC_ERTO || type == REC_ATTR ||
        (d->requeued && type != REC_END))
        return 0;
    if (type != REC_END)
        return damaged(d, "unexpected record after the content");
    submit_put(d->submit, type, body);
    *part = COMPLETE;
    return 0;
}

static int pass_all(struct drop *d)
{
    enum part part = ENVELOPE;
    struct str body;

    submit_putf(d->submit, REC_TIME, "%" PRId64 " 0", d->arrival);
    while (part != COMPLETE)
        if (pass_record(d, qfile_next(d->file, &body), body, &part) < 0)
            return -1;
    return 0;
}

static int submit(struct drop *d)
{
    bool filtered = (submit_overrides() & OVERRIDE_NO_MILTERS) == 0;

    d->submit = submit_begin(submit_external() | SUBMIT_BOUNCE | submit_class("sendmail") |
                                 (filtered ? SUBMIT_LOCAL : 0u),
                             &d->why);
    int result =
        d->submit == NULL || pass_all(d) < 0 ? -1 : submit_commit(&d->submit, NULL, &d->why);
    submit_abort(&d->submit);
    return result;
}

/* Names of files that are through and could not be removed: they must not be taken a second time.
 */
static struct hash *through;

/* It has been taken, or is nothing. */
static int remove_drop(const char *name, struct why *why)
{
    int result = queue_remove(Q_MAILDROP, name, why);

    if (result == 0 || errno == ENOENT)
        hash_drop(through, strz(name));
    else
        hash_put(through, strz(name), through);
    return result;
}

/* Done, for another time, or never. */
static void finish_drop(struct drop *d, int result)
{
    struct why why = WHY;

    if (d->finished) {
        result = remove_drop(d->name, &why);
        if (result == 0)
            msg_info("%s: %s: removed", d->name, why_text(&d->why));
    } else if (result < 0 && why_later(&d->why)) {
        msg_warn("maildrop/%s: %s", d->name, why_text(&d->why));
    } else if (result < 0) {
        msg_warn("maildrop/%s: %s: moved to the corrupt queue", d->name, why_text(&d->why));
        result = queue_move(d->name, Q_MAILDROP, Q_CORRUPT, &why);
    } else {
        result = remove_drop(d->name, &why);
    }
    if (result < 0 && why.code[0] != 0)
        msg_warn("maildrop/%s: %s", d->name, why_text(&why));
    why_free(&why);
}

static void remove_again(const char *name)
{
    struct why why = WHY;

    if (remove_drop(name, &why) < 0)
        msg_warn("maildrop/%s: %s", name, why_text(&why));
    why_free(&why);
}

static void pickup_take(const char *name)
{
    /* fits: a record */
    struct drop d = {.name = name, .sender = BUF(REC_MAX), .pending = BUF(REC_MAX), .why = WHY};

    d.file = qfile_open(Q_MAILDROP, name, QFILE_READ, &d.why);
    if (d.file == NULL) {
        msg_warn("maildrop/%s: %s", name, why_text(&d.why));
    } else {
        const struct stat *st = qfile_stat(d.file);
        d.uid = st->st_uid;
        d.arrival = st->st_mtime;
        d.requeued = d.uid == geteuid();
        int result = submit(&d);
        qfile_close(&d.file);
        finish_drop(&d, result);
    }
    buf_free(&d.sender);
    buf_free(&d.pending);
    why_free(&d.why);
}

/* After a reload the file at hand is finished; the next process, which master wakes, takes the
 * others. */
static void wake(char reason)
{
    struct queue_scan *scan = queue_scan_new(Q_MAILDROP);
    struct stat st;
    const char *name;

    (void)reason;
    while (!service_draining() && (name = queue_scan_next(scan)) != NULL)
        if (hash_find(through, strz(name)) != NULL)
            remove_again(name);
        else if (queue_stat(Q_MAILDROP, name, &st) && (st.st_mode & S_IXUSR) != 0)
            pickup_take(name);
    if (queue_scan_failed(scan)) {
        msg_warn("the maildrop queue cannot be read to its end: mail waits there");
        service_look_at_dirs();
    }
    queue_scan_free(&scan);
}

static void pickup_open(void)
{
    through = hash_new();
    submit_open_overrides();
}

static void pickup_paths(void)
{
    jail_write_queue("maildrop");
    jail_write_queue("corrupt");
}

int main(int argc, char **argv)
{
    static const struct service pickup = {
        .name = "pickup",
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE,
        .alone = true,
        .open = pickup_open,
        .paths = pickup_paths,
        .wake = wake,
    };
    return service_main(&pickup, argc, argv);
}
