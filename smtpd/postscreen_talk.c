/*
 * A session in which no mail is taken: with clients that are not wanted, and with those whose way
 * of speaking is to be seen. Who behaves well up to RCPT has passed.
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "mail/esmtp_ehlo.h"
#include "task/task.h"

#include "postscreen.h"
#include "smtpd_filter.h"

enum { SHOWN = 100 }; /* bytes of a client that a line of the log has */

static struct {
    struct maps *commands, *hidden;
} talk;

void screen_open_talk(void)
{
    talk.commands =
        maps_open("postscreen_command_filter", conf.postscreen_command_filter, DICT_MAY_FAIL);
    talk.hidden =
        maps_open("postscreen_discard_ehlo_keyword_address_maps",
                  conf.postscreen_discard_ehlo_keyword_address_maps, DICT_FOLD | DICT_MAY_FAIL);
}

static void find_hidden(struct screen *s)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = hostaddr_find(talk.hidden, s->peer.addr_text, &value, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    s->hidden = esmtp_ext_mask(answer == DICT_FOUND ? buf_str(&value)
                                                    : strz(conf.postscreen_discard_ehlo_keywords));
    buf_free(&value);
    why_free(&why);
}

/* ---- the tests ---- */

static bool is_open(const struct screen *s, enum screen_test test)
{
    return (s->todo & ~s->skipped & SCREEN_BIT(test)) != 0;
}

/* Until when the shortest result holds: a client that may go on although it has failed. */
static int64_t shortest_ttl(void)
{
    const int64_t all[] = {conf.postscreen_greet_ttl, conf.postscreen_dnsbl_min_ttl,
                           conf.postscreen_pipelining_ttl, conf.postscreen_non_smtp_command_ttl,
                           conf.postscreen_bare_newline_ttl};
    int64_t least = all[0];

    for (size_t i = 1; i < sizeof all / sizeof *all; i++)
        if (all[i] < least)
            least = all[i];
    return least;
}

/* True: the client has been told so, and is to go. */
static bool fail_deep(struct screen *s, enum screen_test test, const char *action, const char *drop)
{
    enum screen_action a = screen_action(action);

    s->skipped |= SCREEN_BIT(test);
    if (a == SCREEN_IGNORE) {
        s->stamps.until[test] = clock_wall() + shortest_ttl();
        s->passed |= SCREEN_BIT(test);
        return false;
    }
    s->passed &= ~SCREEN_BIT(test);
    s->closing = screen_fail(s, test, a, drop, "550 5.5.1 Protocol error");
    return s->closing;
}

static bool has_bare_newline(struct screen *s)
{
    struct buf shown = BUF_TEXT(500);

    if (!is_open(s, BARE_NEWLINE))
        return false;
    encode_escapes(&shown, str_upto(buf_str(&s->line), SHOWN));
    msg_info("BARE NEWLINE from %s after %s", s->who, shown.p);
    buf_free(&shown);
    return fail_deep(s, BARE_NEWLINE, conf.postscreen_bare_newline_action,
                     "521 5.5.1 Protocol error");
}

static bool is_foreign(struct screen *s, struct str verb, struct str args)
{
    struct buf shown = BUF_TEXT(500);

    if (!is_open(s, NON_SMTP) || screen_command_name(verb) != NULL ||
        (utf8_valid(verb) && !smtpd_filter_forbids(conf.postscreen_forbidden_commands, verb)))
        return false;
    encode_escapes(&shown, str_upto(args, SHOWN));
    msg_info("NON-SMTP COMMAND from %s after %s: %.*s %s", s->who, s->where,
             (int)str_upto(verb, SHOWN).n, verb.p, shown.p);
    buf_free(&shown);
    return fail_deep(s, NON_SMTP, conf.postscreen_non_smtp_command_action,
                     "521 5.7.0 Error: I can break rules, too. Goodbye.");
}

static bool talks_ahead(struct screen *s, struct str verb)
{
    struct buf shown = BUF_TEXT(500);

    /* Behind BDAT comes its chunk. */
    if (!is_open(s, PIPELINING) || stream_ahead(s->stream) == 0 || str_ieqz(verb, "BDAT"))
        return false;
    encode_escapes(&shown, str_upto(stream_ahead_str(s->stream), SHOWN));
    msg_info("COMMAND PIPELINING from %s after %.*s: %s", s->who, (int)str_upto(verb, SHOWN).n,
             verb.p, shown.p);
    buf_free(&shown);
    return fail_deep(s, PIPELINING, conf.postscreen_pipelining_action, "521 5.5.1 Protocol error");
}

/* Who has come as far as RCPT has passed what he has not failed. */
static void pass_deep(struct screen *s)
{
    const int64_t ttl[SCREEN_TESTS] = {
        [PIPELINING] = conf.postscreen_pipelining_ttl,
        [NON_SMTP] = conf.postscreen_non_smtp_command_ttl,
        [BARE_NEWLINE] = conf.postscreen_bare_newline_ttl,
    };

    for (enum screen_test t = PIPELINING; t < SCREEN_TESTS; t++)
        if (is_open(s, t) && (s->passed & SCREEN_BIT(t)) == 0) {
            s->stamps.until[t] = clock_wall() + ttl[t];
            s->passed |= SCREEN_BIT(t);
        }
}

/* ---- the loop ---- */

static void hang_up(struct screen *s, const char *limit)
{
    msg_info("COMMAND %s LIMIT from %s after %s", limit, s->who, s->where);
    screen_reply(s, "421 %s Service unavailable - try again later", conf.myhostname);
    s->closing = true;
}

/* postscreen_command_filter may put another command in its place. */
static void filter_line(struct screen *s)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    switch (maps_find(talk.commands, s->line.p, &value, &why)) {
    case DICT_FOUND:
        msg_info("%s: replacing command \"%.100s\" with \"%.100s\"", s->who, s->line.p, value.p);
        buf_set(&s->line, str_upto(buf_str(&value), s->line.max));
        break;
    case DICT_FAILED:
        msg_warn("%s", why_text(&why));
        break;
    case DICT_NONE:
        break;
    }
    buf_free(&value);
    why_free(&why);
}

/* Only blanks and tabs part words: a CR at the begin makes another command of it. */
static struct str take_verb(struct str *line)
{
    static const char blanks[] = " \t";
    struct str verb = {0};

    str_word(line, blanks, &verb);
    while (line->n > 0 && strchr(blanks, line->p[0]) != NULL)
        *line = str_from(*line, 1);
    *line = str_rtrim(*line);
    return verb;
}

static void run_line(struct screen *s, bool bare)
{
    if (bare && has_bare_newline(s))
        return;
    filter_line(s);
    struct str args = str_rtrim(buf_str(&s->line)), verb = take_verb(&args);
    if (is_foreign(s, verb, args) || talks_ahead(s, verb))
        return;
    if (str_ieqz(verb, "RCPT"))
        pass_deep(s);
    screen_command(s, verb, args);
}

static void log_end(struct screen *s)
{
    switch (stream_state(s->stream)) {
    case STREAM_OK:
        break;
    case STREAM_TIMEOUT:
        msg_info("COMMAND TIME LIMIT from %s after %s", s->who, s->where);
        screen_reply(s, "421 4.4.2 %s Error: timeout exceeded", conf.myhostname);
        break;
    case STREAM_CANCELLED:
        screen_reply(s, "421 4.3.2 %s Error: service shutting down", conf.myhostname);
        break;
    default:
        screen_log_hangup(s, "after");
    }
}

/* Who goes by himself need not be told to. */
static bool is_quit(const struct buf *line)
{
    return str_ieq(str_rtrim(buf_str(line)), STR("QUIT"));
}

static void read_commands(struct screen *s)
{
    int64_t commands = 0;

    while (!s->closing && stream_state(s->stream) == STREAM_OK) {
        stream_set_deadline(s->stream, task_now() + conf.postscreen_command_time_limit * 1000);
        buf_clear(&s->line);
        enum line end = stream_line_within(s->stream, &s->line);
        if (end == LINE_TOO_LONG)
            hang_up(s, "LENGTH");
        else if (end == LINE_NONE)
            break;
        else if (++commands > conf.postscreen_command_count_limit && !is_quit(&s->line))
            hang_up(s, "COUNT");
        else
            run_line(s, end == LINE_LF);
    }
}

void screen_talk(struct screen *s)
{
    s->line = BUF((size_t)conf.line_length_limit); /* asked: by stream_line_within */
    find_hidden(s);
    s->began_us = clock_us();
    /* Who has not waited for it has had enough of a greeting: a second one would be taken for the
     * reply to his first command. */
    if ((s->failed & SCREEN_BIT(PREGREET)) == 0)
        screen_reply(s, "220 %s", conf.smtpd_banner);
    read_commands(s);
    if (!s->closing)
        log_end(s);
    stream_set_deadline(s->stream, task_now() + conf.postscreen_command_time_limit * 1000);
    buf_free(&s->line);
}
