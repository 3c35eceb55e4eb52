/*
 * Forwarded mail: a new message for each pair of sender and Delivered-To, so that every recipient
 * has a record of its own in the queue and a loop is seen when it comes round.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "queue/submit.h"

#include "content.h"
#include "local.h"

struct forwarded {
    struct list link;
    const char *sender, *delivered;
    struct submit *submit; /* null: failed, see why */
    struct why why;
};

struct resend {
    struct local *l;
    struct list messages;
};

struct resend *resend_new(struct local *l)
{
    struct resend *r = mem_new(sizeof *r);

    r->l = l;
    list_init(&r->messages);
    return r;
}

static void put_attr(struct submit *s, const char *name, const char *value)
{
    if (*value != 0)
        submit_putf(s, REC_ATTR, "%s=%s", name, value);
}

static void put_envelope(const struct delivery *d, struct forwarded *f)
{
    struct buf date = BUF(100);
    struct submit *s = f->submit;

    date_format_local(clock_wall(), &date);
    submit_putf(s, REC_TIME, "%lld %lld", (long long)(d->arrival_us / 1000000),
                (long long)(d->arrival_us % 1000000));
    put_attr(s, "rewrite_context", "local");
    put_attr(s, "log_client_name", d->client_name);
    put_attr(s, "log_client_address", d->client_addr);
    put_attr(s, "log_client_port", d->client_port);
    put_attr(s, "log_message_origin", *d->client_name != 0 ? "" : "local");
    put_attr(s, "log_helo_name", d->client_helo);
    put_attr(s, "log_protocol_name", d->client_proto);
    put_attr(s, "sasl_method", d->sasl_method);
    put_attr(s, "sasl_username", d->sasl_username);
    put_attr(s, "sasl_sender", d->sasl_sender);
    put_attr(s, "encoding", d->encoding);
    submit_putf(s, REC_ATTR, "received_before=by %s (%s)\n\t", conf.myhostname, conf.mail_name);
    submit_putf(s, REC_ATTR, "received_after=; %s", date.p);
    submit_put(s, REC_FROM, strz(f->sender));
    buf_free(&date);
}

static struct forwarded *begin(struct resend *r, const struct address *a)
{
    struct forwarded *f = mem_new(sizeof *f);

    f->sender = arena_strz(r->l->mem, strz(a->sender));
    f->delivered = arena_strz(r->l->mem, strz(a->delivered));
    f->why = WHY;
    f->submit = submit_begin(0, &f->why);
    if (f->submit != NULL)
        put_envelope(&r->l->job->d, f);
    list_add(&r->messages, &f->link);
    return f;
}

static struct forwarded *find(struct resend *r, const struct address *a)
{
    LIST_EACH (&r->messages, l) {
        struct forwarded *f = LIST_OF(l, struct forwarded, link);
        if (strcmp(f->sender, a->sender) == 0 && strcmp(f->delivered, a->delivered) == 0)
            return f;
    }
    return begin(r, a);
}

void resend_add(struct resend *r, const struct address *a)
{
    struct forwarded *f = find(r, a);
    const struct rcpt *rcpt = r->l->rcpt;

    if (f->submit == NULL)
        return;
    /* RFC 3461 5.2.7.3: what the sender asked for ends at a list. */
    if (a->from_list) {
        submit_put(f->submit, REC_RCPT, strz(a->address));
        return;
    }
    if (*rcpt->dsn_orcpt != 0)
        submit_putf(f->submit, REC_ATTR, "dsn_orig_rcpt=%s", rcpt->dsn_orcpt);
    if (rcpt->dsn_notify != 0)
        submit_putf(f->submit, REC_ATTR, "notify_flags=%u", rcpt->dsn_notify);
    submit_put(f->submit, REC_ORCP, strz(*rcpt->original != 0 ? rcpt->original : rcpt->address));
    submit_put(f->submit, REC_RCPT, strz(a->address));
}

/* Lines in pieces become records again. */
struct copying {
    struct submit *submit;
    struct buf line;
};

static bool put_piece(void *arg, struct str bytes)
{
    struct copying *c = arg;

    if (str_eqz(bytes, "\n")) {
        submit_line(c->submit, buf_str(&c->line));
        buf_clear(&c->line);
        return true;
    }
    buf_add(&c->line, bytes);
    if (c->line.n >= (size_t)conf.line_length_limit) {
        submit_put(c->submit, REC_CONT, buf_str(&c->line));
        buf_clear(&c->line);
    }
    return true;
}

static int put_content(struct local *l, struct forwarded *f)
{
    struct copying c = {f->submit, BUF(REC_MAX)};
    struct buf head = BUF(65536);

    submit_put(f->submit, REC_MESG, STR(""));
    if (str_listed(conf.prepend_delivered_header, "forward") && *f->delivered != 0) {
        content_prepend(&head, NULL, "", f->delivered);
        submit_line(f->submit, str_rtrim(buf_str(&head)));
    }
    int status = content_copy(l->job, put_piece, &c, &f->why);
    if (status == 0) {
        submit_put(f->submit, REC_XTRA, STR(""));
        submit_put(f->submit, REC_END, STR(""));
    }
    buf_free(&head);
    buf_free(&c.line);
    return status;
}

static void finish(struct local *l, struct forwarded *f)
{
    struct address a = {.address = l->rcpt->address};
    struct buf id = BUF(100), text = BUF(200);
    int status = -1;

    if (f->submit != NULL && (status = put_content(l, f)) == 0)
        status = submit_commit(&f->submit, &id, &f->why);
    if (status < 0) {
        submit_abort(&f->submit);
        /* Whatever cleanup says: this recipient's address is good, its forwarding failed. */
        f->why.code[0] = '4';
        why_in(&f->why, "unable to forward message");
        local_failed(l, &a, &f->why);
    } else {
        buf_addf(&text, "forwarded as %s", id.p);
        local_sent(l, &a, "2.0.0", text.p);
    }
    buf_free(&id);
    buf_free(&text);
}

void resend_end(struct resend **resend, bool give_up)
{
    struct resend *r = *resend;

    *resend = NULL;
    LIST_EACH (&r->messages, link) {
        struct forwarded *f = LIST_OF(link, struct forwarded, link);
        if (!give_up)
            finish(r->l, f);
        submit_abort(&f->submit);
        why_free(&f->why);
        free(f);
    }
    free(r);
}
