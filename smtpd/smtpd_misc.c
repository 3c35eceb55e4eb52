/*
 * RSET, NOOP, VRFY, ETRN, HELP, QUIT. RFC 5321 4.1.1.5 to 4.1.1.10, RFC 1985
 */
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/path.h"

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

void smtpd_vrfy(struct smtpd *s, struct str args)
{
    struct buf address = BUF(args.n);
    struct str given = args;

    if (conf.disable_vrfy_command) {
        smtpd_reply(s, 502, "5.5.1", "VRFY command is disabled");
    } else if (args.n == 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: VRFY address [SMTPUTF8]");
    } else if (!path_parse(&args, PATH_BARE, &address) || !buf_ok(&address) || args.n > 0) {
        smtpd_reply(s, 501, "5.1.3", "Bad recipient address syntax");
    } else if (smtpd_milters_refuse(s) ||
               !smtpd_event(s, SMTPD_RCPT, &(struct smtpd_facts){.rcpt = address.p})) {
        smtpd_reply_denial(s);
    } else { /* RFC 5321 3.5.3: not verified, but would be taken */
        smtpd_reply(s, 252, "2.0.0", "%.*s", (int)given.n, given.p);
    }
    buf_free(&address);
}

/* There is no fast flush service: what waits for a site is tried again at its time. */
void smtpd_etrn(struct smtpd *s, struct str args)
{
    struct str domain;

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
        smtpd_reply(s, 459, "", "<%s>: service unavailable", name); /* RFC 1985 5.2 */
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
