/*
 * The commands of a session in which no mail is taken. RFC 5321 4.1
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"
#include "mail/path.h"

#include "postscreen.h"

typedef void command_fn(struct screen *s, struct str args);

static void reset(struct screen *s)
{
    s->sender = s->rcpt = NULL;
}

/* What a client calls itself. */
static bool take_name(struct screen *s, struct str args, const char *verb)
{
    enum { NAME_MOST = 255 }; /* RFC 5321 4.5.3.1.2 */
    struct str name;

    if (!str_word(&args, " \t", &name)) {
        screen_reply(s, "501 Syntax: %s hostname", verb);
        return false;
    }
    reset(s);
    s->helo = arena_strz(s->mem, str_upto(name, NAME_MOST));
    return true;
}

static void say_helo(struct screen *s, struct str args)
{
    if (!take_name(s, args, "HELO"))
        return;
    screen_reply(s, "250 %s", conf.myhostname);
}

/* What smtpd has that needs no words between, so no PIPELINING. */
static unsigned offered(const struct screen *s)
{
    unsigned ext = ESMTP_SIZE | ESMTP_VRFY | ESMTP_ETRN | ESMTP_ENHANCEDSTATUSCODES |
                   ESMTP_8BITMIME | ESMTP_DSN | ESMTP_CHUNKING;

    if (conf.smtputf8_enable)
        ext |= ESMTP_SMTPUTF8;
    if (conf.postscreen_disable_vrfy_command)
        ext &= ~(unsigned)ESMTP_VRFY;
    if (screen_tls_offered(s) && s->tls == NULL)
        ext |= ESMTP_STARTTLS;
    return ext & ~s->hidden;
}

static void say_ehlo(struct screen *s, struct str args)
{
    static const struct {
        unsigned ext;
        const char *keyword;
    } all[] = {{ESMTP_VRFY, "VRFY"},         {ESMTP_ETRN, "ETRN"},
               {ESMTP_STARTTLS, "STARTTLS"}, {ESMTP_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES"},
               {ESMTP_8BITMIME, "8BITMIME"}, {ESMTP_DSN, "DSN"},
               {ESMTP_SMTPUTF8, "SMTPUTF8"}, {ESMTP_CHUNKING, "CHUNKING"}};
    struct buf lines = BUF_TEXT(1000);
    unsigned ext = offered(s);

    if (!take_name(s, args, "EHLO")) {
        buf_free(&lines);
        return;
    }
    s->esmtp = true;
    buf_addf(&lines, "250-%s\r\n", conf.myhostname);
    if ((ext & ESMTP_SIZE) != 0 && conf.message_size_limit > 0)
        buf_addf(&lines, "250-SIZE %lld\r\n", (long long)conf.message_size_limit);
    else if ((ext & ESMTP_SIZE) != 0)
        buf_addz(&lines, "250-SIZE\r\n");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((ext & all[i].ext) != 0)
            buf_addf(&lines, "250-%s\r\n", all[i].keyword);
    size_t last = (size_t)str_rfind(str_upto(buf_str(&lines), lines.n - 1), '\n') + 1;
    lines.p[last + 3] = ' ';
    stream_put(s->stream, buf_str(&lines));
    buf_free(&lines);
}

/* "FROM:<a@b> SIZE=3": the address in the form of the log. False: there is no colon. */
static bool take_address(struct screen *s, struct str args, const char **address)
{
    struct buf internal = BUF(args.n), shown = BUF_TEXT(2 * args.n + 10);
    ptrdiff_t colon = str_find(args, ':');
    struct str rest = str_trim(str_from(args, (size_t)(colon + 1))), word = {0};

    if (colon < 0)
        return false;
    struct str path = rest;
    if (path_parse(&path, PATH_NULL | PATH_BARE | PATH_UTF8, &internal) && buf_ok(&internal))
        path_quote(buf_str(&internal), &shown);
    else if (str_word(&rest, " \t<>", &word))
        buf_add(&shown, word);
    *address = arena_strz(s->mem, buf_str(&shown));
    buf_free(&internal);
    buf_free(&shown);
    return true;
}

static void say_mail(struct screen *s, struct str args)
{
    if (conf.postscreen_helo_required && s->helo == NULL)
        screen_reply(s, "503 5.5.1 Error: send HELO/EHLO first");
    else if (s->sender != NULL)
        screen_reply(s, "503 5.5.1 Error: nested MAIL command");
    else if (!take_address(s, args, &s->sender))
        screen_reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
    else
        screen_reply(s, "250 2.1.0 Ok");
}

static void log_refusal(struct screen *s)
{
    struct buf reply = BUF_TEXT(1000);

    buf_addz(&reply, s->rcpt_reply);
    screen_soften(&reply);
    msg_info("NOQUEUE: reject: RCPT from %s: %s; from=<%s>, to=<%s>, proto=%s, helo=<%s>", s->who,
             reply.p, s->sender, s->rcpt, s->esmtp ? "ESMTP" : "SMTP",
             s->helo != NULL ? s->helo : "");
    buf_free(&reply);
}

static void say_rcpt(struct screen *s, struct str args)
{
    if (s->sender == NULL) {
        screen_reply(s, "503 5.5.1 Error: need MAIL command");
    } else if (!take_address(s, args, &s->rcpt)) {
        screen_reply(s, "501 5.5.4 Syntax: RCPT TO:<address>");
    } else {
        log_refusal(s);
        screen_reply(s, "%s", s->rcpt_reply);
    }
}

/* No recipient was taken, so whoever goes on sends a message into the void: he has to go. */
static void say_data(struct screen *s, struct str args)
{
    (void)args;
    msg_info("DATA without valid RCPT from %s", s->who);
    if (s->sender == NULL)
        screen_reply(s, "503 5.5.1 Error: need RCPT command");
    else
        screen_reply(s, "554 5.5.1 Error: no valid recipients");
    s->closing = true;
}

/* As DATA. What comes behind it is not looked at. RFC 3030 2 */
static void say_bdat(struct screen *s, struct str args)
{
    if ((s->hidden & ESMTP_CHUNKING) != 0) {
        screen_reply(s, "502 5.5.1 Error: command not implemented");
        return;
    }
    msg_info("BDAT without valid RCPT from %s", s->who);
    if (args.n == 0)
        screen_reply(s, "501 5.5.4 Syntax: BDAT count [LAST]");
    else if (s->sender == NULL)
        screen_reply(s, "554 5.5.1 Error: need MAIL command");
    else
        screen_reply(s, "554 5.5.1 Error: no valid recipients");
    s->closing = true;
}

static void say_rset(struct screen *s, struct str args)
{
    (void)args;
    reset(s);
    screen_reply(s, "250 2.0.0 Ok");
}

static void say_noop(struct screen *s, struct str args)
{
    (void)args;
    screen_reply(s, "250 2.0.0 Ok");
}

static void say_vrfy(struct screen *s, struct str args)
{
    if (conf.postscreen_disable_vrfy_command)
        screen_reply(s, "502 5.5.1 VRFY command is disabled");
    else if (args.n == 0)
        screen_reply(s, "501 5.5.4 Syntax: VRFY address");
    else
        screen_reply(s, "450 4.3.2 Service currently unavailable");
}

static void say_etrn(struct screen *s, struct str args)
{
    if (args.n == 0)
        screen_reply(s, "500 Syntax: ETRN domain");
    else
        screen_reply(s, "458 Unable to queue messages");
}

static void say_quit(struct screen *s, struct str args)
{
    (void)args;
    screen_reply(s, "221 2.0.0 Bye");
    s->closing = true;
}

static void say_starttls(struct screen *s, struct str args)
{
    if (args.n > 0)
        screen_reply(s, "501 5.5.4 Syntax: STARTTLS");
    else
        screen_starttls(s);
}

static const struct command {
    const char *name;
    command_fn *fn;
    bool before_tls; /* also where TLS is demanded, RFC 3207 4 */
} commands[] = {
    {"HELO", say_helo, true},  {"EHLO", say_ehlo, true},  {"STARTTLS", say_starttls, true},
    {"MAIL", say_mail, false}, {"RCPT", say_rcpt, false}, {"DATA", say_data, false},
    {"RSET", say_rset, false}, {"NOOP", say_noop, true},  {"VRFY", say_vrfy, false},
    {"ETRN", say_etrn, false}, {"QUIT", say_quit, true},  {"BDAT", say_bdat, false},
};

static const struct command *find(struct str verb)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (str_ieqz(verb, commands[i].name))
            return &commands[i];
    return NULL;
}

const char *screen_command_name(struct str verb)
{
    const struct command *c = find(verb);

    return c != NULL ? c->name : NULL;
}

void screen_command(struct screen *s, struct str verb, struct str args)
{
    const struct command *c = find(verb);

    s->where = c != NULL ? c->name : "UNIMPLEMENTED";
    if (c == NULL)
        screen_reply(s, "502 5.5.2 Error: command not recognized");
    else if (screen_tls_required() && s->tls == NULL && !c->before_tls)
        screen_reply(s, "530 5.7.0 Must issue a STARTTLS command first");
    else
        c->fn(s, args);
}
