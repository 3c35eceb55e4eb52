/*
 * XFORWARD: tells a content filter where a message comes from (smtp_send_xforward_command), for the
 * log of the server to which the filter gives it. XFORWARD_README of Postfix
 */
#include "base/str.h"
#include "conf/conf.h"
#include "mail/esmtp_xattr.h"

#include "smtp.h"

/* "XFORWARD" and two host names of 255 bytes, each byte of which xtext may make three. */
enum { LINE_MOST = 4096 };

struct line {
    struct buf text;
    unsigned server; /* which attributes it takes */
};

static bool is_known(const char *value)
{
    return value[0] != 0 && strcmp(value, "unknown") != 0;
}

/* What is not known, and what the server does not take, is not said. */
static void add(struct line *l, enum esmtp_xattr attr, const char *value)
{
    if (is_known(value) && (l->server & X_BIT(attr)) != 0)
        esmtp_xattr_put(attr, value, &l->text);
}

static const char *command(struct smtp_job *job, struct line *l)
{
    const char *out = NULL;

    if (l->text.n > 0 && buf_ok(&l->text))
        out = arena_printf(job->mem, "XFORWARD%s", l->text.p);
    buf_free(&l->text);
    return out;
}

static unsigned attributes_of(const struct smtp_session *s)
{
    bool wanted = conf.smtp_send_xforward_command && (s->ehlo.ext & ESMTP_XFORWARD) != 0;

    return wanted ? s->ehlo.xforward : 0;
}

const char *smtp_xforward_client(struct smtp_job *job, const struct smtp_session *s)
{
    struct line l = {BUF(LINE_MOST), attributes_of(s)}; /* asked: by command */
    const struct delivery *d = job->d;
    bool ipv6 = str_find(strz(d->client_addr), ':') >= 0;

    add(&l, X_NAME, d->client_name);
    add(&l, X_ADDR, ipv6 ? arena_printf(job->mem, "IPv6:%s", d->client_addr) : d->client_addr);
    add(&l, X_PORT, d->client_port);
    return command(job, &l);
}

const char *smtp_xforward_session(struct smtp_job *job, const struct smtp_session *s)
{
    struct line l = {BUF(LINE_MOST), attributes_of(s)}; /* asked: by command */
    const struct delivery *d = job->d;

    add(&l, X_PROTO, d->client_proto);
    add(&l, X_HELO, d->client_helo);
    add(&l, X_IDENT, d->log_ident);
    add(&l, X_SOURCE, strcmp(d->rewrite_context, "remote") == 0 ? "REMOTE" : "LOCAL");
    return command(job, &l);
}
