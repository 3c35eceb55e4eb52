/* dsn_report.h - writes delivery reports: RFC 3464 and 6522 */
#ifndef MAIL_DSN_REPORT_H
#define MAIL_DSN_REPORT_H

#include <stdint.h>

#include "base/buf.h"

enum dsn_kind {
    DSN_REPORT_FAILED, /* could not be delivered */
    DSN_REPORT_DELAYED, /* not yet */
    DSN_REPORT_SUCCESS, /* NOTIFY=SUCCESS */
    DSN_REPORT_STATUS, /* what was asked with sendmail -v or -bv */
};

/* The delivery status of one recipient. Members are not null unless said so; for "" the line is
 * left out. */
struct dsn_rcpt {
    const char *address;
    const char *original; /* that it was expanded from, an alias; or null */
    const char *orcpt; /* "rfc822;address" */
    const char *action; /* of the log; a failed report says "failed" in any case */
    const char *status; /* "5.1.1" */
    const char *diag_type, *diag_text; /* "smtp", "550 5.1.1 unknown" */
    const char *mta_type, *mta_name; /* "dns", the server that said so */
    const char *reason; /* one line */
};

struct dsn_words;
struct dsn_report {
    enum dsn_kind kind;
    const struct dsn_words *words; /* header fields and charset (mail/dsn_words.h) */
    const char
        *text; /* for people: the text of words, expanded; not in copies for the postmaster */
    const char *references; /* Message-ID of the original; "" for no thread */
    bool to_postmaster; /* a copy for the administrator, or about an undeliverable report */
    bool utf8; /* addresses may be UTF-8: RFC 6533 */
    bool tls_not_required; /* it goes on without TLS, too, as the message: RFC 8689 5 */
    bool utf8_names; /* the text may have such, too: it is not us-ascii */
    const char *host; /* the reporting server */
    const char *product; /* "Postfix": names the X- fields */
    const char *queue_id;
    const char *sender; /* of the original */
    const char *to; /* who gets the report */
    const char *envid; /* RFC 3461 4.4; "" if not given */
    const char *release_request; /* RFC 4865 8: "for;3600"; null or "" if not given */
    const char *boundary;
    int64_t now, arrival; /* wall clock seconds */
    int64_t deliver_by; /* RFC 2852 5, the same; 0: not asked for */
    int64_t retry_until; /* of a delayed report; 0: not said */
    bool whole_original; /* the whole message follows; else only its header */
};

/*
 * All append lines that end with LF. The report is: dsn_report_begin (the header, and what people
 * read up to the list), dsn_report_text for each recipient, dsn_report_status (the second part's
 * start), dsn_report_fields for each recipient, dsn_report_original (the third part's start), the
 * lines of the original, dsn_report_end. Received and Message-ID are not made here.
 */
void dsn_report_begin(const struct dsn_report *r, struct buf *out);
void dsn_report_text(const struct dsn_report *r, const struct dsn_rcpt *rcpt, struct buf *out);
void dsn_report_status(const struct dsn_report *r, struct buf *out);
void dsn_report_fields(const struct dsn_report *r, const struct dsn_rcpt *rcpt, struct buf *out);
void dsn_report_original(const struct dsn_report *r, struct buf *out);
void dsn_report_end(const struct dsn_report *r, struct buf *out);

#endif
