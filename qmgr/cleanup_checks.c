/*
 * header_checks, mime_header_checks, nested_header_checks and body_checks: tables of patterns, and
 * what their right sides do. header_checks(5)
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "dict/maps.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "service/service.h"
#include "task/task.h"

#include "cleanup.h"

static struct maps *checks[CHECK_BODY + 1];

static void check_value(void *arg, const char *table, const char *where, const char *value);

void cleanup_open_checks(void)
{
    checks[CHECK_HEADER] = maps_open("header_checks", conf.header_checks, DICT_MAY_FAIL);
    checks[CHECK_MIME] = maps_open("mime_header_checks", conf.mime_header_checks, DICT_MAY_FAIL);
    checks[CHECK_NESTED] =
        maps_open("nested_header_checks", conf.nested_header_checks, DICT_MAY_FAIL);
    checks[CHECK_MILTER] =
        maps_open("milter_header_checks", conf.milter_header_checks, DICT_MAY_FAIL);
    checks[CHECK_BODY] = maps_open("body_checks", conf.body_checks, DICT_MAY_FAIL);
    for (enum cleanup_content what = CHECK_HEADER; service_trying() && what <= CHECK_BODY; what++)
        maps_values(checks[what], check_value, &what);
}

bool cleanup_checks(const struct cleanup *c, enum cleanup_content what)
{
    bool wanted = what == CHECK_MILTER || (c->flags & SUBMIT_FILTER) != 0;

    return wanted && !maps_empty(checks[what]);
}

/* The message is not looked at any more, by milters neither: what was found decides. */
static void stop_checks(struct cleanup *c)
{
    c->is_decided = true;
    c->flags &= ~(unsigned)SUBMIT_FILTER;
}

/* One line or field, and what a table said of it. */
struct action {
    struct cleanup *c;
    enum cleanup_content what;
    const char *parameter; /* that names the table */
    struct str content;
    struct str text; /* behind the word */
    struct buf *instead; /* of the content */
    enum cleanup_verdict verdict;
};

void cleanup_add_context(const struct cleanup *c, struct buf *line)
{
    buf_addf(line, " from=<%s>", c->d.sender);
    if (c->last_rcpt != NULL)
        buf_addf(line, " to=<%s>", c->last_rcpt);
    if (c->d.client_proto[0] != 0)
        buf_addf(line, " proto=%s", c->d.client_proto);
    if (c->d.client_helo[0] != 0)
        buf_addf(line, " helo=<%s>", c->d.client_helo);
}

void cleanup_add_client(const struct cleanup *c, struct buf *line)
{
    if (c->d.client_addr[0] != 0)
        buf_addf(line, "%s[%s]", c->d.client_name, c->d.client_addr);
    else
        buf_addz(line, "local");
}

void cleanup_log_content(const struct cleanup *c, const char *what, struct str content,
                         struct str text)
{
    struct buf line = BUF_TEXT(8192);

    content = str_upto(content, 200);
    buf_addf(&line, "%s: %s %.*s from ", cleanup_id(c), what, (int)content.n, content.p);
    cleanup_add_client(c, &line);
    buf_addc(&line, ';');
    cleanup_add_context(c, &line);
    if (text.n > 0)
        buf_addf(&line, ": %.*s", (int)text.n, text.p);
    msg_info("%s", line.p);
    buf_free(&line);
}

static void log_action(const struct action *a, const char *word)
{
    struct buf what = BUF_TEXT(100);

    buf_addf(&what, "%s%s: %s", a->what == CHECK_MILTER ? "milter-header-" : "", word,
             a->what == CHECK_BODY ? "body" : "header");
    cleanup_log_content(a->c, what.p, a->content, a->text);
    buf_free(&what);
}

static void act_reject(struct action *a)
{
    char dsn[10] = "5.7.1";
    size_t n = dsn_prefix(a->text, dsn);
    struct buf logged = BUF_TEXT(1000);
    struct str text = str_trim(str_from(a->text, n));

    if (a->text.n == 0)
        text = STR("message content rejected");
    if (dsn[0] != '4' && dsn[0] != '5') {
        msg_warn("bad DSN action in %.*s -- need 4.x.x or 5.x.x", (int)a->text.n, a->text.p);
        dsn[0] = '4';
    }
    buf_addf(&logged, "%s %.*s", dsn, (int)text.n, text.p);
    a->text = buf_str(&logged);
    log_action(a, "reject");
    cleanup_refuse(a->c, dsn, "%.*s", (int)text.n, text.p);
    a->c->d.dsn_ret = DSN_RET_HDRS; /* what was rejected is not sent on to anybody */
    stop_checks(a->c);
    buf_free(&logged);
}

static void act_warn(struct action *a)
{
    log_action(a, "warning");
}

static void act_info(struct action *a)
{
    log_action(a, "info");
}

static void act_ignore(struct action *a)
{
    a->verdict = CLEANUP_DROP;
}

static void act_strip(struct action *a)
{
    log_action(a, "strip");
    a->verdict = CLEANUP_DROP;
}

static void act_dunno(struct action *a)
{
    (void)a;
}

/* Has the action what it needs? The new text of a field must be a field. */
static int check_text(enum cleanup_content what, const char *word, struct str text, struct why *why)
{
    struct str name, value;

    if (text.n == 0)
        return why_set(why, "4.3.5", "%s action without text", word);
    if (what != CHECK_BODY && !header_split(text, &name, &value))
        return why_set(why, "4.3.5",
                       "bad %s header text \"%.*s\" -- need \"headername: headervalue\"", word,
                       (int)text.n, text.p);
    return 0;
}

static bool is_good_text(const struct action *a, const char *word)
{
    struct why why = WHY;
    bool good = check_text(a->what, word, a->text, &why) == 0;

    if (!good)
        msg_warn("%s in %s map", why_text(&why), a->parameter);
    why_free(&why);
    return good;
}

static void act_replace(struct action *a)
{
    if (!is_good_text(a, "REPLACE"))
        return;
    log_action(a, "replace");
    buf_set(a->instead, a->text);
    a->verdict = CLEANUP_REPLACE;
}

static void act_prepend(struct action *a)
{
    if (!is_good_text(a, "PREPEND"))
        return;
    log_action(a, "prepend");
    if (a->what == CHECK_MILTER) { /* as in Postfix */
        msg_warn("the %s prepend action is not implemented", a->parameter);
        return;
    }
    cleanup_put_line(a->c, a->text);
}

static void act_hold(struct action *a)
{
    if ((a->c->flags & (SUBMIT_HOLD | SUBMIT_DISCARD)) != 0)
        return;
    log_action(a, "hold");
    a->c->flags |= SUBMIT_HOLD;
    qfile_set_queue(a->c->file, Q_HOLD);
}

static void act_pass(struct action *a)
{
    log_action(a, "pass");
    stop_checks(a->c);
}

static void act_discard(struct action *a)
{
    log_action(a, "discard");
    a->c->flags |= SUBMIT_DISCARD;
    stop_checks(a->c);
}

static void act_filter(struct action *a)
{
    if (a->text.n == 0) {
        msg_warn("missing FILTER command argument in %s map", a->parameter);
    } else if (str_find(a->text, ':') < 0) {
        msg_warn("bad FILTER command %.*s in %s -- need transport:destination", (int)a->text.n,
                 a->text.p, a->parameter);
    } else {
        log_action(a, "filter");
        a->c->d.filter = a->c->found_filter = arena_strz(a->c->mem, a->text);
    }
}

static bool is_address(const struct action *a, const char *what)
{
    bool good = str_find(a->text, '@') >= 0;

    if (!good)
        msg_warn("bad %s \"%.*s\" in %s map -- need user@domain", what, (int)a->text.n, a->text.p,
                 a->parameter);
    return good;
}

static void act_redirect(struct action *a)
{
    if (!is_address(a, "REDIRECT target"))
        return;
    log_action(a, "redirect");
    a->c->d.redirect = a->c->found_redirect = arena_strz(a->c->mem, a->text);
    stop_checks(a->c);
}

static void act_bcc(struct action *a)
{
    if (!is_address(a, "BCC address"))
        return;
    log_action(a, "bcc");
    *VEC_ADD(&a->c->found_bcc) = arena_strz(a->c->mem, a->text);
}

static const struct {
    const char *word;
    void (*act)(struct action *a);
} actions[] = {
    {"BCC", act_bcc},         {"DISCARD", act_discard},   {"DUNNO", act_dunno},
    {"FILTER", act_filter},   {"HOLD", act_hold},         {"IGNORE", act_ignore},
    {"INFO", act_info},       {"OK", act_dunno},          {"PASS", act_pass},
    {"PREPEND", act_prepend}, {"REDIRECT", act_redirect}, {"REJECT", act_reject},
    {"REPLACE", act_replace}, {"STRIP", act_strip},       {"WARN", act_warn},
};

/* For check, which looks at all values of a table: would act() take it? */
static int check_action(enum cleanup_content what, struct str value, struct why *why)
{
    struct str word;

    if (!str_word(&value, " \t", &word))
        return 0;
    value = str_trim(value);
    if (str_ieqz(word, "REPLACE") || str_ieqz(word, "PREPEND"))
        return check_text(what, str_ieqz(word, "REPLACE") ? "REPLACE" : "PREPEND", value, why);
    if (str_ieqz(word, "FILTER") && str_find(value, ':') < 0)
        return why_set(why, "4.3.5", "FILTER wants transport:destination");
    if ((str_ieqz(word, "REDIRECT") || str_ieqz(word, "BCC")) && str_find(value, '@') < 0)
        return why_set(why, "4.3.5", "%.*s wants user@domain", (int)word.n, word.p);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_ieqz(word, actions[i].word))
            return 0;
    return why_set(why, "4.3.5", "\"%.*s\" is no action: mail would pass unfiltered", (int)word.n,
                   word.p);
}

/* A maps_value_fn. */
static void check_value(void *arg, const char *table, const char *where, const char *value)
{
    enum cleanup_content what = *(const enum cleanup_content *)arg;
    struct why why = WHY;

    if (check_action(what, strz(value), &why) < 0)
        conf_unknown_action(maps_parameter(checks[what]), table, where, why_text(&why));
    why_free(&why);
}

static void act(struct action *a, struct str value)
{
    struct str word;

    if (!str_word(&value, " \t", &word))
        return;
    a->text = str_trim(value);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_ieqz(word, actions[i].word)) {
            actions[i].act(a);
            return;
        }
    msg_warn("unknown command in %s map: %.*s", a->parameter, (int)word.n, word.p);
}

static void look_up(struct action *a, struct str text)
{
    struct maps *m = checks[a->what];
    struct buf key = BUF(REC_MAX), value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    buf_add(&key, text);
    enum dict_answer answer = buf_ok(&key) ? maps_find(m, key.p, &value, &why) : DICT_FAILED;
    if (answer == DICT_FOUND) {
        act(a, buf_str(&value));
    } else if (answer == DICT_FAILED) {
        msg_warn("%s: %s map lookup problem -- message not accepted, try again later",
                 a->c->d.queue_id, a->parameter);
        cleanup_fail(a->c, "4.3.0", "%s: lookup error", a->parameter);
    }
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
}

enum cleanup_verdict cleanup_check(struct cleanup *c, enum cleanup_content what, struct str text,
                                   struct buf *instead)
{
    struct action a = {.c = c,
                       .what = what,
                       .parameter = maps_parameter(checks[what]),
                       .content = text,
                       .instead = instead};

    if (!cleanup_checks(c, what) || cleanup_failed(c))
        return CLEANUP_KEEP;
    look_up(&a, text);
    task_yield_if_long();
    return a.verdict;
}
