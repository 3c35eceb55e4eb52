#include "smtpd_notice.h"

#include <string.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "queue/report_words.h"
#include "queue/submit.h"
#include "task/task.h"

#include "smtpd.h"

enum {
    AT_A_TIME = 5, /* letters of this process; they may have to wait for cleanup */
    COLUMN = 78, /* where lines of a letter are broken, at a blank */
    INDENT = 4,
};

static unsigned classes; /* of notify_classes, that a session can have */
static unsigned under_way;

void smtpd_open_notices(void)
{
    static const struct str_flag names[] = {{"bounce", BLAME_BOUNCE},
                                            {"2bounce", 0},
                                            {"data", BLAME_DATA},
                                            {"delay", 0},
                                            {"policy", BLAME_POLICY},
                                            {"protocol", BLAME_PROTOCOL},
                                            {"resource", BLAME_RESOURCE},
                                            {"software", BLAME_SOFTWARE},
                                            {0}};
    struct str unknown;

    str_flags(conf.notify_classes, names, &classes, &unknown); /* conf_values.c refuses others */
}

void smtpd_blame(struct smtpd *s, enum smtpd_blame what)
{
    s->cause = what;
}

/* More recipients than one message may have, none, no word from the client, an ETRN that is not
 * served: as in Postfix these belong to no class. */
static bool is_usual(int code, struct str detail)
{
    return str_eqz(detail, ".5.3") || str_eqz(detail, ".4.2") || code == 458 || code == 459 ||
           (code % 100 == 54 && str_eqz(detail, ".5.1"));
}

/* As a rule its code tells what a refusal is about. */
static unsigned blame_of(int code, const char *dsn)
{
    struct str detail = str_from(strz(dsn), 1); /* behind 4 or 5, which soft_bounce changes */

    if (is_usual(code, detail))
        return 0;
    if (str_eqz(detail, ".3.5"))
        return BLAME_SOFTWARE;
    if (code % 100 <= 9 || code % 100 == 55 || str_starts(detail, STR(".5.")))
        return BLAME_PROTOCOL;
    return str_eqz(detail, ".1.1") || str_eqz(detail, ".1.0") ? BLAME_BOUNCE : BLAME_POLICY;
}

/* ---- what is kept ---- */

/* Nobody is to read a password: of AUTH, and of what follows it, only that it came. */
void smtpd_note_command(struct smtpd *s, struct str line)
{
    struct str rest = line, verb, mech;
    bool secret =
        str_word(&rest, " \t", &verb) && str_ieqz(verb, "AUTH") && str_word(&rest, " \t", &mech);

    s->cause = 0;
    if (classes == 0)
        return;
    buf_addz(&s->transcript, "In:  ");
    if (secret)
        buf_addf(&s->transcript, "AUTH %.*s%s", (int)mech.n, mech.p, rest.n > 0 ? " ..." : "");
    else
        buf_add(&s->transcript, line);
    buf_addc(&s->transcript, '\n');
    s->transcript_lines++;
}

void smtpd_note_reply(struct smtpd *s, int code, const char *dsn, struct str text)
{
    struct str line;

    if (code >= 400)
        s->blamed |= s->cause != 0 ? s->cause : blame_of(code, dsn);
    if (classes == 0)
        return;
    while (str_split(&text, '\n', &line)) {
        buf_addf(&s->transcript, "Out: %d%c%s%s", code, text.p != NULL ? '-' : ' ', dsn,
                 dsn[0] != 0 ? " " : "");
        buf_add(&s->transcript, line);
        buf_addc(&s->transcript, '\n');
        s->transcript_lines++;
    }
}

static void forget(struct smtpd *s)
{
    buf_clear(&s->transcript);
    s->transcript_lines = 0;
    s->blamed = 0;
}

/* ---- the letter ---- */

/* Where a line is broken: at its last blank that leaves no more than there is room for, or in a
 * long word. */
static size_t first_part(struct str line, size_t room)
{
    size_t n = room;

    if (line.n <= room)
        return line.n;
    while (n > 0 && line.p[n] != ' ')
        n--;
    return n > 0 ? n : room;
}

/* One blank in front, so that nothing of a stranger's begins a line. */
static void put_wrapped(struct submit *m, struct str line)
{
    struct buf out = BUF_TEXT(COLUMN + 1);
    size_t indent = 0;

    do {
        size_t n = first_part(line, COLUMN - indent);
        buf_clear(&out);
        buf_addf(&out, "%*s", (int)indent + 1, "");
        buf_add(&out, str_rtrim(str_upto(line, n)));
        for (size_t i = 0; i < out.n; i++)
            if (out.p[i] < ' ' || out.p[i] > '~')
                out.p[i] = '?';
        submit_line(m, buf_str(&out));
        line = str_from(line, n);
        if (line.n > 0 && line.p[0] == ' ')
            line = str_from(line, 1);
        indent = INDENT;
    } while (line.n > 0);
    buf_free(&out);
}

/* Of several classes that of bounces has a reader of its own. */
static const char *reader(const struct smtpd *s)
{
    return (s->blamed & classes & BLAME_BOUNCE) != 0 ? conf.bounce_notice_recipient
                                                     : conf.error_notice_recipient;
}

static void put_envelope(struct submit *m, const struct smtpd *s)
{
    struct buf date = BUF(100); /* fits: a date */
    /* fits: the two, an @ between them, and a NUL */
    struct buf from = BUF(strlen(conf.double_bounce_sender) + strlen(conf.myhostname) + 2);
    int64_t now = clock_wall_us();

    date_format_local(now / 1000000, &date);
    submit_putf(m, REC_TIME, "%lld %lld", (long long)(now / 1000000), (long long)(now % 1000000));
    submit_putf(m, REC_ATTR, "log_message_origin=local");
    submit_putf(m, REC_ATTR, "rewrite_context=local");
    submit_putf(m, REC_ATTR, "received_before=by %s (%s)\n\t", conf.myhostname, conf.mail_name);
    submit_putf(m, REC_ATTR, "received_after=; %s", date.p);
    report_double_bounce(conf.myhostname, &from);
    submit_put(m, REC_FROM, buf_str(&from));
    submit_put(m, REC_RCPT, strz(reader(s)));
    submit_put(m, REC_MESG, STR(""));
    buf_free(&from);
    buf_free(&date);
}

static void put_linef(struct submit *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put_linef(struct submit *m, const char *fmt, ...)
{
    struct buf line = BUF_TEXT(1000);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&line, fmt, ap);
    va_end(ap);
    submit_line(m, buf_str(&line));
    buf_free(&line);
}

static void put_content(struct submit *m, const struct smtpd *s)
{
    struct str rest = buf_str(&s->transcript), line;

    put_linef(m, "From: Mail Delivery System <MAILER-DAEMON@%s>", conf.myhostname);
    put_linef(m, "To: Postmaster <%s>", conf.error_notice_recipient);
    put_linef(m, "Subject: %s SMTP server: errors from %s", conf.mail_name, s->namaddr);
    submit_line(m, STR(""));
    submit_line(m, STR("Transcript of session follows."));
    submit_line(m, STR(""));
    while (rest.n > 0 && str_split(&rest, '\n', &line))
        put_wrapped(m, line);
    submit_line(m, STR(""));
    if (s->aborted != NULL)
        put_linef(m, "Session aborted, reason: %s", s->aborted);
    submit_line(m, STR(""));
    submit_line(m, STR("For other details, see the local mail logfile"));
    submit_put(m, REC_XTRA, STR(""));
    submit_put(m, REC_END, STR(""));
}

static void send_letter(struct smtpd *s)
{
    bool inspected = str_ilisted(conf.internal_mail_filter_classes, STR("notify"));
    unsigned flags = SUBMIT_MAP_OK | (inspected ? SUBMIT_FILTER | SUBMIT_LOCAL : 0u);
    struct buf id = BUF(100);
    struct why why = WHY;

    if (under_way >= AT_A_TIME) { /* a session must not wait for long because of a letter */
        msg_warn("postmaster notify: %u letters wait for %s already: there is none about %s",
                 under_way, conf.cleanup_service_name, s->namaddr);
        return;
    }
    under_way++;
    stream_flush(s->stream); /* the client need not wait for it */
    struct submit *m = submit_begin(flags | submit_class("notify"), &why);
    if (m != NULL) {
        put_envelope(m, s);
        put_content(m, s);
    }
    if ((m == NULL || submit_commit(&m, &id, &why) < 0) && !task_is_cancelled())
        msg_warn("postmaster notify: %s", why_text(&why));
    submit_abort(&m);
    under_way--;
    buf_free(&id);
    why_free(&why);
}

void smtpd_notice_pause(struct smtpd *s)
{
    if ((int64_t)s->transcript_lines <= conf.smtpd_history_flush_threshold)
        return;
    if ((s->blamed & classes) != 0)
        send_letter(s);
    forget(s);
}

void smtpd_notice_end(struct smtpd *s)
{
    if ((s->blamed & classes) != 0 && !task_is_cancelled())
        send_letter(s);
    forget(s);
    buf_free(&s->transcript);
}
