/*
 * sendmail -bs: SMTP on standard input and output, for mail programs that speak it to a command.
 * The client is the user who runs it, so there are no restrictions; messages go through postdrop.
 * RFC 5321, RFC 1870 (SIZE), RFC 3461 (DSN), RFC 6152 (8BITMIME)
 */
#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/esmtp_cmd.h"
#include "mail/path.h"

#include "sendmail.h"

enum { LINE_LIMIT = 1 << 30 };

struct session {
    struct sendmail *m;
    struct buf line;
    bool crlf; /* the present line ended so */
    const char *sender; /* null outside of a transaction */
    VEC(struct sendmail_rcpt) rcpts;
    bool quit;
};

static void __attribute__((format(printf, 1, 2))) sendmail_smtp_say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\r\n");
    fflush(stdout);
}

static bool bad(const char *text)
{
    sendmail_smtp_say("%s", text);
    return false;
}

static bool read_line(struct session *s)
{
    char *raw = NULL;
    size_t room = 0;
    ssize_t n = getline(&raw, &room, stdin);

    buf_clear(&s->line);
    if (n > 0) {
        struct str line = {raw, (size_t)n};
        line.n -= line.p[line.n - 1] == '\n';
        s->crlf = line.n > 0 && line.p[line.n - 1] == '\r';
        line.n -= s->crlf;
        buf_add(&s->line, line);
        if (!buf_ok(&s->line))
            msg_fatal("a line is too long");
    }
    free(raw);
    return n > 0;
}

static void reset(struct session *s)
{
    s->sender = NULL;
    s->rcpts.n = 0;
    s->m->encoding = NULL;
    s->m->envid = NULL;
    s->m->ret = DSN_RET_NONE;
}

static void helo(struct session *s, struct str args)
{
    if (args.n == 0) {
        sendmail_smtp_say("501 Syntax: HELO hostname");
        return;
    }
    reset(s);
    sendmail_smtp_say("250 %s", conf.myhostname);
}

static void ehlo(struct session *s, struct str args)
{
    if (args.n == 0) {
        sendmail_smtp_say("501 Syntax: EHLO hostname");
        return;
    }
    reset(s);
    printf("250-%s\r\n250-PIPELINING\r\n", conf.myhostname);
    if (conf.message_size_limit > 0)
        printf("250-SIZE %lld\r\n", (long long)conf.message_size_limit);
    else
        printf("250-SIZE\r\n");
    printf("250-VRFY\r\n250-ETRN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n");
    sendmail_smtp_say("250 DSN");
}

/* xtext after the first from characters, which stand as they are; null if it is none. */
static const char *decoded(struct session *s, struct str value, size_t from)
{
    struct buf plain = BUF(1000);
    const char *text = NULL;

    buf_add(&plain, str_upto(value, from));
    if (xtext_decode(str_from(value, from), &plain))
        text = arena_strz(s->m->mem, buf_str(&plain));
    buf_free(&plain);
    return text;
}

static bool unsupported(const struct esmtp_param *p)
{
    sendmail_smtp_say("555 5.5.4 Unsupported option: %.*s%s%.*s", (int)p->name.n, p->name.p,
                      p->value.p != NULL ? "=" : "", (int)p->value.n,
                      p->value.p != NULL ? p->value.p : "");
    return false;
}

static bool take_size(struct str value)
{
    int64_t size;

    if (!num_parse(value, 0, INT64_MAX, &size))
        return bad("501 5.5.4 Bad message size syntax");
    if (conf.message_size_limit > 0 && size > conf.message_size_limit)
        return bad("552 5.3.4 Message size exceeds fixed limit");
    return true;
}

static bool mail_param(struct session *s, const struct esmtp_param *p)
{
    if (str_ieqz(p->name, "SIZE"))
        return take_size(p->value);
    if (str_ieqz(p->name, "BODY") && str_ieqz(p->value, "8BITMIME")) {
        s->m->encoding = "8bit";
    } else if (str_ieqz(p->name, "BODY") && str_ieqz(p->value, "7BIT")) {
        s->m->encoding = "7bit";
    } else if (str_ieqz(p->name, "RET")) { /* RFC 3461 4.3: once */
        if (s->m->ret != DSN_RET_NONE || !dsn_ret_parse(p->value, &s->m->ret))
            return bad("501 5.5.4 Bad RET parameter syntax");
    } else if (str_ieqz(p->name, "ENVID")) { /* RFC 3461 4.4: 100 characters */
        if (s->m->envid != NULL || p->value.n == 0 || p->value.n > 100 ||
            (s->m->envid = decoded(s, p->value, 0)) == NULL)
            return bad("501 5.5.4 Bad ENVID parameter syntax");
    } else {
        return unsupported(p);
    }
    return true;
}

static bool rcpt_param(struct session *s, const struct esmtp_param *p, struct sendmail_rcpt *r)
{
    if (str_ieqz(p->name, "NOTIFY")) {
        if (r->notify != 0 || !dsn_notify_parse(p->value, &r->notify))
            return bad("501 5.5.4 Error: Bad NOTIFY parameter syntax");
    } else if (str_ieqz(p->name, "ORCPT")) { /* RFC 3461 4.2: 500 characters */
        size_t type = (size_t)(str_find(p->value, ';') + 1);
        if (r->orcpt != NULL || p->value.n > 500 || !dsn_orcpt_valid(p->value) ||
            (r->orcpt = decoded(s, p->value, type)) == NULL)
            return bad("501 5.5.4 Error: Bad ORCPT parameter syntax");
    } else {
        return unsupported(p);
    }
    return true;
}

/* The rest of MAIL, or of RCPT when r is not null. */
static bool take_params(struct session *s, struct str args, struct sendmail_rcpt *r)
{
    struct esmtp_param p;
    int more;

    while ((more = esmtp_param_next(&args, &p)) > 0)
        if (!(r != NULL ? rcpt_param(s, &p, r) : mail_param(s, &p)))
            return false;
    return more == 0 || unsupported(&p);
}

static void mail(struct session *s, struct str args)
{
    struct buf address = BUF(1024);

    if (s->sender != NULL) {
        sendmail_smtp_say("503 5.5.1 Error: nested MAIL command");
    } else if (!esmtp_cmd_keyword(&args, "FROM") || args.n == 0) {
        sendmail_smtp_say("501 5.5.4 Syntax: MAIL FROM:<address>");
    } else if (!path_parse(&args, PATH_NULL | PATH_BARE, &address)) {
        sendmail_smtp_say("501 5.1.7 Bad sender address syntax");
    } else if (!take_params(s, args, NULL)) {
        reset(s);
    } else {
        s->sender = arena_strz(s->m->mem, buf_str(&address));
        sendmail_smtp_say("250 2.1.0 Ok");
    }
    buf_free(&address);
}

static void rcpt(struct session *s, struct str args)
{
    struct buf address = BUF(1024);
    struct sendmail_rcpt r = {0};

    if (s->sender == NULL) {
        sendmail_smtp_say("503 5.5.1 Error: need MAIL command");
    } else if (s->rcpts.n >= (size_t)conf.smtpd_recipient_limit) {
        sendmail_smtp_say("452 4.5.3 Error: too many recipients");
    } else if (!esmtp_cmd_keyword(&args, "TO") || args.n == 0) {
        sendmail_smtp_say("501 5.5.4 Syntax: RCPT TO:<address>");
    } else if (!path_parse(&args, PATH_BARE, &address)) {
        sendmail_smtp_say("501 5.1.3 Bad recipient address syntax");
    } else if (take_params(s, args, &r)) {
        r.address = arena_strz(s->m->mem, buf_str(&address));
        *VEC_ADD(&s->rcpts) = r;
        sendmail_smtp_say("250 2.1.5 Ok");
    }
    buf_free(&address);
}

/* Content up to CR LF . CR LF, or, from a program that ends its lines in LF, the same with LF. */
static bool read_content(struct session *s, struct maildrop *d)
{
    bool crlf = s->crlf; /* as the DATA line had it */

    while (read_line(s)) {
        struct str line = buf_str(&s->line);
        if (str_eqz(line, ".") && s->crlf == crlf)
            return true;
        if (line.n > 0 && line.p[0] == '.')
            line = str_from(line, 1);
        maildrop_line(d, line);
    }
    return false;
}

static void data(struct session *s, struct str args)
{
    struct buf text = BUF_TEXT(4096);

    (void)args;
    if (s->rcpts.n == 0) {
        sendmail_smtp_say("503 5.5.1 Error: need RCPT command");
        return;
    }
    sendmail_smtp_say("354 End data with <CR><LF>.<CR><LF>");
    struct maildrop *d = maildrop_begin();
    sendmail_envelope(s->m, d, s->sender, s->rcpts.at, s->rcpts.n);
    if (!read_content(s, d)) {
        maildrop_abort(&d);
        return;
    }
    int status = maildrop_commit(&d, &text);
    if (status == EX_OK)
        sendmail_smtp_say("250 2.0.0 Ok: queued as %s", text.p);
    else
        sendmail_smtp_say("%s Error: %s", status == EX_TEMPFAIL ? "451 4.3.0" : "550 5.3.0",
                          text.p);
    buf_free(&text);
    reset(s);
}

static void rset(struct session *s, struct str args)
{
    (void)args;
    reset(s);
    sendmail_smtp_say("250 2.0.0 Ok");
}

static void noop(struct session *s, struct str args)
{
    (void)s;
    (void)args;
    sendmail_smtp_say("250 2.0.0 Ok");
}

/* RFC 5321 3.5.3: not verified, but would be taken */
static void vrfy(struct session *s, struct str args)
{
    struct buf address = BUF(1024);
    struct str given = args;

    (void)s;
    if (args.n == 0)
        sendmail_smtp_say("501 5.5.4 Syntax: VRFY address [SMTPUTF8]");
    else if (!path_parse(&args, PATH_BARE, &address) || args.n > 0)
        sendmail_smtp_say("501 5.1.3 Bad recipient address syntax");
    else
        sendmail_smtp_say("252 2.0.0 %.*s", (int)given.n, given.p);
    buf_free(&address);
}

/* As Postfix here: postqueue -s is for that. */
static void etrn(struct session *s, struct str args)
{
    struct str domain;

    if (s->sender != NULL)
        sendmail_smtp_say("503 Error: MAIL transaction in progress");
    else if (!str_word(&args, " \t", &domain) || args.n > 0)
        sendmail_smtp_say("500 Syntax: ETRN domain");
    else if (!domain_valid(domain) && !domain_is_literal(domain, NULL))
        sendmail_smtp_say("501 Error: invalid parameter syntax");
    else
        sendmail_smtp_say("458 Unable to queue messages");
}

static void quit(struct session *s, struct str args)
{
    (void)args;
    s->quit = true;
    sendmail_smtp_say("221 2.0.0 Bye");
}

static const struct {
    const char *name;
    void (*fn)(struct session *s, struct str args);
} commands[] = {{"HELO", helo}, {"EHLO", ehlo}, {"MAIL", mail}, {"RCPT", rcpt}, {"DATA", data},
                {"RSET", rset}, {"NOOP", noop}, {"VRFY", vrfy}, {"ETRN", etrn}, {"QUIT", quit}};

int sendmail_smtp(struct sendmail *m)
{
    struct session s = {.m = m, .line = BUF(LINE_LIMIT)};
    struct esmtp_cmd cmd;

    printf("220 %s ESMTP %s\r\n", conf.myhostname, conf.mail_name);
    fflush(stdout);
    while (!s.quit && read_line(&s)) {
        size_t i = 0;
        esmtp_cmd_split(buf_str(&s.line), &cmd);
        while (i < sizeof commands / sizeof *commands && !str_ieqz(cmd.verb, commands[i].name))
            i++;
        if (i < sizeof commands / sizeof *commands)
            commands[i].fn(&s, cmd.args);
        else
            sendmail_smtp_say("500 5.5.2 Error: command not recognized");
    }
    VEC_FREE(&s.rcpts);
    buf_free(&s.line);
    return EX_OK;
}
