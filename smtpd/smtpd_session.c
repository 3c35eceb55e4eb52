/*
 * The session: greeting, the loop over commands, good-bye. RFC 5321 3.1, 4.1.4
 */
#include <inttypes.h>

#include "base/encode.h"
#include "base/msg.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/esmtp_cmd.h"
#include "milter/milter.h"
#include "net/proxy_header.h"
#include "queue/submit.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_filter.h"
#include "smtpd_limit.h"
#include "smtpd_milter.h"
#include "smtpd_notice.h"
#include "smtpd_proxy.h"
#include "smtpd_transfer.h"

enum command_flag {
    CMD_JUNK = 1, /* counts for smtpd_junk_command_limit */
    CMD_BEFORE_TLS = 2, /* allowed although TLS is required and not yet there */
    CMD_LAST = 4, /* nothing may be sent behind it before its reply (RFC 2920 3.1) */
    CMD_WHEN_DENIED = 8, /* answered although the client has no access */
    CMD_HAS_BYTES = 16, /* bytes that are no command follow at once */
};

/* In the order of the counts in the log. */
static const struct command {
    const char *name;
    smtpd_command *fn;
    unsigned flags;
} commands[SMTPD_COMMANDS] = {
    {"HELO", smtpd_helo, CMD_JUNK | CMD_BEFORE_TLS | CMD_LAST},
    {"EHLO", smtpd_ehlo, CMD_JUNK | CMD_BEFORE_TLS | CMD_LAST},
    {"XCLIENT", smtpd_xclient, CMD_BEFORE_TLS | CMD_LAST},
    {"XFORWARD", smtpd_xforward, 0},
    {"STARTTLS", smtpd_starttls, CMD_BEFORE_TLS | CMD_LAST},
    {"AUTH", smtpd_auth, 0},
    {"MAIL", smtpd_mail, 0},
    {"RCPT", smtpd_rcpt, 0},
    {"DATA", smtpd_data, CMD_LAST},
    {"BDAT", smtpd_bdat, CMD_HAS_BYTES},
    {"RSET", smtpd_rset, CMD_JUNK},
    {"NOOP", smtpd_noop, CMD_JUNK | CMD_BEFORE_TLS | CMD_LAST},
    {"VRFY", smtpd_vrfy, CMD_JUNK | CMD_LAST},
    {"ETRN", smtpd_etrn, CMD_JUNK},
    {"HELP", smtpd_help, CMD_JUNK | CMD_BEFORE_TLS},
    {"QUIT", smtpd_quit, CMD_BEFORE_TLS | CMD_WHEN_DENIED},
};
enum { UNKNOWN = SMTPD_COMMANDS - 1 };

const char *smtpd_protocol(const struct smtpd *s)
{
    return s->esmtp ? "ESMTP" : "SMTP";
}

void smtpd_drop_mail(struct smtpd *s)
{
    if (s->mail == NULL)
        return;
    struct arena *mem = s->mail->mem;
    smtpd_policy_release(s);
    submit_abort(&s->mail->submit);
    smtpd_transfer_close(s->mail);
    smtpd_proxy_close(s->mail);
    VEC_FREE(&s->mail->rcpts);
    VEC_FREE(&s->mail->prepend);
    VEC_FREE(&s->mail->bcc);
    s->mail = NULL;
    arena_free(&mem);
    milters_abort(s->milters);
}

void smtpd_end_mail(struct smtpd *s)
{
    smtpd_drop_mail(s);
    smtpd_forget_origin(s);
    s->bdat = BDAT_NONE;
    smtpd_notice_pause(s);
}

static int find_command(struct str verb)
{
    for (int i = 0; i < UNKNOWN; i++)
        if (commands[i].name != NULL && str_ieqz(verb, commands[i].name))
            return i;
    return UNKNOWN;
}

/* The client has sent something for which it had to wait. It is remembered for the session. True:
 * which ends here. */
static bool spoke_too_early(struct smtpd *s, const char *where)
{
    struct buf shown = BUF_TEXT(500);

    encode_escapes(&shown, str_upto(stream_ahead_str(s->stream), 100));
    if (!s->early_talk)
        msg_info("improper command pipelining after %s from %s: %s", where, s->namaddr, shown.p);
    buf_free(&shown);
    s->early_talk = true;
    if (!conf.smtpd_forbid_unauth_pipelining)
        return false;
    smtpd_reply(s, 554, "5.5.0", "Error: SMTP protocol synchronization");
    s->closing = true;
    return true;
}

/* Commands that came where the client had to wait for a reply: behind the last one of a group (RFC
 * 2920 3.1), or behind any, if the client has not said EHLO. */
static bool talks_early(struct smtpd *s, const struct command *c)
{
    if ((s->said_ehlo && (c->flags & CMD_LAST) == 0) || (c->flags & CMD_HAS_BYTES) != 0 ||
        stream_ahead(s->stream) == 0)
        return false;
    return spoke_too_early(s, c->name);
}

/* RFC 5321 3.1: the client waits for the greeting. Behind postscreen it has done so, and TLS from
 * the first byte is no word of SMTP. */
static bool talks_before_greeting(struct smtpd *s)
{
    short events;

    if (s->peer.addr.family == AF_UNIX || s->peer.passed || conf.smtpd_tls_wrappermode ||
        strcmp(s->where, "CONNECT") != 0)
        return false;
    stream_try_fill(s->stream, &events);
    return stream_ahead(s->stream) > 0 && spoke_too_early(s, "CONNECT");
}

/* Bytes that no command has are bad syntax, to be answered with 500 (RFC 5321 4.2.4), and not yet a
 * program that speaks another protocol. */
static void unknown_command(struct smtpd *s, struct str verb)
{
    s->where = "UNKNOWN";
    if (str_ilisted(conf.smtpd_noop_commands, verb)) {
        smtpd_noop(s, verb);
        return;
    }
    if (str_is_printable(verb) && smtpd_filter_forbids(conf.smtpd_forbidden_commands, verb)) {
        msg_warn_each("non-SMTP command from %s: %.100s", s->namaddr, s->line.p);
        smtpd_reply(s, 221, "2.7.0", "Error: I can break rules, too. Goodbye.");
        s->closing = s->failed = true;
        return;
    }
    if (!smtpd_event(s, SMTPD_UNKNOWN, &(struct smtpd_facts){.path = verb})) {
        smtpd_reply_denial(s);
        return;
    }
    smtpd_reply(s, 500, "5.5.2",
                str_is_printable(verb) ? "Error: command not recognized" : "Error: bad syntax");
}

/* What can be no command is counted as none, and not looked at. */
static bool is_bad_text(struct smtpd *s, struct str verb)
{
    bool good = utf8_valid(buf_str(&s->line)) && str_find(buf_str(&s->line), 0) < 0;

    if (good && verb.n > 0)
        return false;
    smtpd_reply(s, 500, "5.5.2", good ? "Error: bad syntax" : "Error: bad UTF-8 syntax");
    return true;
}

static void try_command(struct smtpd *s, const struct command *c, const struct esmtp_cmd *cmd)
{
    if (s->denied && (c->flags & CMD_WHEN_DENIED) == 0) {
        s->where = c->name != NULL ? c->name : "UNKNOWN";
        smtpd_reply(s, 503, "5.7.0", "Error: access denied for %s", s->namaddr);
    } else if (c->name == NULL) {
        unknown_command(s, cmd->verb);
    } else {
        s->where = c->name;
        if (talks_early(s, c))
            ;
        else if (smtpd_tls_required() && s->tls == NULL && (c->flags & CMD_BEFORE_TLS) == 0)
            smtpd_reply(s, 530, "5.7.0", "Must issue a STARTTLS command first"); /* RFC 3207 4 */
        else
            c->fn(s, cmd->args);
    }
}

static void run_command(struct smtpd *s)
{
    struct esmtp_cmd cmd;

    smtpd_note_command(s, buf_str(&s->line));
    if (!smtpd_filter_command(s))
        return;
    esmtp_cmd_split(buf_str(&s->line), &cmd);
    if (!s->denied && is_bad_text(s, cmd.verb)) {
        s->errors++;
        return;
    }
    int i = find_command(cmd.verb);

    s->failed = false;
    s->all_count[i]++;
    smtpd_forget_facts(s);
    try_command(s, &commands[i], &cmd);
    if (stream_state(s->stream) != STREAM_OK) /* it has not come to an end */
        s->failed = true;
    s->ok_count[i] += !s->failed;
    s->errors += s->failed;
    if ((commands[i].flags & CMD_JUNK) != 0 && s->junk++ > conf.smtpd_junk_command_limit)
        s->errors++;
}

static void read_command(struct smtpd *s)
{
    if (s->errors >= conf.smtpd_hard_error_limit) {
        msg_info("too many errors after %s from %s", s->where, s->namaddr);
        smtpd_blame(s, BLAME_PROTOCOL);
        s->aborted = "too many errors";
        smtpd_hang_up(s, "4.7.0", "Error: too many errors");
        return;
    }
    buf_clear(&s->line);
    switch (smtpd_line(s, &s->line)) {
    case LINE_LF:
        if (strcmp(conf.smtpd_forbid_bare_newline, "reject") == 0 && !smtpd_is_mine(s)) {
            smtpd_reply(s, (int)conf.smtpd_forbid_bare_newline_reject_code, "5.5.2",
                        "%s Error: bare <LF> received", conf.myhostname);
            s->closing = true;
            break;
        }
        run_command(s);
        break;
    case LINE_CRLF:
        run_command(s);
        break;
    case LINE_TOO_LONG: /* RFC 5321 4.5.3.1.4, 4.3.2 */
        s->all_count[UNKNOWN]++;
        s->errors++;
        smtpd_reply(s, 500, "5.5.2", "Error: line too long");
        break;
    case LINE_NONE:
        break;
    }
}

void smtpd_greet(struct smtpd *s)
{
    s->may_xclient = smtpd_may_xclient(s);
    s->may_xforward = smtpd_may_xforward(s);
    s->may_verp = smtpd_may_verp(s);
    if (!smtpd_limit_enter(s) || talks_before_greeting(s))
        return;
    if (!smtpd_find_hidden(s) || !smtpd_begin_milters(s)) {
        smtpd_data_error(s);
    } else if (!smtpd_event(s, SMTPD_CONNECT, &(struct smtpd_facts){0})) {
        smtpd_reply_denial(s);
        s->denied = !smtpd_milters_refuse(s); /* filters refuse each command themselves */
    } else {
        smtpd_reply(s, 220, "", "%s", conf.smtpd_banner);
    }
}

/* "BDAT (3 bytes)" between two chunks; within one, where says so already. */
static void log_where(const struct smtpd *s, const char *what)
{
    struct buf place = BUF_TEXT(100);

    buf_addz(&place, s->where);
    if (strcmp(s->where, "BDAT") == 0 && s->mail != NULL && s->mail->transfer != NULL)
        buf_addf(&place, " (%" PRId64 " bytes)",
                 s->mail->bytes + (int64_t)esmtp_bdat_held(&s->mail->transfer->chunks));
    msg_info("%s after %s from %s", what, place.p, s->namaddr);
    buf_free(&place);
}

/* Why the loop has ended, if not by QUIT. */
static void log_end(struct smtpd *s)
{
    enum stream_state state = stream_state(s->stream);

    if (s->closing || state == STREAM_OK)
        return;
    if (state == STREAM_TIMEOUT) {
        smtpd_hang_up(s, "4.4.2", "Error: timeout exceeded"); /* RFC 5321 4.5.3.2 */
        s->aborted = "timeout";
    } else if (state == STREAM_CANCELLED) {
        smtpd_hang_up(s, "4.3.2", "Error: service shutting down"); /* RFC 5321 3.8 */
    } else {
        s->aborted = "lost connection";
    }
    if (s->aborted != NULL)
        log_where(s, s->aborted);
}

static void count_text(struct buf *out, const char *name, unsigned ok, unsigned all)
{
    buf_addf(out, " %s=%u", name, ok);
    if (ok != all || all == 0)
        buf_addf(out, "/%u", all);
}

static void log_disconnect(struct smtpd *s)
{
    struct buf line = BUF_TEXT(4096);
    unsigned ok = 0, all = 0;

    for (int i = 0; i < SMTPD_COMMANDS; i++) {
        if (s->all_count[i] == 0)
            continue;
        char name[16] = "unknown";
        if (i != UNKNOWN) {
            snprintf(name, sizeof name, "%s", commands[i].name);
            str_lower(name, strlen(name));
        }
        count_text(&line, name, s->ok_count[i], s->all_count[i]);
        ok += s->ok_count[i];
        all += s->all_count[i];
    }
    count_text(&line, "commands", ok, all);
    msg_info("disconnect from %s%s", s->namaddr, line.p);
    buf_free(&line);
}

/* (waits) Who the client behind a proxy is (smtpd_upstream_proxy_protocol). False: that is not
 * known, so nothing can be decided. */
static bool ask_proxy(struct smtpd *s)
{
    int64_t deadline = task_now() + conf.smtpd_upstream_proxy_timeout * 1000;
    struct proxy_header header;
    struct why why = WHY;

    if (conf.smtpd_upstream_proxy_protocol[0] == 0 || s->peer.passed)
        return true;
    bool known = proxy_header_read(s->stream, deadline, &header, &why) == 0;
    if (!known)
        msg_warn_each("haproxy read: %s from %s", why_text(&why), s->peer.addr_text);
    else if (!header.local)
        peer_set(&s->peer, &header.client, &header.server);
    why_free(&why);
    return known;
}

static void smtpd_session_begin(struct smtpd *s)
{
    if (conf.smtpd_peername_lookup)
        peer_find_name(&s->peer, s->mem, task_now() + conf.smtpd_timeout * 1000);
    if (s->peer.addr.family == AF_UNIX)
        snprintf(s->port, sizeof s->port, "unknown");
    else
        snprintf(s->port, sizeof s->port, "%u", s->peer.addr.port);
    smtpd_name_client(s, s->mem);
    msg_info("connect from %s", s->namaddr);
}

void smtpd_session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    struct smtpd s = {.mem = mem, .stream = client, .peer = *peer, .where = "CONNECT"};

    /* asked: by smtpd_line */
    s.line = BUF((size_t)conf.line_length_limit);
    /* fits: HELO cuts at RFC 5321 4.5.3.1.2 */
    s.helo_name = s.helo_asked = BUF(255);
    s.milter_text = BUF_TEXT(4096);
    s.transcript = BUF_TEXT(SMTPD_TRANSCRIPT_MOST);
    s.denial.why = s.defer_if_permit.why = s.defer_if_reject.why = WHY;
    s.denial.why.text = BUF_TEXT(MILTER_REPLY_MOST); /* filters may say more than others */
    for (int i = 0; i < SMTPD_EARLY_LISTS; i++)
        s.deferred[i].why = WHY;
    smtpd_time_begins(&s);
    bool known = ask_proxy(&s);
    smtpd_session_begin(&s);
    if (!known)
        smtpd_hang_up(&s, "4.3.0", "Server local error");
    else if (!conf.smtpd_tls_wrappermode || smtpd_tls_wrap(&s) == 0)
        smtpd_greet(&s);
    while (!s.closing && stream_state(client) == STREAM_OK)
        read_command(&s);
    log_end(&s);
    stream_flush(client);
    smtpd_time_ends(&s);
    smtpd_limit_leave(&s);
    smtpd_notice_end(&s);
    log_disconnect(&s);
    smtpd_end_mail(&s);
    smtpd_end_milters(&s);
    smtpd_forget_facts(&s);
    buf_free(&s.line);
    buf_free(&s.helo_name);
    buf_free(&s.helo_asked);
    buf_free(&s.milter_text);
    why_free(&s.denial.why);
    why_free(&s.defer_if_permit.why);
    why_free(&s.defer_if_reject.why);
    for (int i = 0; i < SMTPD_EARLY_LISTS; i++)
        why_free(&s.deferred[i].why);
}
