/*
 * Delivery reports: a text for people, fields for programs, and the message or its header.
 */
#include "mail/dsn_report.h"

#include "base/str.h"
#include "mail/date.h"
#include "mail/dsn_words.h"

enum { TEXT_WIDTH = 75, FIELD_WIDTH = 76 };

static const struct {
    const char *original, *headers, *action;
} kinds[] = {
    [DSN_REPORT_FAILED] = {"Undelivered Message", "Undelivered Message Headers", "failed"},
    [DSN_REPORT_DELAYED] = {"Delayed Message", "Delayed Message Headers", "delayed"},
    [DSN_REPORT_SUCCESS] = {"Delivered Message", "Message Headers", NULL},
    [DSN_REPORT_STATUS] = {"Message", "Message Headers", NULL},
};

/* A value from outside: one line of printable text; UTF-8 only where it is allowed. */
static void put_clean(const struct dsn_report *r, const char *text, struct buf *out)
{
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        bool bad = c < ' ' || c == 0x7f || (c >= 0x80 && !r->utf8);
        buf_addc(out, bad ? '?' : *text);
    }
}

/* Breaks at blanks, never within a word. The first line has used chars already. */
static void put_wrapped(const struct dsn_report *r, const char *text, size_t used, size_t width,
                        const char *indent, struct buf *out)
{
    struct buf clean = BUF_TEXT(70000);
    struct str rest, word;

    put_clean(r, text, &clean);
    rest = buf_str(&clean);
    size_t column = used;
    bool first = true;
    while (str_word(&rest, " ", &word)) {
        if (!first && column + 1 + word.n > width) {
            buf_addf(out, "\n%s", indent);
            column = strlen(indent);
        } else if (!first) {
            buf_addc(out, ' ');
            column++;
        }
        buf_add(out, word);
        column += word.n;
        first = false;
    }
    buf_addc(out, '\n');
    buf_free(&clean);
}

static void put_date(const char *name, int64_t wall, struct buf *out)
{
    buf_addf(out, "%s: ", name);
    date_format_local(wall, out);
    buf_addc(out, '\n');
}

static bool has_8bit(const char *s)
{
    for (; *s != 0; s++)
        if ((unsigned char)*s >= 0x80)
            return true;
    return false;
}

static const char *subject(const struct dsn_report *r)
{
    const struct dsn_words *w = r->words;
    return r->to_postmaster && w->postmaster_subject != NULL ? w->postmaster_subject : w->subject;
}

static const char *charset(const struct dsn_report *r)
{
    bool utf8 = r->utf8 || (r->utf8_names && strcasecmp(r->words->charset, "us-ascii") == 0);

    return utf8 ? "utf-8" : r->words->charset;
}

void dsn_report_begin(const struct dsn_report *r, struct buf *out)
{
    put_date("Date", r->now, out);
    buf_addf(out, "From: %s\nSubject: %s\nTo: ", r->words->from, subject(r));
    put_clean(r, r->to, out);
    /* RFC 3834 5 */
    buf_addf(out, "\nAuto-Submitted: %s\n", r->to_postmaster ? "auto-generated" : "auto-replied");
    if (r->tls_not_required)
        buf_addz(out, "TLS-Required: no\n");
    if (*r->references != 0) { /* RFC 5322 3.6.4 */
        buf_addz(out, "References: ");
        put_clean(r, r->references, out);
        buf_addz(out, "\nIn-Reply-To: ");
        put_clean(r, r->references, out);
        buf_addc(out, '\n');
    }
    buf_addf(out,
             "MIME-Version: 1.0\n"
             "Content-Type: multipart/report; report-type=delivery-status;\n"
             "\tboundary=\"%s\"\n"
             "Content-Transfer-Encoding: 8bit\n"
             "\n"
             "This is a message in several parts (MIME).\n"
             "\n"
             "--%s\n"
             "Content-Description: Notification\n"
             "Content-Type: text/plain; charset=%s\n"
             "Content-Transfer-Encoding: 8bit\n"
             "\n"
             "%s"
             "\n",
             r->boundary, r->boundary, charset(r), r->to_postmaster ? "" : r->text);
}

void dsn_report_text(const struct dsn_report *r, const struct dsn_rcpt *rcpt, struct buf *out)
{
    size_t from = out->n;

    buf_addc(out, '<');
    put_clean(r, rcpt->address, out);
    buf_addc(out, '>');
    if (strz(rcpt->original).n > 0 && !str_ieq(strz(rcpt->original), strz(rcpt->address))) {
        buf_addz(out, " (expanded from <");
        put_clean(r, rcpt->original, out);
        buf_addz(out, ">)");
    }
    buf_addz(out, ": ");
    put_wrapped(r, rcpt->reason, out->n - from, TEXT_WIDTH, "    ", out);
    buf_addc(out, '\n');
}

/* RFC 3464 2.2: the fields of the message. */
void dsn_report_status(const struct dsn_report *r, struct buf *out)
{
    buf_addf(out,
             "--%s\n"
             "Content-Description: Delivery report\n"
             "Content-Type: message/%s\n",
             r->boundary, r->utf8 ? "global-delivery-status" : "delivery-status");
    if (r->utf8)
        buf_addz(out, "Content-Transfer-Encoding: 8bit\n");
    buf_addf(out, "\nReporting-MTA: dns; %s\n", r->host);
    if (*r->envid != 0) {
        buf_addz(out, "Original-Envelope-Id: ");
        put_clean(r, r->envid, out);
        buf_addc(out, '\n');
    }
    buf_addf(out, "X-%s-Queue-ID: %s\nX-%s-Sender: %s; ", r->product, r->queue_id, r->product,
             has_8bit(r->sender) && r->utf8 ? "utf-8" : "rfc822");
    put_clean(r, r->sender, out);
    buf_addc(out, '\n');
    if (r->arrival > 0)
        put_date("Arrival-Date", r->arrival, out);
    if (r->deliver_by > 0)
        put_date("Deliver-By-Date", r->deliver_by, out);
    if (r->release_request != NULL && *r->release_request != 0) {
        buf_addz(out, "Future-Release-Request: ");
        put_clean(r, r->release_request, out);
        buf_addc(out, '\n');
    }
    buf_addc(out, '\n');
}

/* RFC 3464 2.3: the fields of a recipient. */
void dsn_report_fields(const struct dsn_report *r, const struct dsn_rcpt *rcpt, struct buf *out)
{
    const char *action = kinds[r->kind].action;
    size_t from;

    buf_addf(out, "Final-Recipient: %s; ", has_8bit(rcpt->address) && r->utf8 ? "utf-8" : "rfc822");
    put_clean(r, rcpt->address, out);
    buf_addc(out, '\n');
    if (*rcpt->orcpt != 0) {
        buf_addz(out, "Original-Recipient: ");
        put_clean(r, rcpt->orcpt, out);
        buf_addc(out, '\n');
    }
    buf_addf(out, "Action: %s\n", action != NULL ? action : rcpt->action);
    buf_addf(out, "Status: %s\n", rcpt->status);
    if (*rcpt->mta_type != 0 && *rcpt->mta_name != 0) {
        buf_addf(out, "Remote-MTA: %s; ", rcpt->mta_type);
        put_clean(r, rcpt->mta_name, out);
        buf_addc(out, '\n');
    }
    from = out->n;
    bool given = *rcpt->diag_type != 0 && *rcpt->diag_text != 0;
    if (given)
        buf_addf(out, "Diagnostic-Code: %s; ", rcpt->diag_type);
    else
        buf_addf(out, "Diagnostic-Code: X-%s; ", r->product);
    put_wrapped(r, given ? rcpt->diag_text : rcpt->reason, out->n - from, FIELD_WIDTH, "    ", out);
    if (r->kind == DSN_REPORT_DELAYED && r->retry_until > 0)
        put_date("Will-Retry-Until", r->retry_until, out);
    buf_addc(out, '\n');
}

/* RFC 3462 2: the message, or text/rfc822-headers (RFC 3462 3; RFC 6533 for UTF-8). */
void dsn_report_original(const struct dsn_report *r, struct buf *out)
{
    const char *type = r->whole_original ? (r->utf8 ? "message/global" : "message/rfc822")
                       : r->utf8         ? "message/global-headers"
                                         : "text/rfc822-headers";

    buf_addf(out,
             "--%s\n"
             "Content-Description: %s\n"
             "Content-Type: %s\n"
             "Content-Transfer-Encoding: 8bit\n"
             "\n"
             "Return-Path: <",
             r->boundary, r->whole_original ? kinds[r->kind].original : kinds[r->kind].headers,
             type);
    put_clean(r, r->sender, out);
    buf_addz(out, ">\n");
}

void dsn_report_end(const struct dsn_report *r, struct buf *out)
{
    buf_addf(out, "\n--%s--\n", r->boundary);
}
