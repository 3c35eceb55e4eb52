/*
 * The before-queue filter: smtpd_proxy_filter. smtpd_proxy_talk.c speaks with it; here is when what
 * is said.
 */
#include "smtpd_proxy.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "mail/esmtp_data.h"
#include "queue/submit.h"
#include "task/task.h"

#include "smtpd_notice.h"
#include "smtpd_proxy_talk.h"
#include "smtpd_transfer.h"

/* In the transaction's arena. */
struct smtpd_proxy {
    struct proxy_talk *talk; /* null: not connected */
    VEC(const char *) commands; /* MAIL, and RCPT if they wait */
    struct buf held; /* content, if it waits */
    bool passing; /* content goes to the filter */
    bool in_line;
    bool failed; /* its reply is known before the end */
};

static struct {
    bool on, speed_adjust;
} proxy;

void smtpd_open_proxy(void)
{
    static const struct str_flag names[] = {{"speed_adjust", 1}, {0}};
    struct str unknown;
    unsigned bits;

    if (!str_flags(conf.smtpd_proxy_options, names, &bits, &unknown))
        conf_fault("smtpd_proxy_options", "there is no \"%.*s\": speed_adjust", (int)unknown.n,
                   unknown.p);
    proxy.speed_adjust = bits != 0;
    proxy.on = proxy_talk_open();
}

void smtpd_proxy_paths(void)
{
    proxy_talk_paths();
}

bool smtpd_has_proxy(void)
{
    return proxy.on;
}

/* The command as the client sent it, in which nothing may end it for the filter. */
static void keep_command(struct smtpd *s)
{
    char *line = arena_strz(s->mail->mem, str_trim(buf_str(&s->line)));

    for (char *p = line; *p; p++)
        if ((*p > 0 && *p < ' ') || *p == 127)
            *p = *p == '\t' ? ' ' : '?';
    *VEC_ADD(&s->mail->proxy->commands) = line;
}

void smtpd_proxy_mail(struct smtpd *s)
{
    struct smtpd_proxy *p = arena_alloc(s->mail->mem, sizeof *p);

    /* asked: by smtpd_proxy_put; a line more than the limit, and its end */
    p->held = BUF((size_t)conf.smtpd_proxy_hold_limit + 128 * 1024);
    s->mail->proxy = p;
    keep_command(s);
}

/* From now on the reply is what the filter has said, or 451. */
static bool refused(struct smtpd_proxy *p)
{
    p->failed = true;
    return false;
}

static bool connect_filter(struct smtpd *s)
{
    struct smtpd_proxy *p = s->mail->proxy;

    p->talk = proxy_talk_start(s);
    if (p->talk == NULL)
        return refused(p);
    VEC_EACH (&p->commands, line)
        if (!proxy_talk_say(p->talk, 2, *line))
            return refused(p);
    return true;
}

/* The filter has not failed: this process was told to end while it was waited for. RFC 5321 3.8 */
static bool is_ending(const struct smtpd *s)
{
    return task_is_cancelled() && proxy_talk_failed(s->mail->proxy->talk);
}

static void reply(struct smtpd *s)
{
    const struct proxy_talk *t = s->mail->proxy->talk;

    if (is_ending(s)) {
        smtpd_hang_up(s, "4.3.2", "Error: service shutting down");
        return;
    }
    if (proxy_talk_failed(t))
        smtpd_blame(s, BLAME_SOFTWARE);
    smtpd_reply_text(s, proxy_talk_code(t), proxy_talk_dsn(t), proxy_talk_text(t));
    if (proxy_talk_code(t) == 421 || proxy_talk_code(t) == 521)
        s->closing = true;
}

/* The next recipient may find the filter well again. */
static bool refuse_mail(struct smtpd *s)
{
    reply(s);
    s->mail->proxy->failed = false;
    proxy_talk_end(&s->mail->proxy->talk);
    return false;
}

static bool say_rcpt(struct smtpd *s)
{
    struct smtpd_proxy *p = s->mail->proxy;
    size_t before = p->commands.n;

    keep_command(s);
    bool taken = proxy_talk_say(p->talk, 2, p->commands.at[before]);
    p->commands.n = before;
    if (!taken)
        reply(s);
    return taken;
}

static void log_client(struct smtpd *s)
{
    struct buf line = BUF_TEXT(4096);

    smtpd_describe_client(s, &line);
    msg_info("NOQUEUE: %s", line.p);
    buf_free(&line);
}

bool smtpd_proxy_rcpt(struct smtpd *s)
{
    bool begins = proxy.speed_adjust ? s->mail->rcpts.n == 0 : s->mail->proxy->talk == NULL;

    if (begins && !proxy.speed_adjust && !connect_filter(s))
        return refuse_mail(s);
    if (begins)
        log_client(s);
    if (!proxy.speed_adjust)
        return say_rcpt(s);
    keep_command(s);
    return true;
}

/* What an access table has ordered that only cleanup can do. Passing the message on without it
 * would be another decision than the administrator's. */
static bool needs_queue(struct smtpd *s)
{
    const struct smtpd_mail *m = s->mail;

    if (smtpd_discards(m)) /* nobody does anything with it */
        return false;
    if (m->filter == NULL && m->redirect == NULL && m->bcc.n == 0 &&
        (m->submit_flags & SUBMIT_HOLD) == 0 && !s->milter_holds)
        return false;
    msg_warn("an access table or a mail filter says FILTER, REDIRECT, BCC or HOLD: with "
             "smtpd_proxy_filter there is no such action");
    smtpd_reply(s, 451, "4.3.5", "Server configuration error");
    return true;
}

bool smtpd_proxy_data(struct smtpd *s)
{
    struct smtpd_proxy *p = s->mail->proxy;

    if (needs_queue(s))
        return false;
    if (smtpd_discards(s->mail)) { /* cleanup does that */
        smtpd_proxy_close(s->mail);
        return true;
    }
    if (!proxy.speed_adjust && !proxy_talk_say(p->talk, 3, "DATA")) {
        reply(s);
        return false;
    }
    p->passing = !proxy.speed_adjust;
    return true;
}

/* What was held goes to the filter, and the rest will follow. */
static void pass_held(struct smtpd *s)
{
    struct smtpd_proxy *p = s->mail->proxy;

    if (p->passing || p->failed)
        return;
    if (!connect_filter(s) || !proxy_talk_say(p->talk, 3, "DATA")) {
        p->failed = true;
        buf_free(&p->held);
        return;
    }
    p->passing = true;
    proxy_talk_content(p->talk, buf_str(&p->held));
    buf_free(&p->held);
}

/* What the filter might take for the end of a line, or of the message, and we did not. */
static void replace_stray(char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] == 0 ||
            (conf.cleanup_replace_stray_cr_lf && (bytes[i] == '\r' || bytes[i] == '\n')))
            bytes[i] = ' ';
}

void smtpd_proxy_put(struct smtpd *s, struct str piece, bool ends)
{
    struct smtpd_proxy *p = s->mail->proxy;
    size_t before = p->held.n, end = ends ? 2 : 0;

    if (p->failed)
        return;
    esmtp_data_out(&p->held, piece, !p->in_line, ends);
    if (p->held.n > before + end)
        replace_stray(p->held.p + before, p->held.n - before - end);
    p->in_line = !ends;
    if (!buf_ok(&p->held)) {
        buf_cut(&p->held, before);
        proxy_talk_fail(&p->talk, "a line is too long");
        p->failed = true;
    } else if (p->passing) {
        proxy_talk_content(p->talk, buf_str(&p->held));
        buf_clear(&p->held);
    } else if (p->held.n > (size_t)conf.smtpd_proxy_hold_limit) {
        pass_held(s);
    }
}

static void log_end(struct smtpd *s)
{
    const struct proxy_talk *t = s->mail->proxy->talk;
    struct buf line = BUF_TEXT(16384);

    if (is_ending(s))
        return;
    proxy_talk_print(t, &line);
    buf_addc(&line, ';');
    smtpd_log_about(s, s->mail->rcpts.at[0].address, &line);
    msg_info("proxy-%s: END-OF-MESSAGE: %s", proxy_talk_code(t) / 100 == 2 ? "accept" : "reject",
             line.p);
    buf_free(&line);
}

void smtpd_proxy_end(struct smtpd *s)
{
    struct smtpd_proxy *p = s->mail->proxy;

    if (needs_queue(s) || smtpd_discards(s->mail)) { /* ordered at the end of the content */
        if (smtpd_discards(s->mail))
            smtpd_reply(s, 250, "2.0.0", "Ok: discarded");
        smtpd_proxy_close(s->mail);
        return;
    }
    pass_held(s);
    if (!p->failed)
        proxy_talk_say(p->talk, 0, ".");
    log_end(s);
    reply(s);
    if (proxy_talk_code(p->talk) / 100 == 2)
        s->errors = s->junk = 0;
    p->passing = false;
}

void smtpd_proxy_close(struct smtpd_mail *m)
{
    struct smtpd_proxy *p = m->proxy;

    if (p == NULL)
        return;
    if (p->passing) /* no dot has been sent: the filter must throw away what it has */
        proxy_talk_break(p->talk);
    proxy_talk_end(&p->talk);
    VEC_FREE(&p->commands);
    buf_free(&p->held);
    m->proxy = NULL;
}
