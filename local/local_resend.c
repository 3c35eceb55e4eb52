/*
 * Forwarded mail: a new message for each pair of sender and Delivered-To, so that every recipient
 * has a record of its own in the queue and a loop is seen when it comes round.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "queue/submit.h"

#include "content.h"
#include "local.h"

struct target {
    const char *address;
    bool from_list;
};

struct forwarded {
    struct list link;
    const char *sender, *delivered;
    VEC(struct target) targets;
    bool is_list; /* all targets come from one */
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

/* As what the sender asked for a recipient: it ends at a list (put_target). */
static void put_deliver_by(const struct delivery *d, const struct forwarded *f, struct submit *s)
{
    struct buf by = BUF(100); /* fits: a number and two letters */
    bool list = false;

    for (size_t i = 0; i < f->targets.n; i++)
        list |= f->targets.at[i].from_list;
    deliver_by_format(&d->by, &by);
    put_attr(s, "deliver_by", d->by.s > 0 && !list ? by.p : "");
    buf_free(&by);
}

static void put_envelope(const struct delivery *d, const struct forwarded *f, struct submit *s)
{
    /* fits: a date */
    struct buf date = BUF(100);

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
    if (!f->is_list) { /* RFC 3461 5.2.7.1, 5.2.7.3: a list is another message */
        put_attr(s, "envelope_id", d->dsn_envid);
        if (d->dsn_ret != DSN_RET_NONE)
            submit_putf(s, REC_ATTR, "ret_flags=%d", (int)d->dsn_ret);
    }
    if (d->priority != 0) /* an alias changes nothing of it */
        submit_putf(s, REC_ATTR, "mt_priority=%d", d->priority);
    submit_putf(s, REC_ATTR, "received_before=by %s (%s)\n\t", conf.myhostname, conf.mail_name);
    submit_putf(s, REC_ATTR, "received_after=; %s", date.p);
    put_deliver_by(d, f, s);
    submit_put(s, REC_FROM, strz(f->sender));
    buf_free(&date);
}

static struct forwarded *local_resend_begin(struct resend *r, const struct address *a)
{
    struct forwarded *f = mem_new(sizeof *f);

    f->sender = arena_strz(r->l->mem, strz(a->sender));
    f->delivered = arena_strz(r->l->mem, strz(a->delivered));
    f->why = WHY;
    list_add(&r->messages, &f->link);
    return f;
}

static struct forwarded *local_resend_find(struct resend *r, const struct address *a)
{
    LIST_EACH (&r->messages, l) {
        struct forwarded *f = LIST_OF(l, struct forwarded, link);
        if (strcmp(f->sender, a->sender) == 0 && strcmp(f->delivered, a->delivered) == 0)
            return f;
    }
    return local_resend_begin(r, a);
}

void resend_add(struct resend *r, const struct address *a)
{
    struct forwarded *f = local_resend_find(r, a);

    f->is_list = (f->is_list || f->targets.n == 0) && a->from_list;
    *VEC_ADD(&f->targets) = (struct target){arena_strz(r->l->mem, strz(a->address)), a->from_list};
}

/* The success is that the alias was found, and is reported here: once. */
static unsigned notify_left(const struct rcpt *rcpt)
{
    unsigned left = rcpt->dsn_notify & ~(unsigned)DSN_SUCCESS;

    return left == 0 && rcpt->dsn_notify != 0 ? DSN_NEVER : left;
}

static void put_target(struct submit *s, const struct rcpt *rcpt, const struct target *t)
{
    /* RFC 3461 5.2.7.3: what the sender asked for ends at a list. */
    if (!t->from_list) {
        if (*rcpt->dsn_orcpt != 0)
            submit_putf(s, REC_ATTR, "dsn_orig_rcpt=%s", rcpt->dsn_orcpt);
        if (notify_left(rcpt) != 0)
            submit_putf(s, REC_ATTR, "notify_flags=%u", notify_left(rcpt));
        submit_put(s, REC_ORCP, strz(*rcpt->original != 0 ? rcpt->original : rcpt->address));
    }
    submit_put(s, REC_RCPT, strz(t->address));
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
    if (bytes.n > c->line.max - c->line.n) {
        submit_put(c->submit, REC_CONT, buf_str(&c->line));
        buf_clear(&c->line);
    }
    buf_add(&c->line, bytes);
    if (c->line.n >= (size_t)conf.line_length_limit) {
        submit_put(c->submit, REC_CONT, buf_str(&c->line));
        buf_clear(&c->line);
    }
    return true;
}

static int put_content(struct local *l, struct forwarded *f, struct submit *s)
{
    struct copying c = {s, BUF(REC_MAX)}; /* fits: put_piece makes room; a piece is a record */
    struct buf head = BUF(3 * REC_MAX);

    submit_put(s, REC_MESG, STR(""));
    if (str_listed(conf.prepend_delivered_header, "forward") && *f->delivered != 0) {
        content_prepend(&head, NULL, "", f->delivered);
        submit_line(s, str_rtrim(buf_str(&head)));
    }
    int status = buf_ok(&head) ? content_copy(l->job, put_piece, &c, &f->why)
                               : why_set(&f->why, "5.3.0", "the address is too long");
    if (status == 0) {
        submit_put(s, REC_XTRA, STR(""));
        submit_put(s, REC_END, STR(""));
    }
    buf_free(&head);
    buf_free(&c.line);
    return status;
}

/* What was asked for the message holds for what becomes of it. */
static unsigned submit_options(const struct delivery *d)
{
    return submit_class("forward") | ((d->sendopts & SENDOPT_UTF8) != 0 ? SUBMIT_UTF8 : 0u) |
           ((d->sendopts & SENDOPT_REQUIRETLS) != 0 ? SUBMIT_REQUIRETLS : 0u);
}

/* (waits) One after the other: a process that held one connection to cleanup per message while it
 * waits for the next could, with others like it, hold all there are. */
static int hand_in(struct local *l, struct forwarded *f, struct buf *id)
{
    struct submit *s = submit_begin(submit_options(&l->job->d), &f->why);

    if (s == NULL)
        return -1;
    put_envelope(&l->job->d, f, s);
    VEC_EACH (&f->targets, t)
        put_target(s, l->rcpt, t);
    int status = put_content(l, f, s);
    if (status == 0)
        status = submit_commit(&s, id, &f->why);
    submit_abort(&s);
    return status;
}

static void finish(struct local *l, struct forwarded *f)
{
    struct address a = {.address = l->rcpt->address};
    struct buf id = BUF_TEXT(100), text = BUF_TEXT(200);

    if (hand_in(l, f, &id) < 0) {
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
        VEC_FREE(&f->targets);
        why_free(&f->why);
        free(f);
    }
    free(r);
}
