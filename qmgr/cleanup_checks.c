/*
 * header_checks and body_checks: tables of patterns, and what their right sides do.
 * header_checks(5)
 *
 * Only the message's own header is a header here; the headers of MIME parts are body lines.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "mail/dsn.h"

#include "cleanup.h"

static struct {
    struct maps *header, *body;
} checks;

void cleanup_open_checks(void)
{
    checks.header = maps_open("header_checks", conf.header_checks, DICT_MAY_FAIL);
    checks.body = maps_open("body_checks", conf.body_checks, DICT_MAY_FAIL);
}

bool cleanup_checks_body(const struct cleanup *c)
{
    return (c->flags & SUBMIT_FILTER) != 0 && !maps_empty(checks.body);
}

/* One line or field, and what a table said of it. */
struct action {
    struct cleanup *c;
    const char *class; /* "header", "body" */
    struct str content;
    struct str text; /* behind the word */
    struct buf *instead; /* of the content */
    enum cleanup_verdict verdict;
};

static void log_action(const struct action *a, const char *word)
{
    struct cleanup *c = a->c;
    struct buf line = BUF(8192);
    struct str content = str_upto(a->content, 200);

    buf_addf(&line, "%s: %s: %s %.*s from ", c->d.queue_id, word, a->class, (int)content.n,
             content.p);
    if (c->d.client_addr[0] != 0)
        buf_addf(&line, "%s[%s];", c->d.client_name, c->d.client_addr);
    else
        buf_addz(&line, "local;");
    buf_addf(&line, " from=<%s>", c->d.sender);
    if (c->rcpts.n > 0)
        buf_addf(&line, " to=<%s>", c->rcpts.at[0].address);
    if (c->d.client_proto[0] != 0)
        buf_addf(&line, " proto=%s", c->d.client_proto);
    if (c->d.client_helo[0] != 0)
        buf_addf(&line, " helo=<%s>", c->d.client_helo);
    if (a->text.n > 0)
        buf_addf(&line, ": %.*s", (int)a->text.n, a->text.p);
    msg_info("%s", line.p);
    buf_free(&line);
}

static void act_reject(struct action *a)
{
    char dsn[10] = "5.7.1";
    size_t n;

    log_action(a, "reject");
    if ((n = dsn_prefix(a->text, dsn)) > 0)
        a->text = str_trim(str_from(a->text, n));
    if (a->text.n == 0)
        a->text = STR("message content rejected");
    cleanup_refuse(a->c, dsn, "%.*s", (int)a->text.n, a->text.p);
    a->c->d.dsn_ret = DSN_RET_HDRS; /* what was rejected is not sent on to anybody */
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

static void act_replace(struct action *a)
{
    log_action(a, "replace");
    buf_set(a->instead, a->text);
    a->verdict = CLEANUP_REPLACE;
}

static void act_prepend(struct action *a)
{
    log_action(a, "prepend");
    cleanup_put_line(a->c, a->text);
}

static void act_hold(struct action *a)
{
    if ((a->c->flags & SUBMIT_HOLD) == 0)
        log_action(a, "hold");
    a->c->flags |= SUBMIT_HOLD;
    qfile_set_queue(a->c->file, Q_HOLD);
}

static void act_discard(struct action *a)
{
    log_action(a, "discard");
    a->c->flags |= SUBMIT_DISCARD;
}

static void act_filter(struct action *a)
{
    if (str_find(a->text, ':') <= 0) {
        msg_warn("%s_checks: FILTER wants transport:destination", a->class);
        return;
    }
    log_action(a, "filter");
    a->c->d.filter = a->c->found_filter = arena_strz(a->c->mem, a->text);
}

static void act_redirect(struct action *a)
{
    if (str_find(a->text, '@') < 0) {
        msg_warn("%s_checks: REDIRECT wants user@domain", a->class);
        return;
    }
    log_action(a, "redirect");
    a->c->d.redirect = a->c->found_redirect = arena_strz(a->c->mem, a->text);
}

static const struct {
    const char *word;
    void (*act)(struct action *a);
} actions[] = {
    {"REJECT", act_reject},     {"WARN", act_warn},       {"INFO", act_info},
    {"IGNORE", act_ignore},     {"STRIP", act_strip},     {"DUNNO", act_dunno},
    {"OK", act_dunno},          {"REPLACE", act_replace}, {"PREPEND", act_prepend},
    {"HOLD", act_hold},         {"DISCARD", act_discard}, {"FILTER", act_filter},
    {"REDIRECT", act_redirect},
};

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
    msg_warn("unknown command in %s_checks: %.*s", a->class, (int)word.n, word.p);
}

enum cleanup_verdict cleanup_check(struct cleanup *c, enum cleanup_content what, struct str text,
                                   struct buf *instead)
{
    struct maps *m = what == CLEANUP_HEADER_FIELD ? checks.header : checks.body;
    struct action a = {.c = c,
                       .class = what == CLEANUP_HEADER_FIELD ? "header" : "body",
                       .content = text,
                       .instead = instead};
    struct buf key = BUF(1u << 20), value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    if (maps_empty(m) || (c->flags & SUBMIT_FILTER) == 0 || cleanup_failed(c))
        return CLEANUP_KEEP;
    buf_add(&key, text);
    switch (maps_find(m, key.p, &value, &why)) {
    case DICT_FOUND:
        act(&a, buf_str(&value));
        break;
    case DICT_FAILED:
        msg_warn("%s: %s", c->d.queue_id, why_text(&why));
        cleanup_fail(c, "4.3.0", "%s_checks: lookup error", a.class);
        break;
    case DICT_NONE:
        break;
    }
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
    return a.verdict;
}
