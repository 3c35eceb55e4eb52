/*
 * Mail filters at each stage of a session: what they are told, and what becomes of their answers.
 * lib/milter speaks with them; cleanup shows them the content (qmgr/cleanup_milter.c).
 */
#include "smtpd_milter.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "milter/milter.h"
#include "queue/submit.h"
#include "service/jail.h"
#include "service/service.h"

#include "smtpd_check.h"

static struct {
    struct milter_list list; /* smtpd_milters */
    struct maps *maps; /* smtpd_milter_maps */
} milter;

/* ---- start ---- */

static bool is_disable(const char *value)
{
    return str_ieqz(str_trim(strz(value)), "DISABLE");
}

static void check_value(void *arg, const char *table, const char *where, const char *value)
{
    struct milter_list list = {.n = 0};
    struct why why = WHY;

    (void)arg;
    if (!is_disable(value) && milter_list_read(&list, value, &why) < 0)
        conf_fault("smtpd_milter_maps", "%s, %s: %s", table, where, why_text(&why));
    milter_list_free(&list);
    why_free(&why);
}

void smtpd_open_milters(void)
{
    struct why why = WHY;

    milter_list_open(&milter.list, "smtpd_milters", conf.smtpd_milters);
    milter.maps = maps_open("smtpd_milter_maps", conf.smtpd_milter_maps, DICT_FOLD | DICT_MAY_FAIL);
    if (service_trying())
        maps_values(milter.maps, check_value, NULL);
    if (milter_macro_defaults_check(conf.milter_macro_defaults, &why) < 0)
        conf_fault("milter_macro_defaults", "%s", why_text(&why));
    why_free(&why);
}

static void open_ports(const struct milter_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].at.host != NULL)
            jail_port(list->at[i].at.port);
}

static void open_ports_of(void *arg, const char *table, const char *where, const char *value)
{
    struct milter_list list = {.n = 0};

    (void)arg;
    (void)table;
    (void)where;
    if (!is_disable(value) && milter_list_read(&list, value, NULL) == 0)
        open_ports(&list);
    milter_list_free(&list);
}

void smtpd_milter_paths(void)
{
    open_ports(&milter.list);
    maps_values(milter.maps, open_ports_of, NULL);
    jail_read_tables(conf.smtpd_milter_maps);
}

/* ---- the filters of a client ---- */

/* A table's answer takes the place of smtpd_milters. False: nothing can be said of this client. */
static bool find_list(struct smtpd *s, const struct milter_list **list)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = hostaddr_find(milter.maps, s->peer.addr_text, &value, &why);
    bool good = answer != DICT_FAILED;

    *list = &milter.list;
    if (answer == DICT_FOUND) {
        *list = &s->milter_list;
        if (!is_disable(value.p))
            good = milter_list_read(&s->milter_list, value.p, &why) == 0;
    }
    if (!good)
        msg_warn("smtpd_milter_maps: %s: %s", s->peer.addr_text, why_text(&why));
    buf_free(&value);
    why_free(&why);
    return good;
}

bool smtpd_begin_milters(struct smtpd *s)
{
    const struct milter_list *list;

    if ((submit_overrides() & OVERRIDE_NO_MILTERS) != 0)
        return true;
    if (!find_list(s, &list))
        return false;
    s->milters = milters_new(list, smtpd_milter_macro, s);
    return true;
}

void smtpd_end_milters(struct smtpd *s)
{
    milters_quit(s->milters);
    milters_free(&s->milters);
    milter_list_free(&s->milter_list);
    s->milter_holds = false;
}

/* ---- answers ---- */

/* Line ends as Postfix logs them. */
static void log_answer(const struct smtpd *s, const char *action, const char *rcpt,
                       const char *text)
{
    struct buf line = BUF_TEXT(2 * MILTER_REPLY_MOST);
    struct str rest = strz(text), part;

    while (str_split(&rest, '\n', &part)) {
        buf_addz(&line, line.n > 0 ? "??" : "");
        buf_add(&line, part);
    }
    smtpd_log(s, action, rcpt, line.p);
    buf_free(&line);
}

static void deny(struct smtpd *s, const struct milter_answer *a)
{
    struct smtpd_denial *d = &s->denial;

    buf_clear(&d->why.text); /* may get several lines */
    d->code = milter_answer_parts(a, d->why.code, &d->why.text);
}

void smtpd_deny_as(struct smtpd *s, struct str reply)
{
    struct milter_answer a = MILTER_ANSWER;

    buf_set(&a.reply, reply);
    deny(s, &a);
    milter_answer_free(&a);
}

/* True: the command is refused, with s->denial set. All answers are logged. */
static bool take_answer(struct smtpd *s, const struct milter_answer *a, const char *rcpt)
{
    switch (a->does) {
    case MILTER_GOES_ON:
        return false;
    case MILTER_HOLDS:
        if (s->mail != NULL)
            s->mail->submit_flags |= SUBMIT_HOLD;
        log_answer(s, "milter-hold", rcpt, "milter triggers HOLD action");
        return false;
    case MILTER_DISCARDS:
        if (s->mail != NULL)
            s->mail->filter_discards = true;
        log_answer(s, "milter-discard", rcpt, "milter triggers DISCARD action");
        return false;
    case MILTER_REPLIES:
    case MILTER_SHUTS_DOWN:
        deny(s, a);
        log_answer(s, "milter-reject", rcpt, a->reply.p);
        return true;
    }
    return false;
}

bool smtpd_milters_refuse(struct smtpd *s)
{
    struct milter_answer a = MILTER_ANSWER;
    bool refused = milters_other(s->milters, &a) != MILTER_GOES_ON;

    if (refused)
        deny(s, &a);
    milter_answer_free(&a);
    return refused;
}

/* ---- events ---- */

/* As Postfix: a client that is refused for ever is greeted with 554 and may go on talking, one that
 * shall come later is greeted as others, and hears of it at MAIL. */
static bool refuse_connect(struct smtpd *s)
{
    if (s->denial.code < 500 && s->denial.code != 421)
        return false;
    if (s->denial.code == 421) {
        why_set(&s->denial.why, "", "%s Service unavailable - try again later", conf.myhostname);
    } else {
        s->denial.code = 554;
        why_set(&s->denial.why, "", "%s ESMTP not accepting connections", conf.myhostname);
    }
    return true;
}

enum { ARGS_MOST = 100 }; /* the path and parameters of a command */

/* The command's words as the client wrote them: its path, which may have blanks, and the rest. */
static size_t split_args(const struct smtpd_facts *facts, struct str args[ARGS_MOST])
{
    struct str rest = facts->params;
    size_t n = 1;

    args[0] = facts->path;
    while (n < ARGS_MOST && str_word(&rest, " \t", &args[n]))
        n++;
    return n;
}

/* As Postfix logs at DATA. */
static const char *first_rcpt(const struct smtpd *s)
{
    return s->mail->rcpts.n > 0 ? s->mail->rcpts.at[0].address : NULL;
}

static bool tell_mail(struct smtpd *s, const struct smtpd_facts *facts, struct milter_answer *a)
{
    struct str args[ARGS_MOST];
    size_t n = split_args(facts, args);

    milters_mail(s->milters, args, n, a);
    return take_answer(s, a, NULL);
}

static bool tell_rcpt(struct smtpd *s, const struct smtpd_facts *facts, bool refused,
                      struct milter_answer *a)
{
    struct str args[ARGS_MOST];
    size_t n = split_args(facts, args);

    s->mail->milter_rcpt = facts->rcpt;
    s->milter_rcpt_refused = refused;
    milters_rcpt(s->milters, args, n, refused, a);
    s->mail->milter_rcpt = NULL;
    s->milter_rcpt_refused = false;
    return take_answer(s, a, facts->rcpt);
}

static bool tell_stage(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts,
                       struct milter_answer *a)
{
    switch (stage) {
    case SMTPD_CONNECT:
        s->milter_holds =
            milters_connect(s->milters, smtpd_milter_client(s), &s->peer.addr, a) == MILTER_HOLDS;
        return take_answer(s, a, NULL) && refuse_connect(s);
    case SMTPD_HELO: /* heard of at MAIL, unless the session ends */
        s->milter_holds |= milters_helo(s->milters, s->helo, a) == MILTER_HOLDS;
        return take_answer(s, a, NULL) && s->denial.code == 421;
    case SMTPD_MAIL:
        return tell_mail(s, facts, a);
    case SMTPD_RCPT: /* not VRFY */
        return s->mail != NULL && facts->path.n > 0 && tell_rcpt(s, facts, false, a);
    case SMTPD_DATA:
        if (milters_want_content(s->milters) && s->mail->proxy == NULL &&
            !smtpd_begin_submission(s))
            return true;
        milters_data(s->milters, a);
        return take_answer(s, a, first_rcpt(s));
    case SMTPD_UNKNOWN:
        milters_unknown(s->milters, facts->path, a);
        return take_answer(s, a, NULL);
    case SMTPD_ETRN:
    case SMTPD_END_OF_DATA:
        break;
    }
    return false;
}

/* Nobody looks at what is thrown away. Once content has begun, the connections are cleanup's, and
 * what comes between two BDAT is not told. */
static bool is_asked(const struct smtpd *s)
{
    return s->milters != NULL && !check_discards(s) &&
           !(s->mail != NULL && (s->mail->filter_discards || s->mail->transfer != NULL));
}

bool smtpd_milter_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts)
{
    struct milter_answer a = MILTER_ANSWER;

    if (!is_asked(s))
        return false;
    bool refused = tell_stage(s, stage, facts, &a);
    milter_answer_free(&a);
    return refused;
}

void smtpd_milter_refused_rcpt(struct smtpd *s, const struct smtpd_facts *facts)
{
    struct milter_answer a = MILTER_ANSWER;

    if (s->mail != NULL && facts->path.n > 0 && is_asked(s))
        tell_rcpt(s, facts, true, &a);
    milter_answer_free(&a);
}
