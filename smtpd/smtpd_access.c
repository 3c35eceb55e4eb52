/*
 * Access tables: what is looked up, and what the answer does. access(5)
 */
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "dict/addr_find.h"
#include "mail/dsn.h"
#include "mail/path.h"
#include "queue/submit.h"

#include "smtpd_check.h"
#include "smtpd_notice.h"

/* ---- actions ---- */

struct action {
    struct check *k;
    const char *subject, *class, *table;
    struct str word, text; /* the text stands behind the word */
};

static void log_action(const struct action *a, const char *word, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void log_action(const struct action *a, const char *word, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(4096);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    smtpd_log(a->k->s, word, a->k->rcpt, text.p);
    buf_free(&text);
}

void check_fit_dsn(char dsn[10], const char *class)
{
    static const char senders[] = "078770778", rcpts[] = "012345632";
    bool sender = strcmp(class, "Sender address") == 0;
    size_t detail = strlen(dsn) == 5 ? (size_t)(dsn[4] - '0') : 9;

    if (strncmp(dsn + 1, ".1.", 3) != 0)
        return;
    if (sender || strcmp(class, "Recipient address") == 0)
        snprintf(dsn + 4, 2, "%c", detail > 8 ? '0' : (sender ? senders : rcpts)[detail]);
    else
        snprintf(dsn + 1, 5, ".0.0");
}

/* Takes an enhanced code off the text's front, if there is one. */
static void take_dsn(struct action *a, char dsn[10], const char *otherwise)
{
    size_t n = dsn_prefix(a->text, dsn);

    if (n > 0)
        a->text = str_trim(str_from(a->text, n));
    else
        snprintf(dsn, 10, "%s", otherwise);
    check_fit_dsn(dsn, a->class);
}

static enum verdict say_no(struct action *a, int code, const char *dsn_default)
{
    char dsn[10];

    take_dsn(a, dsn, dsn_default);
    return check_deny(a->k, code, dsn, "<%s>: %s rejected: %.*s", a->subject, a->class,
                      a->text.n > 0 ? (int)a->text.n : 13,
                      a->text.n > 0 ? a->text.p : "Access denied");
}

static enum verdict act_reject(struct action *a)
{
    return say_no(a, (int)conf.access_map_reject_code, "5.7.1");
}

static enum verdict act_defer(struct action *a)
{
    return say_no(a, (int)conf.access_map_defer_code, "4.7.1");
}

static void defer_text(struct action *a, char dsn[10], struct buf *text)
{
    take_dsn(a, dsn, "4.7.1");
    dsn[0] = '4';
    buf_addf(text, "<%s>: %s rejected: ", a->subject, a->class);
    buf_add(text, a->text.n > 0 ? a->text : STR("Service unavailable"));
}

static enum verdict act_defer_if_permit(struct action *a)
{
    struct buf text = BUF_TEXT(4096);
    char dsn[10];

    defer_text(a, dsn, &text);
    check_defer_if_permit(a->k, (int)conf.access_map_defer_code, dsn, text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

static enum verdict act_defer_if_reject(struct action *a)
{
    struct buf text = BUF_TEXT(4096);
    char dsn[10];

    defer_text(a, dsn, &text);
    check_defer_if_reject(a->k, (int)conf.access_map_defer_code, dsn, text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

static enum verdict act_permit(struct action *a)
{
    struct buf word = BUF_TEXT(1000);

    buf_add(&word, a->word);
    check_log_permit(a->k, word.p, a->class, a->subject, a->table);
    buf_free(&word);
    return VERDICT_PERMIT;
}

static enum verdict act_dunno(struct action *a)
{
    (void)a;
    return VERDICT_DUNNO;
}

static enum verdict act_warn(struct action *a)
{
    log_action(a, "warn", "%.*s", (int)a->text.n, a->text.p);
    return VERDICT_DUNNO;
}

static enum verdict act_info(struct action *a)
{
    log_action(a, "info", "%.*s", (int)a->text.n, a->text.p);
    return VERDICT_DUNNO;
}

/* The message that the action is about; with the words of Postfix where there is none. VRFY is
 * about none, also between MAIL and DATA. */
static struct smtpd_mail *mail_of(struct action *a, const char *word)
{
    const struct smtpd *s = a->k->s;

    if (strcmp(s->where, "ETRN") == 0 && strcmp(word, "PREPEND") != 0)
        msg_warn("access table %s: action %s is unavailable in smtpd_etrn_restrictions", a->table,
                 word);
    else if (s->mail == NULL || strcmp(s->where, "VRFY") == 0)
        msg_warn("access table %s: with smtpd_delay_reject=no, action %s is always skipped in "
                 "Client host or Helo command restrictions",
                 a->table, word);
    else
        return s->mail;
    return NULL;
}

static void log_flag(const struct action *a, const char *word, const char *text)
{
    log_action(a, word, "<%s>: %s %.*s", a->subject, a->class,
               a->text.n > 0 ? (int)a->text.n : (int)strlen(text),
               a->text.n > 0 ? a->text.p : text);
}

static enum verdict act_hold(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "HOLD");

    if (m != NULL && (m->submit_flags & SUBMIT_HOLD) == 0) {
        log_flag(a, "hold", "triggers HOLD action");
        m->submit_flags |= SUBMIT_HOLD;
    }
    return VERDICT_DUNNO;
}

static enum verdict act_discard(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "DISCARD");

    if (m == NULL)
        return VERDICT_DUNNO;
    log_flag(a, "discard", "triggers DISCARD action");
    m->submit_flags |= SUBMIT_DISCARD;
    return act_permit(a);
}

static void log_target(const struct action *a, const char *word, const char *name)
{
    log_action(a, word, "<%s>: %s triggers %s %.*s", a->subject, a->class, name, (int)a->text.n,
               a->text.p);
}

static enum verdict act_filter(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "FILTER");

    if (m == NULL)
        return VERDICT_DUNNO;
    if (str_find(a->text, ':') <= 0) {
        msg_warn("access table %s: FILTER wants transport:destination", a->table);
    } else {
        m->filter = arena_strz(m->mem, a->text);
        log_target(a, "filter", "FILTER");
    }
    return VERDICT_DUNNO;
}

static enum verdict act_redirect(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "REDIRECT");

    if (m == NULL)
        return VERDICT_DUNNO;
    if (str_find(a->text, '@') < 0) {
        msg_warn("access table %s: REDIRECT wants user@domain", a->table);
    } else {
        m->redirect = arena_strz(m->mem, a->text);
        log_target(a, "redirect", "REDIRECT");
    }
    return VERDICT_DUNNO;
}

/* So many actions on one message are a mistake in the tables. */
static enum verdict too_much(struct action *a, const char *word)
{
    msg_warn("access table %s: more than %lld times %s for one message", a->table,
             (long long)conf.smtpd_recipient_limit, word);
    return check_deny(a->k, 451, "4.3.5", "Server configuration error");
}

/* One more recipient, of whom nobody is told. */
static enum verdict act_bcc(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "BCC");

    if (m == NULL)
        return VERDICT_DUNNO;
    if (str_find(a->text, '@') < 0) {
        msg_warn("access table %s: BCC wants user@domain", a->table);
    } else if (m->bcc.n >= (size_t)conf.smtpd_recipient_limit) {
        return too_much(a, "BCC");
    } else {
        *VEC_ADD(&m->bcc) = arena_strz(m->mem, a->text);
        log_target(a, "bcc", "BCC");
    }
    return VERDICT_DUNNO;
}

static enum verdict act_prepend(struct action *a)
{
    struct smtpd_mail *m = mail_of(a, "PREPEND");

    if (m == NULL)
        return VERDICT_DUNNO;
    if (strcmp(a->k->s->where, "END-OF-MESSAGE") == 0) {
        msg_warn("access table %s: action PREPEND must be used before "
                 "smtpd_end_of_data_restrictions",
                 a->table);
    } else if (str_find(a->text, ':') <= 0) {
        msg_warn("access table %s: PREPEND wants a header field", a->table);
    } else if (m->prepend.n >= (size_t)conf.smtpd_recipient_limit) {
        return too_much(a, "PREPEND");
    } else {
        *VEC_ADD(&m->prepend) = arena_strz(m->mem, a->text);
    }
    return VERDICT_DUNNO;
}

static const struct {
    const char *word;
    enum verdict (*act)(struct action *a);
} actions[] = {
    {"OK", act_permit},
    {"RELAY", act_permit},
    {"BCC", act_bcc},
    {"REJECT", act_reject},
    {"DEFER", act_defer},
    {"DEFER_IF_PERMIT", act_defer_if_permit},
    {"DEFER_IF_REJECT", act_defer_if_reject},
    {"DUNNO", act_dunno},
    {"HOLD", act_hold},
    {"DISCARD", act_discard},
    {"FILTER", act_filter},
    {"REDIRECT", act_redirect},
    {"PREPEND", act_prepend},
    {"WARN", act_warn},
    {"INFO", act_info},
};

/* "550 text" */
static bool is_reply(struct str word, struct str text, uint32_t *code)
{
    return word.n == 3 && text.n > 0 && num_parse_u32(word, 400, 599, code);
}

/* "all-numerical results are OK" */
static bool is_number(struct str word, struct str text)
{
    size_t digits = 0;

    while (digits < word.n && word.p[digits] >= '0' && word.p[digits] <= '9')
        digits++;
    return digits == word.n && text.n == 0;
}

/* A list of restrictions; what those refuse that can be about anything is what was looked up. */
static enum verdict restrictions_of(struct check *k, const char *list, const char *subject,
                                    const char *class)
{
    const char *outer = k->subject, *outer_class = k->class;

    k->subject = subject;
    k->class = class;
    enum verdict v = check_text(k, list);
    k->subject = outer;
    k->class = outer_class;
    return v;
}

enum verdict access_action(struct check *k, const char *action, const char *subject,
                           const char *class, const char *table)
{
    struct str rest = str_trim(strz(action)), word;
    struct action a = {.k = k, .subject = subject, .class = class, .table = table};
    uint32_t code;

    if (!str_word(&rest, " \t", &word)) {
        msg_warn("access table %s: an entry has an empty value", table);
        return VERDICT_DUNNO;
    }
    a.word = word;
    a.text = str_trim(rest);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_ieqz(word, actions[i].word))
            return actions[i].act(&a);
    if (is_reply(word, a.text, &code))
        return say_no(&a, (int)code, code < 500 ? "4.7.1" : "5.7.1");
    if (is_number(word, a.text))
        return act_permit(&a);
    return restrictions_of(k, action, subject, class);
}

/* ---- is it an action at all? For check, which looks at all of a table ---- */

/* What the action needs behind it. */
static int check_argument(const char *word, struct str text, struct why *why)
{
    if (strcmp(word, "FILTER") == 0 && str_find(text, ':') <= 0)
        return why_set(why, "4.3.5", "FILTER wants transport:destination");
    if ((strcmp(word, "REDIRECT") == 0 || strcmp(word, "BCC") == 0) && str_find(text, '@') < 0)
        return why_set(why, "4.3.5", "%s wants user@domain", word);
    if (strcmp(word, "PREPEND") == 0 && str_find(text, ':') <= 0)
        return why_set(why, "4.3.5", "PREPEND wants a header field");
    return 0;
}

int access_action_check(const char *action, struct why *why)
{
    struct str rest = str_trim(strz(action)), word;
    uint32_t code;

    if (!str_word(&rest, " \t", &word) || is_reply(word, str_trim(rest), &code) ||
        is_number(word, str_trim(rest)))
        return 0;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_ieqz(word, actions[i].word))
            return check_argument(actions[i].word, str_trim(rest), why);
    return smtpd_check_result(action, why);
}

/* ---- lookups ---- */

static const char sender_class[] = "Sender address", rcpt_class[] = "Recipient address";

enum verdict access_apply(struct check *k, const struct restriction *r, enum dict_answer answer,
                          const struct buf *value, const char *subject, const char *class,
                          const struct why *why)
{
    if (answer == DICT_FAILED) {
        msg_warn("%s", why_text(why));
        smtpd_blame(k->s, BLAME_DATA);
        return check_deny_subject(k, 451, "4.3.5", subject, class, "Server configuration error");
    }
    if (answer == DICT_NONE)
        return VERDICT_DUNNO;
    return access_action(k, value->p, subject, class, r->arg);
}

enum verdict access_never_ok(struct check *k, const struct restriction *r, enum verdict v,
                             const char *about)
{
    if (v != VERDICT_PERMIT || check_discards(k->s))
        return v;
    msg_warn("restriction %s returns OK for %s: this is not allowed, for safety; DUNNO makes an "
             "exception",
             r->name, about);
    return check_deny(k, 451, "4.3.5", "Server configuration error");
}

static enum verdict client_access(struct check *k, const struct restriction *r, const char *name,
                                  const char *subject, const char *class)
{
    struct smtpd *s = k->s;
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = DICT_NONE;

    if (strcmp(name, "unknown") != 0)
        answer = domain_find(r->table, name, parent_matches("smtpd_access_maps"), &value, &why);
    if (answer == DICT_NONE)
        answer = hostaddr_find(r->table, s->peer.addr_text, &value, &why);
    if (answer == DICT_NONE && strcmp(name, "unknown") == 0)
        answer = maps_find(r->table, name, &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, subject, class, &why);
    buf_free(&value);
    why_free(&why);
    return v;
}

enum verdict check_client_access(struct check *k, const struct restriction *r)
{
    return client_access(k, r, k->s->peer.name, k->s->namaddr, "Client host");
}

static enum verdict reverse_client_access(struct check *k, const struct restriction *r)
{
    const char *name = k->s->peer.reverse_name;

    return access_never_ok(k, r, client_access(k, r, name, name, "Unverified Client host"), name);
}

enum verdict check_helo_access(struct check *k, const struct restriction *r)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    if (k->s->helo == NULL)
        return VERDICT_DUNNO;
    enum dict_answer answer =
        domain_find(r->table, k->s->helo, parent_matches("smtpd_access_maps"), &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, k->s->helo, "Helo command", &why);
    buf_free(&value);
    why_free(&why);
    return v;
}

/* The null sender has no parts: it stands in tables under a name of its own. */
static enum verdict null_sender_access(struct check *k, const struct restriction *r)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = maps_find(r->table, conf.smtpd_null_access_lookup_key, &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, "", sender_class, &why);

    buf_free(&value);
    why_free(&why);
    return v;
}

/*
 * What is looked up is the address that mail would go to, without routing and complete, in lower
 * case: all spellings of an address mean the same mailbox. Its own words are in the reply.
 */
static enum verdict resolved_access(struct check *k, const struct restriction *r,
                                    const struct route *route, const char *address,
                                    const char *class)
{
    struct buf value = BUF(DICT_VALUE_LIMIT), external = BUF_TEXT(4096);
    struct why why = WHY;
    unsigned parts = ADDR_FULL | ADDR_NOEXT | ADDR_DOMAIN | ADDR_LOCALPART_AT;

    parts |= parent_matches("smtpd_access_maps") ? ADDR_PARENTS : ADDR_DOT_PARENTS;
    path_quote(strz(address), &external);
    enum dict_answer answer =
        addr_find(r->table, route->recipient.p, parts, NULL, &value, NULL, &why);
    enum verdict v = access_apply(k, r, answer, &value, external.p, class, &why);
    buf_free(&external);
    buf_free(&value);
    why_free(&why);
    return v;
}

static enum verdict mail_access(struct check *k, const struct restriction *r, const char *address,
                                const char *class)
{
    enum verdict v;
    const struct route *route = check_route(k, address, &v);

    if (route == NULL)
        return v;
    bool suspicious = route->routed && !conf.allow_untrusted_routing;
    v = resolved_access(k, r, route, address, class);
    /* The next host would send it to an address that no table here has seen. */
    return v == VERDICT_PERMIT && suspicious && class == rcpt_class ? VERDICT_DUNNO : v;
}

enum verdict check_sender_access(struct check *k, const struct restriction *r)
{
    const struct smtpd_mail *m = k->s->mail;

    if (m == NULL)
        return VERDICT_DUNNO;
    return m->sender[0] == 0 ? null_sender_access(k, r)
                             : mail_access(k, r, m->sender, sender_class);
}

enum verdict check_recipient_access(struct check *k, const struct restriction *r)
{
    return k->rcpt == NULL ? VERDICT_DUNNO : mail_access(k, r, k->rcpt, rcpt_class);
}

/* In all lists that ETRN asks: those of client and HELO may have waited for it. */
static enum verdict etrn_access(struct check *k, const struct restriction *r)
{
    const char *domain = k->s->etrn_domain;
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;

    if (domain == NULL)
        return VERDICT_DUNNO;
    enum dict_answer answer =
        domain_find(r->table, domain, parent_matches("smtpd_access_maps"), &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, domain, "Etrn command", &why);
    buf_free(&value);
    why_free(&why);
    return v;
}

static enum verdict sasl_access(struct check *k, const struct restriction *r)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    const char *user = k->s->sasl_username;

    if (user == NULL)
        return VERDICT_DUNNO;
    enum dict_answer answer = maps_find(r->table, user, &value, &why);
    enum verdict v = access_apply(k, r, answer, &value, user, "SASL login name", &why);
    buf_free(&value);
    why_free(&why);
    return v;
}

const struct restriction_def smtpd_access_restrictions[] = {
    {"check_client_access", check_client_access, RESTRICTION_TABLE},
    {"check_etrn_access", etrn_access, RESTRICTION_TABLE},
    {"check_helo_access", check_helo_access, RESTRICTION_TABLE},
    {"check_recipient_access", check_recipient_access, RESTRICTION_TABLE},
    {"check_reverse_client_hostname_access", reverse_client_access, RESTRICTION_TABLE},
    {"check_sasl_access", sasl_access, RESTRICTION_TABLE},
    {"check_sender_access", check_sender_access, RESTRICTION_TABLE},
    {.name = NULL},
};
