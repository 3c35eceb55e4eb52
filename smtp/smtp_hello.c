/*
 * The opening of a session: greeting, EHLO (or LHLO, HELO), STARTTLS, AUTH. RFC 5321 3.1, 4.1.1.1;
 * RFC 3207; RFC 4954.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "net/stream.h"

#include "smtp.h"

enum { SMTP_PORT = 25 };

static int refused(struct smtp_session *s, struct why *why)
{
    smtp_why_reply(s, NULL, why);
    return -1;
}

/* A server that greets with our own name is this one: mail would go round for ever. */
static int check_loop(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    struct str rest = buf_str(&s->reply.text), name;

    if (s->lmtp || s->dest->port != SMTP_PORT || !str_word(&rest, " \t\n", &name) ||
        !str_ieq(name, strz(conf.myhostname)))
        return 0;
    msg_warn("host %s greeted me with my own name %s", s->relay, conf.myhostname);
    return why_set(why, "5.4.6", "mail for %s loops back to myself", job->d->nexthop);
}

static int greeting(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    s->doing = "receiving the initial server greeting";
    if (smtp_read_reply(s, conf.smtp_helo_timeout, why) < 0)
        return -1;
    if (s->reply.code / 100 == 2)
        return check_loop(job, s, why);
    refused(s, why);
    if (why->code[0] == '5' && conf.smtp_skip_5xx_greeting) /* the next server may do, or later */
        why->code[0] = '4';
    return -1;
}

static struct maps *discard; /* smtp_discard_ehlo_keyword_address_maps */

void smtp_open_hello(void)
{
    discard = maps_open("smtp_discard_ehlo_keyword_address_maps",
                        conf.smtp_discard_ehlo_keyword_address_maps, DICT_FOLD | DICT_MAY_FAIL);
}

/* (waits) What this server offers and we do not use. */
static int hide_extensions(struct smtp_session *s, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT), line = BUF_TEXT(1000);
    enum dict_answer answer = DICT_NONE;
    char text[ADDR_TEXT];

    if (s->addr.family != 0)
        answer = hostaddr_find(discard, addr_text(&s->addr, text), &value, why);
    unsigned mask = esmtp_ext_mask(answer == DICT_FOUND ? buf_str(&value)
                                                        : strz(conf.smtp_discard_ehlo_keywords));
    s->ehlo.ext &= ~mask;
    if ((mask & ESMTP_LIMITS) != 0)
        s->ehlo.rcpt_max = s->ehlo.mail_max = 0;
    esmtp_ext_print(mask, &line);
    if (line.n > 0)
        msg_info("%s", line.p);
    buf_free(&value);
    buf_free(&line);
    return answer == DICT_FAILED ? -1 : 0;
}

static int read_extensions(struct smtp_session *s, struct why *why)
{
    struct str rest = buf_str(&s->reply.text), line;

    esmtp_ehlo_clear(&s->ehlo);
    str_split(&rest, '\n', &line); /* the server's name */
    while (str_split(&rest, '\n', &line))
        esmtp_ehlo_line(&s->ehlo, line);
    return hide_extensions(s, why);
}

static int hello(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    const char *verb = s->lmtp ? "LHLO" : "EHLO";
    const char *doing = s->lmtp ? "performing the LHLO handshake" : "performing the EHLO handshake";
    bool extended = s->lmtp || !conf.smtp_never_send_ehlo;

    if (smtp_check_turn(s, doing, why) < 0)
        return -1;
    if (extended) {
        smtp_command(s, doing, "%s %s", verb, conf.smtp_helo_name);
        if (smtp_read_reply(s, conf.smtp_helo_timeout, why) < 0)
            return -1;
        if (s->reply.code / 100 == 2)
            return read_extensions(s, why) < 0 ? -1 : check_loop(job, s, why);
        if (s->lmtp || s->broken)
            return refused(s, why);
    }
    /* RFC 5321 3.2: an old server. */
    esmtp_ehlo_clear(&s->ehlo);
    smtp_command(s, "performing the HELO handshake", "HELO %s", conf.smtp_helo_name);
    if (smtp_read_reply(s, conf.smtp_helo_timeout, why) < 0)
        return -1;
    return s->reply.code / 100 == 2 ? 0 : refused(s, why);
}

/* 0 if the session can go on without TLS. After a 421 it cannot: the server is closing. */
static int refused_tls(struct smtp_session *s, bool needed, struct why *why)
{
    struct buf text = BUF_TEXT(1000);
    int r = 0;

    esmtp_reply_print(&s->reply, &text);
    if (needed)
        r = why_set(why, "4.7.4", "TLS is required, but host %s refused to start TLS: %s",
                    s->namaddr, text.p);
    else if (s->broken)
        r = why_set(why, "4.4.2", "host %s refused to start TLS: %s", s->namaddr, text.p);
    buf_free(&text);
    return r;
}

static int upgrade(struct smtp_job *job, struct smtp_session *s,
                   const struct smtp_tls_policy *policy, struct why *why)
{
    bool needed = policy->level >= SMTP_TLS_ENCRYPT;

    if ((s->ehlo.ext & ESMTP_STARTTLS) == 0) {
        if (!needed)
            return 0;
        return why_set(why, "4.7.4", "TLS is required, but was not offered by host %s", s->namaddr);
    }
    if (smtp_ask(s, conf.smtp_starttls_timeout, "sending STARTTLS", "STARTTLS", why) < 0)
        return -1;
    if (s->reply.code / 100 != 2)
        return refused_tls(s, needed, why);
    if (smtp_start_tls(job, s, policy, why) < 0)
        return -1;
    return hello(job, s, why); /* RFC 3207 4.2: all that was said before is void */
}

int smtp_hello(struct smtp_job *job, struct smtp_session *s, const struct smtp_tls_policy *policy,
               struct why *why)
{
    bool may = policy->level >= SMTP_TLS_MAY && policy->context != NULL;

    if (conf.smtp_tls_wrappermode && !s->dest->is_unix &&
        (!may || smtp_start_tls(job, s, policy, why) < 0))
        return may ? -1 : why_set(why, "4.7.4", "TLS wrapper mode needs a security level");
    if (greeting(job, s, why) < 0 || hello(job, s, why) < 0)
        return -1;
    if (!s->tls && may && upgrade(job, s, policy, why) < 0)
        return -1;
    if (!s->tls && !may && policy->level >= SMTP_TLS_ENCRYPT)
        return why_set(why, "4.7.5", "TLS is required, but our TLS engine is unavailable");
    return conf.smtp_sasl_auth_enable ? smtp_authenticate(job, s, why) : 0;
}
