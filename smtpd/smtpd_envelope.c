/*
 * The envelope as queue file records, in front of the content: where the message comes from, its
 * sender and recipients, and the trace field. RFC 5321 4.4
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "mail/received.h"
#include "milter/milter.h"
#include "net/tls.h"
#include "queue/submit.h"

#include "smtpd_proxy.h"
#include "smtpd_transfer.h"

static void attr(struct transfer *t, const char *name, const char *value)
{
    if (value != NULL)
        smtpd_transfer_putf(t, REC_ATTR, "%s=%s", name, value);
}

/* What the Received field says of this client: RFC 5321 4.4, RFC 3848 (with ESMTPSA), RFC 6531 4.3.
 */
static void make_trace(struct transfer *t, struct buf *before, struct buf *after)
{
    struct smtpd *s = t->s;
    struct buf rcpt = BUF(SMTPD_RECORDS_MOST / 8);
    struct buf protocol = BUF(20); /* fits: UTF8SMTPSA */
    struct received r = {.helo = s->helo != NULL ? s->helo : s->peer.name,
                         .client_name = s->peer.name,
                         .client_addr = s->peer.addr_text,
                         .host = conf.myhostname,
                         .mail_name = conf.mail_name,
                         .has_priority = t->m->has_priority,
                         .priority = t->m->priority,
                         .hidden = conf.smtpd_hide_client_session,
                         .wall = clock_wall()};

    struct received_cert cert = {.asked = conf.smtpd_tls_ask_ccert || conf.smtpd_tls_req_ccert};

    buf_addf(&protocol, "%s%s%s", t->m->utf8 ? "UTF8SMTP" : smtpd_protocol(s),
             s->esmtp && s->tls != NULL ? "S" : "",
             s->esmtp && s->sasl_username != NULL ? "A" : "");
    r.protocol = protocol.p;
    if (conf.smtpd_tls_received_header && s->tls != NULL) {
        r.tls = s->tls->summary;
        r.cert = &cert;
        cert.sent = s->tls->has_cert;
        cert.trusted = s->tls->trusted;
        cert.name = cert.sent ? s->tls->cert_name : "";
        cert.issuer = cert.sent ? s->tls->issuer : "";
    }
    if (conf.smtpd_sasl_authenticated_header)
        r.login = s->sasl_username;
    if (t->m->rcpts.n == 1) { /* more would tell one of the other */
        path_quote(strz(t->m->rcpts.at[0].address), &rcpt);
        r.rcpt = rcpt.p;
    }
    received_before(&r, before);
    received_after(&r, after);
    if (!buf_ok(before) || !buf_ok(after) || !buf_ok(&rcpt))
        why_set(&t->why, "5.3.4", "the trace field is too long");
    buf_free(&rcpt);
    buf_free(&protocol);
}

static void put_trace(struct transfer *t)
{
    /* asked: by make_trace */
    struct buf before = BUF(SMTPD_RECORDS_MOST / 4), after = BUF(SMTPD_RECORDS_MOST / 4);

    make_trace(t, &before, &after);
    attr(t, "received_before", before.p);
    attr(t, "received_after", after.p);
    buf_free(&before);
    buf_free(&after);
}

/* The line that begins the log of a message. cleanup writes it in our name, since it knows the
 * queue id before us. */
static void put_log_line(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf line = BUF_TEXT(4096), who = BUF_TEXT(200);

    msg_who(&who);
    attr(t, "log_as", who.p);
    smtpd_describe_client(s, &line);
    attr(t, "log_text", line.p);
    buf_free(&line);
    buf_free(&who);
}

/* Where it came from: after a content filter, what the filter says of it (XFORWARD). */
static void put_origin(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf namaddr = BUF_TEXT(1000);

    smtpd_origin_namaddr(s, &namaddr);
    attr(t, "log_ident", smtpd_origin(s, X_IDENT));
    attr(t, "log_client_name", smtpd_origin(s, X_NAME));
    attr(t, "log_client_address", smtpd_origin(s, X_ADDR));
    attr(t, "log_client_port", smtpd_origin(s, X_PORT));
    attr(t, "log_message_origin", namaddr.p);
    attr(t, "log_helo_name", smtpd_origin(s, X_HELO));
    attr(t, "log_protocol_name", smtpd_origin(s, X_PROTO));
    buf_free(&namaddr);
}

/* Who speaks with us now. */
static void put_client(struct transfer *t)
{
    struct smtpd *s = t->s;
    char local[ADDR_TEXT], local_port[8];

    snprintf(local_port, sizeof local_port, "%u", s->peer.local.port);
    put_origin(t);
    attr(t, "client_name", s->peer.name);
    attr(t, "reverse_client_name", s->peer.reverse_name);
    attr(t, "client_address", s->peer.addr_text);
    attr(t, "client_port", s->port);
    attr(t, "server_address", addr_text(&s->peer.local, local));
    attr(t, "server_port", local_port);
    attr(t, "helo_name", s->helo);
    attr(t, "protocol_name", smtpd_protocol(s));
    attr(t, "sasl_method", s->sasl_method);
    attr(t, "sasl_username", s->sasl_username);
    if (s->sasl_username != NULL)
        attr(t, "sasl_sender", t->m->sasl_sender);
}

static void put_rcpt(struct transfer *t, const struct smtpd_rcpt *r)
{
    attr(t, "dsn_orig_rcpt", r->orcpt);
    if (r->notify != 0)
        smtpd_transfer_putf(t, REC_ATTR, "notify_flags=%u", r->notify);
    smtpd_transfer_put(t, REC_ORCP, strz(r->address));
    smtpd_transfer_put(t, REC_RCPT, strz(r->address));
}

/* What access tables ordered: as a recipient who wants no reports. */
static void put_bcc(struct transfer *t, const char *address)
{
    smtpd_transfer_putf(t, REC_ATTR, "notify_flags=%d", DSN_NEVER);
    smtpd_transfer_put(t, REC_ORCP, strz(address));
    smtpd_transfer_put(t, REC_RCPT, strz(address));
}

/* The filters' connections, which cleanup uses until it has answered. */
static void put_milters(struct transfer *t)
{
    struct buf state = BUF(MILTERS_STATE_MOST);
    int fds[MILTERS_MOST];
    size_t n;

    smtpd_transfer_flush(t);
    if (!milters_export(t->s->milters, &state, fds, &n))
        why_set(&t->why, "4.3.0", "the mail filters cannot be handed over");
    else if (n > 0 && buf_ok(&state))
        submit_milters(t->submit, buf_str(&state), fds, n);
    buf_free(&state);
}

/* The before-queue filter has the envelope already: what is left are header fields. There is no
 * queue id yet. */
void smtpd_put_to_proxy(struct transfer *t)
{
    /* asked: by make_trace */
    struct buf field = BUF(SMTPD_RECORDS_MOST), after = BUF(SMTPD_RECORDS_MOST / 4);
    struct str rest, line;

    VEC_EACH (&t->m->prepend, text)
        smtpd_proxy_put(t->s, strz(*text), true);
    buf_addz(&field, "Received: ");
    make_trace(t, &field, &after);
    buf_cut(&field, str_rtrim(buf_str(&field)).n);
    buf_add(&field, buf_str(&after));
    if (!buf_ok(&field) && t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "the trace field is too long");
    rest = buf_str(&field);
    while (str_split(&rest, '\n', &line))
        smtpd_proxy_put(t->s, line, true);
    buf_free(&field);
    buf_free(&after);
}

static void put_deliver_by(struct transfer *t)
{
    struct buf by = BUF(100); /* fits: a number and two letters */

    deliver_by_format(&t->m->by, &by);
    if (t->m->by.s != 0)
        attr(t, "deliver_by", by.p);
    buf_free(&by);
}

void smtpd_put_envelope(struct transfer *t)
{
    struct smtpd_mail *m = t->m;
    int64_t now = clock_wall_us();

    smtpd_transfer_putf(t, REC_TIME, "%" PRId64 " %" PRId64, now / 1000000, now % 1000000);
    attr(t, "rewrite_context", smtpd_origin_is_local(t->s) ? "local" : "remote");
    put_trace(t);
    const char *filter = m->filter != NULL ? m->filter : conf.content_filter;
    if (*filter != 0)
        smtpd_transfer_put(t, REC_FILT, strz(filter));
    if (m->redirect != NULL)
        smtpd_transfer_put(t, REC_RDIR, strz(m->redirect));
    VEC_EACH (&m->prepend, line)
        attr(t, "prepend", *line);
    if (m->priority != 0)
        smtpd_transfer_putf(t, REC_ATTR, "mt_priority=%d", m->priority);
    if (m->release_request != NULL)
        smtpd_transfer_putf(t, REC_ATTR, "release_time=%" PRId64, m->release_s);
    attr(t, "release_request", m->release_request);
    put_deliver_by(t);
    smtpd_transfer_put(t, REC_FROM, strz(m->sender));
    if (m->verp != NULL)
        smtpd_transfer_put(t, REC_VERP, strz(m->verp));
    put_client(t);
    put_log_line(t);
    attr(t, "encoding", m->eight_bit ? "8bit" : "7bit");
    attr(t, "envelope_id", m->envid);
    if (m->ret != DSN_RET_NONE)
        smtpd_transfer_putf(t, REC_ATTR, "ret_flags=%d", (int)m->ret);
    VEC_EACH (&m->rcpts, r)
        put_rcpt(t, r);
    VEC_EACH (&m->bcc, address)
        put_bcc(t, *address);
    if (t->milters)
        put_milters(t);
    smtpd_transfer_put(t, REC_MESG, STR(""));
}
