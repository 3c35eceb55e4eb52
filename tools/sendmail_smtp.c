/*
 * sendmail -bs: SMTP on standard input and output, for mail programs that speak it to a command.
 * The client is the user who runs it, so there are no restrictions; messages go through postdrop.
 */
#include <sysexits.h>
#include <unistd.h>

#include "base/str.h"
#include "conf/conf.h"
#include "mail/esmtp_cmd.h"
#include "mail/path.h"

#include "sendmail.h"

enum { LINE_LIMIT = 1 << 20 };

struct session {
    struct sendmail *m;
    struct buf line;
    bool crlf; /* the present line ended so */
    const char *sender; /* null outside of a transaction */
    VEC(const char *) rcpts;
    bool quit;
};

static void say(const char *text)
{
    printf("%s\r\n", text);
    fflush(stdout);
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
        buf_add(&s->line, str_upto(line, LINE_LIMIT));
    }
    free(raw);
    return n > 0;
}

static void reset(struct session *s)
{
    s->sender = NULL;
    s->rcpts.n = 0;
}

static void hello(struct session *s, struct str args)
{
    (void)args;
    reset(s);
    printf("250-%s\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n", conf.myhostname);
    say("250 8BITMIME");
}

static void mail(struct session *s, struct str args)
{
    struct buf address = BUF(1024);
    struct esmtp_param p;

    if (s->sender != NULL) {
        say("503 5.5.1 Error: nested MAIL command");
    } else if (!esmtp_cmd_keyword(&args, "FROM") ||
               !path_parse(&args, PATH_NULL | PATH_BARE, &address)) {
        say("501 5.5.4 Syntax: MAIL FROM:<address>");
    } else {
        s->sender = arena_strz(s->m->mem, buf_str(&address));
        while (esmtp_param_next(&args, &p) > 0)
            if (str_ieqz(p.name, "BODY"))
                s->m->encoding = str_ieqz(p.value, "8BITMIME") ? "8bit" : "7bit";
        say("250 2.1.0 Ok");
    }
    buf_free(&address);
}

static void rcpt(struct session *s, struct str args)
{
    struct buf address = BUF(1024);

    if (s->sender == NULL) {
        say("503 5.5.1 Error: need MAIL command");
    } else if (s->rcpts.n >= (size_t)conf.smtpd_recipient_limit) {
        say("452 4.5.3 Error: too many recipients");
    } else if (!esmtp_cmd_keyword(&args, "TO") || !path_parse(&args, PATH_BARE, &address)) {
        say("501 5.5.4 Syntax: RCPT TO:<address>");
    } else {
        *VEC_ADD(&s->rcpts) = arena_strz(s->m->mem, buf_str(&address));
        say("250 2.1.5 Ok");
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
    struct buf text = BUF(4096);

    (void)args;
    if (s->rcpts.n == 0) {
        say("503 5.5.1 Error: need RCPT command");
        return;
    }
    say("354 End data with <CR><LF>.<CR><LF>");
    struct maildrop *d = maildrop_begin();
    sendmail_envelope(s->m, d, s->sender, s->rcpts.at, s->rcpts.n);
    if (!read_content(s, d)) {
        maildrop_abort(&d);
        return;
    }
    int status = maildrop_commit(&d, &text);
    if (status == EX_OK)
        printf("250 2.0.0 Ok: queued as %s\r\n", text.p);
    else
        printf("%s Error: %s\r\n", status == EX_TEMPFAIL ? "451 4.3.0" : "550 5.3.0", text.p);
    fflush(stdout);
    buf_free(&text);
    reset(s);
}

static void rset(struct session *s, struct str args)
{
    (void)args;
    reset(s);
    say("250 2.0.0 Ok");
}

static void noop(struct session *s, struct str args)
{
    (void)s;
    (void)args;
    say("250 2.0.0 Ok");
}

static void vrfy(struct session *s, struct str args)
{
    (void)s;
    (void)args;
    say("252 2.0.0 Ok");
}

static void quit(struct session *s, struct str args)
{
    (void)args;
    s->quit = true;
    say("221 2.0.0 Bye");
}

static const struct {
    const char *name;
    void (*fn)(struct session *s, struct str args);
} commands[] = {{"HELO", hello}, {"EHLO", hello}, {"MAIL", mail}, {"RCPT", rcpt}, {"DATA", data},
                {"RSET", rset},  {"NOOP", noop},  {"VRFY", vrfy}, {"QUIT", quit}};

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
            say("500 5.5.2 Error: command not recognized");
    }
    VEC_FREE(&s.rcpts);
    buf_free(&s.line);
    return EX_OK;
}
