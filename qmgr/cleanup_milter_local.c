/*
 * non_smtpd_milters: filters of mail that no smtpd has taken, from local programs and, if
 * internal_mail_filter_classes says so, of our own. They see a session from this host.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "service/jail.h"
#include "service/resolver.h"
#include "service/service.h"

#include "cleanup_milter.h"

static struct milter_list filters;

void cleanup_open_milters(void)
{
    bool names = false;

    milter_list_open(&filters, "non_smtpd_milters", conf.non_smtpd_milters);
    for (size_t i = 0; i < filters.n; i++) {
        const struct endpoint *e = &filters.at[i].at;
        names |= e->host != NULL;
        if (e->host != NULL)
            service_add_rights(RIGHT_DNS);
        else if (e->path[0] == '/')
            service_leave_queue();
    }
    if (names)
        resolver_open();
}

void cleanup_milter_paths(void)
{
    for (size_t i = 0; i < filters.n; i++)
        if (filters.at[i].at.host != NULL)
            jail_port(filters.at[i].at.port);
        else
            jail_socket(filters.at[i].at.path);
}

bool cleanup_has_local_milters(const struct cleanup *c)
{
    return (c->flags & SUBMIT_LOCAL) != 0 && filters.n > 0;
}

/* One session. */
struct session {
    struct cleanup *c;
    struct milters *milters;
    struct milter_answer a;
};

/* False: nothing more is asked. */
static bool goes_on(struct session *s, const char *event)
{
    cleanup_milter_verdict(s->c, event, &s->a);
    return cleanup_wants_milters(s->c);
}

/* An address as an argument of MAIL and RCPT: as Postfix, without <>. */
static bool quote(struct session *s, const char *address, struct buf *out)
{
    path_quote(strz(address), out);
    if (!buf_ok(out))
        cleanup_fail(s->c, "4.3.0", "an address is too long for milters");
    return !cleanup_failed(s->c);
}

static bool tell_connect(struct session *s)
{
    struct addr client;

    if (!addr_parse(strz(cleanup_client_addr(s->c)), &client))
        addr_parse(STR("127.0.0.1"), &client);
    milters_connect(s->milters, cleanup_client_name(s->c), &client, &s->a);
    return goes_on(s, "CONNECT");
}

static bool tell_helo(struct session *s)
{
    const char *helo = s->c->d.client_helo;

    milters_helo(s->milters, helo[0] != 0 ? helo : cleanup_client_name(s->c), &s->a);
    return goes_on(s, "EHLO");
}

static bool tell_mail(struct session *s)
{
    struct buf sender = BUF(REC_MAX); /* asked: by quote */

    s->c->asked_sender = true;
    if (quote(s, s->c->d.sender, &sender))
        milters_mail(s->milters, (struct str[]){buf_str(&sender)}, 1, &s->a);
    buf_free(&sender);
    return goes_on(s, "MAIL");
}

/* There is nobody to whom one recipient could be refused. */
static void cannot_refuse(struct cleanup *c)
{
    msg_warn("%s: milter configuration error: can't reject recipient in non-smtpd(8) submission",
             cleanup_id(c));
    msg_warn("%s: message not accepted, try again later", cleanup_id(c));
    why_set(&c->why, "4.3.5", "a milter refuses recipients of mail from local programs");
    c->reply = NULL;
    c->stopped = true;
}

static bool tell_rcpt(struct session *s, const char *address)
{
    struct buf rcpt = BUF(REC_MAX); /* asked: by quote */

    s->c->asked_rcpt = s->c->last_rcpt = address;
    if (quote(s, address, &rcpt))
        milters_rcpt(s->milters, (struct str[]){buf_str(&rcpt)}, 1, false, &s->a);
    buf_free(&rcpt);
    if (goes_on(s, "RCPT"))
        return true;
    if (cleanup_failed(s->c))
        cannot_refuse(s->c);
    return false;
}

static bool tell_rcpts(struct session *s)
{
    bool on = true;

    for (size_t i = 0; on && i < s->c->asked.n; i++)
        on = tell_rcpt(s, s->c->asked.at[i]);
    return on;
}

static bool tell_data(struct session *s)
{
    milters_data(s->milters, &s->a);
    return goes_on(s, "DATA");
}

void cleanup_ask_local(struct cleanup *c)
{
    struct session s = {.c = c, .a = MILTER_ANSWER};

    c->last_rcpt = NULL; /* for the log: none has been told */
    s.milters = milters_new(&filters, cleanup_milter_macro, c);
    if (tell_connect(&s) && tell_helo(&s) && tell_mail(&s) && tell_rcpts(&s) && tell_data(&s))
        cleanup_show_message(c, s.milters);
    milters_quit(s.milters);
    milters_free(&s.milters);
    milter_answer_free(&s.a);
}
