/*
 * RSET, NOOP, VRFY, ETRN, HELP, QUIT. RFC 5321 4.1.1.5 to 4.1.1.10, RFC 1985
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/path.h"
#include "queue/flush_client.h"

#include "smtpd.h"
#include "smtpd_milter.h"

void smtpd_rset(struct smtpd *s, struct str args)
{
    if (args.n > 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: RSET");
        return;
    }
    smtpd_end_mail(s);
    smtpd_reply(s, 250, "2.0.0", "Ok");
}

void smtpd_noop(struct smtpd *s, struct str args)
{
    (void)args; /* RFC 5321 4.1.1.9: is to be ignored */
    smtpd_reply(s, 250, "2.0.0", "Ok");
}

/* "address SMTPUTF8": RFC 6531 3.7.4.2. Other words belong to an address that is none. */
static bool cut_utf8(const struct smtpd *s, struct str *args)
{
    size_t n = args->n;

    while (n > 0 && args->p[n - 1] != ' ' && args->p[n - 1] != '\t')
        n--;
    if (!smtpd_asks_utf8(s, str_from(*args, n)))
        return false;
    *args = str_trim(str_upto(*args, n));
    return true;
}

static void answer_vrfy(struct smtpd *s, struct str given, const char *address)
{
    if (smtpd_milters_refuse(s) ||
        !smtpd_event(s, SMTPD_RCPT, &(struct smtpd_facts){.rcpt = address}))
        smtpd_reply_denial(s);
    else /* RFC 5321 3.5.3: not verified, but would be taken */
        smtpd_reply(s, 252, "2.0.0", "%.*s", (int)given.n, given.p);
}

void smtpd_vrfy(struct smtpd *s, struct str args)
{
    static const struct smtpd_bad_path bad_path = {"5.1.3", "Bad recipient address syntax"};
    struct arena *mem = arena_new(s->mem); /* a session may ask again and again */
    unsigned flags = PATH_BARE | PATH_WHOLE | (cut_utf8(s, &args) ? PATH_UTF8 : 0u);
    struct str given = args;
    const char *address;

    if (conf.disable_vrfy_command) {
        smtpd_reply(s, 502, "5.5.1", "VRFY command is disabled");
    } else if (args.n == 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: VRFY address [SMTPUTF8]");
    } else if (smtpd_take_path(s, &args, flags, mem, &bad_path, &address)) {
        answer_vrfy(s, given, address);
    }
    arena_free(&mem);
}

/* (waits) RFC 1985 5.2 */
static void try_now(struct smtpd *s, const char *site)
{
    struct why why = WHY;

    switch (flush_site(site, &why)) {
    case FLUSH_STARTED:
        smtpd_reply(s, 250, "", "Queuing started");
        break;
    case FLUSH_NOT_SERVED:
        msg_warn_each("reject: ETRN %.100s... from %s", site, s->namaddr);
        smtpd_reply(s, 459, "", "<%s>: service unavailable", site);
        break;
    case FLUSH_REFUSED:
        msg_warn_each("bad ETRN %.100s... from %s: %s", site, s->namaddr, why_text(&why));
        smtpd_reply(s, 458, "", "Unable to queue messages");
        break;
    case FLUSH_DOWN:
        msg_warn("unable to talk to fast flush service: %s", why_text(&why));
        smtpd_reply(s, 458, "", "Unable to queue messages");
        break;
    }
    why_free(&why);
}

void smtpd_etrn(struct smtpd *s, struct str args)
{
    struct str domain;

    if (conf.smtpd_helo_required && s->helo == NULL) {
        smtpd_reply(s, 503, "", "Error: send HELO/EHLO first");
        return;
    }
    if (s->mail != NULL) {
        smtpd_reply(s, 503, "", "Error: MAIL transaction in progress");
        return;
    }
    if (!str_word(&args, " \t", &domain) || args.n > 0) {
        smtpd_reply(s, 500, "", "Syntax: ETRN domain");
        return;
    }
    if (domain.p[0] == '@' || domain.p[0] == '#')
        domain = str_from(domain, 1);
    struct arena *mem = arena_new(s->mem); /* a session may ask again and again */
    const char *name = arena_strz(mem, domain);
    if (!domain_valid(domain) && !domain_is_literal(domain, NULL))
        smtpd_reply(s, 501, "", "Error: invalid parameter syntax");
    else if (smtpd_milters_refuse(s) ||
             !smtpd_event(s, SMTPD_ETRN, &(struct smtpd_facts){.domain = name}))
        smtpd_reply_denial(s);
    else
        try_now(s, name);
    arena_free(&mem);
}

void smtpd_help(struct smtpd *s, struct str args)
{
    (void)args;
    smtpd_reply(s, 214, "2.0.0",
                "HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY ETRN HELP QUIT");
}

void smtpd_quit(struct smtpd *s, struct str args)
{
    (void)args;
    smtpd_reply(s, 221, "2.0.0", "Bye");
    s->closing = true;
}
