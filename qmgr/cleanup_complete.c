/*
 * The fields that a message must have (RFC 5322 3.6) and that a submission agent may add (RFC 6409
 * 8): Message-Id, Date, From, To.
 */
#include "base/str.h"
#include "conf/conf.h"
#include "mail/addr_list.h"
#include "mail/date.h"
#include "mail/msgid.h"
#include "mail/path.h"

#include "cleanup.h"

static void add_message_id(struct cleanup *c)
{
    struct buf id = BUF(100 + strlen(conf.myhostname)); /* fits: a time and a queue id */

    if (conf.enable_long_queue_ids)
        buf_addf(&id, "<%s@%s>", c->d.queue_id, conf.myhostname);
    else
        msgid_format(c->d.arrival_us / 1000000, c->d.queue_id, conf.myhostname, &id);
    cleanup_put_fieldf(c, "%sMessage-Id: %s", c->resent ? "Resent-" : "", id.p);
    cleanup_log_id(c, c->resent, buf_str(&id));
    c->headers_seen |= c->resent ? SEEN_RESENT_MESSAGE_ID : SEEN_MESSAGE_ID;
    buf_free(&id);
}

static void add_from(struct cleanup *c)
{
    struct buf text = BUF(REC_MAX);
    const char *sender = c->d.sender[0] != 0 ? c->d.sender : conf.empty_address_recipient;
    bool named = c->full_name != NULL && c->full_name[0] != 0;

    if (named && strcmp(conf.header_from_format, "obsolete") != 0) {
        addr_print_phrase(strz(c->full_name), &text);
        buf_addz(&text, " <");
        path_quote(strz(sender), &text);
        buf_addc(&text, '>');
    } else {
        path_quote(strz(sender), &text);
        if (named)
            buf_addf(&text, " (%s)", c->full_name);
    }
    if (buf_ok(&text))
        cleanup_put_fieldf(c, "%sFrom: %s", c->resent ? "Resent-" : "", text.p);
    else
        cleanup_fail(c, "5.3.4", "the sender's address is too long");
    buf_free(&text);
}

void cleanup_complete_header(struct cleanup *c)
{
    unsigned seen = c->headers_seen;
    bool complete = rewrite_active(c->rewrite) || conf.always_add_missing_headers;

    if (complete && (seen & (c->resent ? SEEN_RESENT_MESSAGE_ID : SEEN_MESSAGE_ID)) == 0)
        add_message_id(c);
    if ((c->headers_seen & SEEN_MESSAGE_ID) == 0 && !c->resent)
        cleanup_log_id(c, false, STR("<>"));
    if (complete && (seen & (c->resent ? SEEN_RESENT_DATE : SEEN_DATE)) == 0) {
        struct buf date = BUF(200); /* fits: a date */
        date_format_local(c->d.arrival_us / 1000000, &date);
        cleanup_put_fieldf(c, "%sDate: %s", c->resent ? "Resent-" : "", date.p);
        buf_free(&date);
    }
    if (complete && (seen & (c->resent ? SEEN_RESENT_FROM : SEEN_FROM)) == 0)
        add_from(c);
    if ((c->flags & SUBMIT_REQUIRETLS) != 0 && conf.requiretls_enable &&
        conf.requiretls_esmtp_header && (seen & SEEN_REQUIRETLS) == 0)
        cleanup_put_fieldf(c, "Require-TLS-ESMTP: yes");
    if (conf.undisclosed_recipients_header[0] != 0 && (seen & SEEN_VISIBLE_RCPT) == 0)
        cleanup_put_fieldf(c, "%s", conf.undisclosed_recipients_header);
}
