/*
 * The restriction lists: read once at start, gone through for each command. The order and the
 * moment of the lists are Postfix's: with smtpd_delay_reject all wait for the recipient.
 */
#include "smtpd_check.h"

#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "dict/match.h"
#include "mail/path.h"
#include "task/task.h"

enum { DEPTH_LIMIT = 100 };

struct restrictions {
    const char *parameter;
    VEC(struct restriction) at;
    restriction_fn *bare_table; /* what "hash:/file" alone means in this list */
};

static struct {
    struct restrictions client, helo, sender, relay, rcpt, data, end_of_data, etrn;
    struct hash *classes; /* name to struct restrictions */
} lists;

static restriction_fn do_permit, do_reject, do_defer, do_warn, do_defer_if_permit,
    do_defer_if_reject, do_class, do_unknown, do_left_out, do_sleep, do_unauth_pipelining,
    do_plaintext_session;

enum arg { ARG_NONE, ARG_TABLE, ARG_TEXT };

/* Every restriction there is. Later work adds lines. */
static const struct known {
    const char *name;
    restriction_fn *fn;
    enum arg arg;
} known[] = {
    {"check_client_access", check_client_access, ARG_TABLE},
    {"check_helo_access", check_helo_access, ARG_TABLE},
    {"check_recipient_access", check_recipient_access, ARG_TABLE},
    {"check_reverse_client_hostname_access", check_reverse_client_access, ARG_TABLE},
    {"check_sasl_access", check_sasl_access, ARG_TABLE},
    {"check_sender_access", check_sender_access, ARG_TABLE},
    {"defer", do_defer, ARG_NONE},
    {"defer_if_permit", do_defer_if_permit, ARG_NONE},
    {"defer_if_reject", do_defer_if_reject, ARG_NONE},
    {"defer_unauth_destination", check_defer_unauth_destination, ARG_NONE},
    {"permit", do_permit, ARG_NONE},
    {"permit_auth_destination", check_permit_auth_destination, ARG_NONE},
    {"permit_inet_interfaces", check_permit_inet_interfaces, ARG_NONE},
    {"permit_mynetworks", check_permit_mynetworks, ARG_NONE},
    {"permit_sasl_authenticated", check_permit_sasl, ARG_NONE},
    {"permit_tls_all_clientcerts", check_permit_tls_all_clientcerts, ARG_NONE},
    {"reject", do_reject, ARG_NONE},
    {"reject_authenticated_sender_login_mismatch", check_reject_authenticated_sender_login_mismatch,
     ARG_NONE},
    {"reject_invalid_helo_hostname", check_reject_invalid_helo, ARG_NONE},
    {"reject_invalid_hostname", check_reject_invalid_helo, ARG_NONE},
    {"reject_known_sender_login_mismatch", check_reject_known_sender_login_mismatch, ARG_NONE},
    {"reject_non_fqdn_helo_hostname", check_reject_non_fqdn_helo, ARG_NONE},
    {"reject_non_fqdn_hostname", check_reject_non_fqdn_helo, ARG_NONE},
    {"reject_non_fqdn_recipient", check_reject_non_fqdn_recipient, ARG_NONE},
    {"reject_non_fqdn_sender", check_reject_non_fqdn_sender, ARG_NONE},
    {"reject_plaintext_session", do_plaintext_session, ARG_NONE},
    {"reject_sender_login_mismatch", check_reject_sender_login_mismatch, ARG_NONE},
    {"reject_unauth_destination", check_reject_unauth_destination, ARG_NONE},
    {"reject_unauth_pipelining", do_unauth_pipelining, ARG_NONE},
    {"reject_unauthenticated_sender_login_mismatch",
     check_reject_unauthenticated_sender_login_mismatch, ARG_NONE},
    {"reject_unknown_client", check_reject_unknown_client, ARG_NONE},
    {"reject_unknown_client_hostname", check_reject_unknown_client, ARG_NONE},
    {"reject_unknown_helo_hostname", check_reject_unknown_helo, ARG_NONE},
    {"reject_unknown_hostname", check_reject_unknown_helo, ARG_NONE},
    {"reject_unknown_recipient_domain", check_reject_unknown_recipient_domain, ARG_NONE},
    {"reject_unknown_reverse_client_hostname", check_reject_unknown_reverse_client, ARG_NONE},
    {"reject_unknown_sender_domain", check_reject_unknown_sender_domain, ARG_NONE},
    {"reject_unlisted_recipient", check_reject_unlisted_recipient, ARG_NONE},
    {"reject_unlisted_sender", check_reject_unlisted_sender, ARG_NONE},
    {"sleep", do_sleep, ARG_TEXT},
    {"warn_if_reject", do_warn, ARG_NONE},
};

/* ---- reading ---- */

static const struct known *find_known(struct str name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_ieqz(name, known[i].name))
            return &known[i];
    return NULL;
}

static struct maps *open_table(const char *spec)
{
    return maps_open("smtpd_access_maps", spec, DICT_FOLD | DICT_MAY_FAIL | DICT_HOSTILE_KEY);
}

/* The next word; the one before it is forgotten. */
static char *take_argument(struct str *rest, char *before)
{
    struct str arg;

    free(before);
    return str_word_braces(rest, ", \t\r\n", &arg) ? mem_dup(arg.p, arg.n) : NULL;
}

static void read_one(struct restrictions *list, struct str name, struct str *rest)
{
    struct restriction *r = VEC_ADD(&list->at);
    const struct known *k = find_known(name);
    struct str arg;

    r->name = mem_dup(name.p, name.n);
    r->fn = do_unknown;
    const struct conf_missing *missing = conf_missing_find(MISSING_RESTRICTION, name);
    if (k == NULL && missing != NULL) {
        for (int i = 0; i < missing->args; i++)
            r->arg = take_argument(rest, r->arg);
        if (conf_missing_accepted(missing->name))
            r->fn = do_left_out;
    } else if (k != NULL && k->arg == ARG_NONE) {
        r->fn = k->fn;
    } else if (k != NULL && str_word_braces(rest, ", \t\r\n", &arg)) {
        r->fn = k->fn;
        r->arg = mem_dup(arg.p, arg.n);
        if (k->arg == ARG_TABLE)
            r->table = open_table(r->arg);
    } else if (k == NULL && lists.classes != NULL &&
               (r->list = hash_find(lists.classes, name)) != NULL) {
        r->fn = do_class;
    } else if (k == NULL && str_find(name, ':') > 0 && list->bare_table != NULL) {
        r->fn = list->bare_table;
        r->arg = r->name;
        r->table = open_table(r->arg);
    }
}

static void read_list(struct restrictions *list, const char *parameter, const char *text,
                      restriction_fn *bare_table)
{
    struct str rest = strz(text), word;

    list->parameter = parameter;
    list->bare_table = bare_table;
    while (str_word_braces(&rest, ", \t\r\n", &word))
        read_one(list, word, &rest);
}

/* Classes may name each other, so all names are known before the first is read. */
static void read_classes(void)
{
    struct str rest = strz(conf.smtpd_restriction_classes), word;
    size_t cursor = 0;
    void *value;

    lists.classes = hash_new();
    while (str_word(&rest, ", \t\r\n", &word))
        if (hash_find(lists.classes, word) == NULL)
            hash_put(lists.classes, word, mem_new(sizeof(struct restrictions)));
    while (hash_next(lists.classes, &cursor, &word, &value)) {
        char *name = mem_dup(word.p, word.n);
        const char *text = conf_find(name);
        if (text == NULL)
            msg_warn("restriction class %s is not defined", name);
        read_list(value, name, text != NULL ? text : "", NULL);
    }
}

static bool closes_relay(const struct restrictions *list)
{
    static const char *const closing[] = {"reject_unauth_destination", "defer_unauth_destination",
                                          "reject", "defer", "defer_if_permit"};
    for (size_t n = 0; n < list->at.n; n++) {
        const struct restriction *r = &list->at.at[n];
        for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
            if (strcasecmp(r->name, closing[i]) == 0)
                return true;
        if (r->list != NULL && closes_relay(r->list))
            return true;
    }
    return false;
}

/* What would be answered with "Server configuration error" for ever. */
static void blame_unknown(const struct restrictions *list)
{
    for (size_t i = 0; i < list->at.n; i++) {
        const struct restriction *r = &list->at.at[i];
        if (r->fn == do_unknown && conf_missing_find(MISSING_RESTRICTION, strz(r->name)) == NULL)
            conf_fault(list->parameter, "\"%s\" is no restriction that can stand there", r->name);
    }
}

static void blame_all_unknown(void)
{
    const struct restrictions *all[] = {&lists.client,      &lists.helo, &lists.sender,
                                        &lists.relay,       &lists.rcpt, &lists.data,
                                        &lists.end_of_data, &lists.etrn};
    size_t cursor = 0;
    struct str name;
    void *class;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        blame_unknown(all[i]);
    while (hash_next(lists.classes, &cursor, &name, &class))
        blame_unknown(class);
}

void smtpd_open_checks(void)
{
    smtpd_open_clients();
    smtpd_open_senders();
    read_classes();
    read_list(&lists.client, "smtpd_client_restrictions", conf.smtpd_client_restrictions,
              check_client_access);
    read_list(&lists.helo, "smtpd_helo_restrictions", conf.smtpd_helo_restrictions,
              check_helo_access);
    read_list(&lists.sender, "smtpd_sender_restrictions", conf.smtpd_sender_restrictions,
              check_sender_access);
    read_list(&lists.relay, "smtpd_relay_restrictions", conf.smtpd_relay_restrictions,
              check_recipient_access);
    read_list(&lists.rcpt, "smtpd_recipient_restrictions", conf.smtpd_recipient_restrictions,
              check_recipient_access);
    read_list(&lists.data, "smtpd_data_restrictions", conf.smtpd_data_restrictions, NULL);
    read_list(&lists.end_of_data, "smtpd_end_of_data_restrictions",
              conf.smtpd_end_of_data_restrictions, NULL);
    read_list(&lists.etrn, "smtpd_etrn_restrictions", conf.smtpd_etrn_restrictions, NULL);
    blame_all_unknown();
    if (!closes_relay(&lists.relay) && !closes_relay(&lists.rcpt))
        msg_fatal("in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify "
                  "at least one working instance of: reject_unauth_destination, "
                  "defer_unauth_destination, reject, defer or defer_if_permit");
}

/* ---- saying no ---- */

static void set_denial(struct smtpd_denial *d, int code, const char *dsn, const char *text)
{
    d->code = code;
    why_set(&d->why, dsn, "%s", text);
}

static void copy_denial(struct smtpd_denial *to, const struct smtpd_denial *from)
{
    to->code = from->code;
    why_copy(&to->why, &from->why);
}

enum verdict check_deny(struct check *k, int code, const char *dsn, const char *fmt, ...)
{
    struct buf text = BUF(1000);
    struct smtpd *s = k->s;
    char fitting[10];
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    if (code == 0)
        code = dsn[0] == '4' ? 450 : 550;
    /* *_reject_code may turn "never" into "later": the enhanced code must agree */
    snprintf(fitting, sizeof fitting, "%s", dsn);
    if (fitting[0] != 0 && code >= 400)
        fitting[0] = (char)('0' + code / 100);
    set_denial(&s->denial, code, fitting, text.p);
    buf_free(&text);
    if (!k->warn_only && code >= 500 && s->defer_if_reject.code != 0)
        copy_denial(&s->denial, &s->defer_if_reject);
    smtpd_log_reject(s, k->warn_only ? "reject_warning" : "reject", k->rcpt, s->denial.code,
                     &s->denial.why);
    if (!k->warn_only)
        return VERDICT_REJECT;
    s->denial.code = 0;
    return VERDICT_DUNNO;
}

enum verdict check_deny_subject(struct check *k, int code, const char *dsn, const char *subject,
                                const char *class, const char *text)
{
    return check_deny(k, code, dsn, "<%s>: %s rejected: %s", subject, class, text);
}

enum verdict check_failed(struct check *k, const char *subject, const struct why *why)
{
    msg_warn("%s", why_text(why));
    return check_deny(k, 451, "4.3.0", "<%s>: Temporary lookup failure", subject);
}

void check_defer_if_permit(struct check *k, int code, const char *dsn, const char *text)
{
    if (k->s->defer_if_permit.code == 0)
        set_denial(&k->s->defer_if_permit, code, dsn, text);
}

void check_defer_if_reject(struct check *k, int code, const char *dsn, const char *text)
{
    if (k->s->defer_if_reject.code == 0)
        set_denial(&k->s->defer_if_reject, code, dsn, text);
}

/* ---- going through ---- */

static enum verdict go_through(struct check *k, const struct restrictions *list)
{
    enum verdict v = VERDICT_DUNNO;

    if (k->depth > DEPTH_LIMIT) {
        msg_warn("%s: classes are nested too deep", list->parameter);
        return check_deny(k, 451, "4.3.5", "Server configuration error");
    }
    k->depth++;
    for (size_t i = 0; i < list->at.n && v == VERDICT_DUNNO; i++) {
        const struct restriction *r = &list->at.at[i];
        v = r->fn(k, r);
        if (r->fn != do_warn)
            k->warn_only = false;
    }
    k->depth--;
    return v;
}

static void free_list(struct restrictions *list)
{
    VEC_EACH (&list->at, r) {
        maps_close(&r->table);
        if (r->arg != r->name)
            free(r->arg);
        free(r->name);
    }
    VEC_FREE(&list->at);
}

enum verdict check_text(struct check *k, const char *text)
{
    struct restrictions list = {.parameter = "access table"};

    read_list(&list, "access table", text, NULL);
    enum verdict v = go_through(k, &list);
    free_list(&list);
    return v;
}

static enum verdict go(struct smtpd *s, const struct restrictions *list, const char *subject,
                       const char *class, const char *rcpt)
{
    struct check k = {.s = s, .subject = subject, .class = class, .rcpt = rcpt};

    s->denial.code = s->defer_if_reject.code = 0;
    return go_through(&k, list);
}

/* A list about an address, which is shown in its external form. */
static enum verdict go_address(struct smtpd *s, const struct restrictions *list,
                               const char *address, const char *class, const char *rcpt)
{
    struct buf external = BUF(4096);

    path_quote(strz(address), &external);
    enum verdict v = go(s, list, external.p, class, rcpt);
    buf_free(&external);
    return v;
}

int smtpd_check_client(struct smtpd *s)
{
    return go(s, &lists.client, s->namaddr, "Client host", NULL) == VERDICT_REJECT ? -1 : 0;
}

int smtpd_check_helo(struct smtpd *s, const char *helo)
{
    const char *before = s->helo;

    s->helo = helo;
    int result = go(s, &lists.helo, helo, "Helo command", NULL) == VERDICT_REJECT ? -1 : 0;
    s->helo = before;
    return result;
}

/* The rest of a check that ended without a refusal. */
static int reject_unlisted_sender(struct smtpd *s)
{
    struct check k = {.s = s, .subject = s->mail->sender, .class = "Sender address"};

    if (!conf.smtpd_reject_unlisted_sender || s->sender_checked)
        return 0;
    return check_reject_unlisted_sender(&k, NULL) == VERDICT_REJECT ? -1 : 0;
}

int smtpd_check_mail(struct smtpd *s)
{
    if (go_address(s, &lists.sender, s->mail->sender, "Sender address", NULL) == VERDICT_REJECT)
        return -1;
    return reject_unlisted_sender(s);
}

/* The lists of earlier commands, when they had to wait. */
static int delayed(struct smtpd *s, const char *rcpt)
{
    const struct {
        enum verdict (*go)(struct smtpd *s, const struct restrictions *list, const char *subject,
                           const char *class, const char *rcpt);
        const struct restrictions *list;
        const char *subject, *class;
    } earlier[] = {
        {go, &lists.client, s->namaddr, "Client host"},
        {go, &lists.helo, s->helo, "Helo command"},
        {go_address, &lists.sender, s->mail != NULL ? s->mail->sender : NULL, "Sender address"},
    };
    if (!conf.smtpd_delay_reject)
        return 0;
    s->defer_if_permit.code = s->defer_if_reject.code = 0;
    for (size_t i = 0; i < 3; i++)
        if (earlier[i].subject != NULL &&
            go(s, earlier[i].list, earlier[i].subject, earlier[i].class, rcpt) == VERDICT_REJECT)
            return -1;
    return s->mail != NULL ? reject_unlisted_sender(s) : 0;
}

int smtpd_check_rcpt(struct smtpd *s, const char *rcpt)
{
    bool relay_first = conf.smtpd_relay_before_recipient_restrictions;
    const struct restrictions *first = relay_first ? &lists.relay : &lists.rcpt;
    const struct restrictions *second = relay_first ? &lists.rcpt : &lists.relay;
    static const char class[] = "Recipient address";

    s->rcpt_checked = false;
    if (delayed(s, rcpt) < 0 || go_address(s, first, rcpt, class, rcpt) == VERDICT_REJECT ||
        go_address(s, second, rcpt, class, rcpt) == VERDICT_REJECT)
        return -1;
    if (s->defer_if_permit.code != 0) {
        copy_denial(&s->denial, &s->defer_if_permit);
        smtpd_log_reject(s, "reject", rcpt, s->denial.code, &s->denial.why);
        return -1;
    }
    struct check k = {.s = s, .subject = rcpt, .class = class, .rcpt = rcpt};
    if (conf.smtpd_reject_unlisted_recipient && !s->rcpt_checked &&
        check_reject_unlisted_recipient(&k, NULL) == VERDICT_REJECT)
        return -1;
    return 0;
}

int smtpd_check_data(struct smtpd *s)
{
    const char *rcpt = s->mail->rcpts.n == 1 ? s->mail->rcpts.at[0].address : NULL;
    return go(s, &lists.data, "DATA", "Data command", rcpt) == VERDICT_REJECT ? -1 : 0;
}

int smtpd_check_end_of_data(struct smtpd *s)
{
    const char *rcpt = s->mail->rcpts.n == 1 ? s->mail->rcpts.at[0].address : NULL;
    return go(s, &lists.end_of_data, "END-OF-MESSAGE", "End-of-data", rcpt) == VERDICT_REJECT ? -1
                                                                                              : 0;
}

int smtpd_check_etrn(struct smtpd *s, const char *domain)
{
    if (delayed(s, NULL) < 0)
        return -1;
    return go(s, &lists.etrn, domain, "Etrn command", NULL) == VERDICT_REJECT ? -1 : 0;
}

/* ---- the simple ones ---- */

static enum verdict do_permit(struct check *k, const struct restriction *r)
{
    (void)k;
    (void)r;
    return VERDICT_PERMIT;
}

static enum verdict do_reject(struct check *k, const struct restriction *r)
{
    (void)r;
    return check_deny_subject(k, (int)conf.reject_code, "5.7.1", k->subject, k->class,
                              "Access denied");
}

static enum verdict do_defer(struct check *k, const struct restriction *r)
{
    (void)r;
    return check_deny_subject(k, (int)conf.defer_code, "4.3.2", k->subject, k->class,
                              "Try again later");
}

static enum verdict do_warn(struct check *k, const struct restriction *r)
{
    (void)r;
    k->warn_only = true;
    return VERDICT_DUNNO;
}

static enum verdict do_defer_if_permit(struct check *k, const struct restriction *r)
{
    struct buf text = BUF(1000);

    (void)r;
    buf_addf(&text, "<%s>: %s rejected: defer_if_permit requested", k->subject, k->class);
    check_defer_if_permit(k, 450, "4.3.2", text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

static enum verdict do_defer_if_reject(struct check *k, const struct restriction *r)
{
    struct buf text = BUF(1000);

    (void)r;
    buf_addf(&text, "<%s>: %s rejected: defer_if_reject requested", k->subject, k->class);
    check_defer_if_reject(k, 450, "4.3.2", text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

static enum verdict do_class(struct check *k, const struct restriction *r)
{
    return go_through(k, r->list);
}

static enum verdict do_unknown(struct check *k, const struct restriction *r)
{
    if (str_find(strz(r->name), ':') > 0)
        msg_warn("restriction \"%s\": a table cannot stand alone here", r->name);
    else
        msg_warn("unknown smtpd restriction: \"%s\"", r->name);
    return check_deny(k, 451, "4.3.5", "Server configuration error");
}

/* pombal_accept_missing names it. The same line is logged at most once in ten seconds. */
static enum verdict do_left_out(struct check *k, const struct restriction *r)
{
    (void)k;
    msg_warn("%s is left out: it is not there yet, and pombal_accept_missing accepts that",
             r->name);
    return VERDICT_DUNNO;
}

static enum verdict do_sleep(struct check *k, const struct restriction *r)
{
    int64_t seconds;

    if (!num_parse_time(strz(r->arg), 's', 0, 1000, &seconds))
        return do_unknown(k, r);
    stream_flush(k->s->stream);
    task_sleep(task_now() + seconds * 1000);
    return VERDICT_DUNNO;
}

static enum verdict do_unauth_pipelining(struct check *k, const struct restriction *r)
{
    struct smtpd *s = k->s;

    (void)r;
    if (!s->early_talk && (s->esmtp || s->helo == NULL || stream_ahead(s->stream) == 0))
        return VERDICT_DUNNO;
    return check_deny_subject(k, 503, "5.5.0", k->subject, k->class,
                              "Improper use of SMTP command pipelining");
}

static enum verdict do_plaintext_session(struct check *k, const struct restriction *r)
{
    (void)r;
    if (k->s->tls != NULL)
        return VERDICT_DUNNO;
    return check_deny(k, (int)conf.plaintext_reject_code, "4.7.1",
                      "Session encryption is required");
}
