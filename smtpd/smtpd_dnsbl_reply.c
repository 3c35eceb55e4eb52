/*
 * What a client is told that stands in a DNS list: the template of rbl_reply_maps, or
 * default_rbl_reply, with its $names.
 */
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"
#include "conf/conf_missing.h"
#include "mail/dsn.h"
#include "mail/path.h"
#include "service/service.h"

#include "smtpd_check.h"
#include "smtpd_filter.h"

static struct {
    struct maps *replies;
    struct buf allowed; /* smtpd_expansion_filter without its escapes */
} words = {.allowed = BUF(1000)};

/* What is known of a refusal, by the names that a template may have. */
struct listed {
    struct check *k;
    const struct restriction *r;
    const char *class, *what, *reason;
    struct buf value; /* of the name that was asked for last */
    bool unknown; /* a name was asked for that there is not */
};

/* The part of an address that a name means; "<>" is the null address. */
static void put_address(struct buf *out, const char *address, struct str part)
{
    struct str domain = path_domain(strz(address));
    size_t local = strlen(address) - domain.n - (domain.n > 0);

    if (str_eqz(part, "_domain"))
        buf_add(out, domain);
    else if (address[0] == 0)
        buf_addz(out, "<>");
    else if (str_eqz(part, "_name"))
        buf_add(out, str_upto(strz(address), local));
    else
        path_quote(strz(address), out);
}

static bool is_of_address(struct str name, const char *which, const char *address, struct buf *out)
{
    struct str part = str_from(name, strlen(which));

    if (!str_starts(name, strz(which)) ||
        (part.n > 0 && !str_eqz(part, "_domain") && !str_eqz(part, "_name")))
        return false;
    if (address != NULL)
        put_address(out, address, part);
    return true;
}

/* False: there is no such name. */
static bool put_value(const struct listed *l, struct str name, struct buf *out)
{
    const struct smtpd *s = l->k->s;
    const struct {
        const char *name, *value;
    } known[] = {
        {"client", s->namaddr},
        {"client_address", s->peer.addr_text},
        {"client_name", s->peer.name},
        {"reverse_client_name", s->peer.reverse_name},
        {"helo_name", s->helo != NULL ? s->helo : ""},
        {"rbl_class", l->class},
        {"rbl_domain", l->r->dnsbl->domain},
        {"rbl_reason", l->reason},
        {"rbl_txt", l->reason}, /* its name before Postfix 2.0 */
        {"rbl_what", l->what},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eqz(name, known[i].name)) {
            buf_addz(out, known[i].value);
            return true;
        }
    if (str_eqz(name, "rbl_code"))
        buf_addf(out, "%d", (int)conf.maps_rbl_reject_code);
    else if (!is_of_address(name, "sender", s->mail != NULL ? s->mail->sender : NULL, out) &&
             !is_of_address(name, "recipient", l->k->rcpt, out))
        return false;
    return true;
}

/* A conf_find_fn. What strangers have written is held within smtpd_expansion_filter. */
static const char *find_value(struct str name, void *arg)
{
    struct listed *l = arg;

    buf_clear(&l->value);
    if (!put_value(l, name, &l->value)) {
        l->unknown = true;
        return NULL;
    }
    for (size_t i = 0; i < l->value.n; i++)
        if (str_find(buf_str(&words.allowed), l->value.p[i]) < 0)
            l->value.p[i] = '_';
    return l->value.p;
}

/* "554 5.7.1 text": false, and nothing is set, if it does not begin with a code. */
static bool read_reply(struct str reply, uint32_t *code, char dsn[10], struct str *text)
{
    uint32_t number;

    if (!num_parse_u32(str_upto(reply, 3), 400, 599, &number) || reply.n < 4 || reply.p[3] != ' ')
        return false;
    *code = number;
    *text = str_trim(str_from(reply, 4));
    size_t n = dsn_prefix(*text, dsn);
    if (n == 0)
        snprintf(dsn, 10, "%s", *code < 500 ? "4.7.1" : "5.7.1");
    *text = str_trim(str_from(*text, n));
    return true;
}

/* -1: the template asks for a name that there is not, or is malformed. */
static int expand(struct listed *l, const char *template, struct buf *reply)
{
    struct why why = WHY;
    int result = conf_expand_text(strz(template), 0, find_value, l, reply, &why);

    why_free(&why);
    return l->unknown ? -1 : result;
}

static enum verdict deny_as(struct listed *l, const char *template)
{
    struct buf reply = BUF_TEXT(4096);
    uint32_t code = 450;
    char dsn[10] = "4.7.1";
    struct str text = {0};

    if (expand(l, template, &reply) < 0 && template != conf.default_rbl_reply) {
        msg_warn("rbl_reply_maps: the reply for %s is malformed: %s", l->r->arg, template);
        buf_clear(&reply);
        l->unknown = false;
        expand(l, conf.default_rbl_reply, &reply);
    }
    if (read_reply(buf_str(&reply), &code, dsn, &text))
        check_fit_dsn(dsn, l->class);
    else
        msg_warn("the reply for %s does not begin with an SMTP reply code: %s", l->r->arg, reply.p);
    enum verdict v = check_deny(l->k, (int)code, dsn, "%.*s", text.n > 0 ? (int)text.n : 19,
                                text.n > 0 ? text.p : "Service unavailable");
    buf_free(&reply);
    return v;
}

enum verdict check_deny_listed(struct check *k, const struct restriction *r, const char *class,
                               const char *what, const char *reason)
{
    struct listed l = {k, r, class, what, reason, BUF_TEXT(4096), false};
    struct buf template = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = maps_find(words.replies, r->arg, &template, &why);
    enum verdict v;

    if (answer == DICT_FAILED)
        v = check_deny(k, 451, "4.3.5", "Server configuration error");
    else
        v = deny_as(&l, answer == DICT_FOUND ? template.p : conf.default_rbl_reply);
    why_free(&why);
    buf_free(&template);
    buf_free(&l.value);
    return v;
}

/* ---- at start ---- */

/* Would it be a reply? With the values of a client that there is not. */
static bool is_reply(const char *template)
{
    struct smtpd nobody = {.namaddr = "a[b]", .peer = {.name = "a", .reverse_name = "a"}};
    struct check k = {.s = &nobody};
    struct dnsbl list = {.domain = (char[]){"a"}};
    struct restriction r = {.arg = list.domain, .dnsbl = &list};
    struct listed l = {&k, &r, "a", "a", "a", BUF_TEXT(4096), false};
    struct buf reply = BUF_TEXT(4096);
    uint32_t code;
    char dsn[10];
    struct str text;
    bool right =
        expand(&l, template, &reply) == 0 && read_reply(buf_str(&reply), &code, dsn, &text);

    buf_free(&reply);
    buf_free(&l.value);
    return right;
}

static const char not_a_reply[] =
    "a reply that begins with an SMTP reply code, 400 to 599, and has only names that "
    "default_rbl_reply knows, is wanted";

/* A conf_find_fn: what a group of a pattern may have found. */
static const char *find_group(struct str name, void *arg)
{
    (void)arg;
    return name.n > 0 && strspn(name.p, "0123456789") >= name.n ? "1" : NULL;
}

/* A table of patterns takes "$1" for what a group has found, and "$$" for a "$". */
static void after_patterns(const char *table, const char *value, struct buf *template)
{
    struct str kind = strz(table);

    if (!str_starts(kind, STR("pcre:")) && !str_starts(kind, STR("regexp:")))
        buf_addz(template, value);
    else
        conf_expand_text(strz(value), 0, find_group, NULL, template, NULL);
}

static void check_value(void *arg, const char *table, const char *where, const char *value)
{
    struct buf template = BUF(DICT_VALUE_LIMIT); /* asked: what is cut is no template */

    (void)arg;
    after_patterns(table, value, &template);
    if (!buf_ok(&template) || !is_reply(template.p))
        conf_unknown_action("rbl_reply_maps", table, where, not_a_reply);
    buf_free(&template);
}

void smtpd_open_dnsbl(void)
{
    smtpd_filter_unescape(conf.smtpd_expansion_filter, &words.allowed);
    words.replies = maps_open("rbl_reply_maps", conf.rbl_reply_maps, DICT_FOLD | DICT_MAY_FAIL);
    if (!buf_ok(&words.allowed))
        conf_fault("smtpd_expansion_filter", "it is longer than %zu bytes", words.allowed.max);
    if (!is_reply(conf.default_rbl_reply))
        conf_fault("default_rbl_reply", "%s", not_a_reply);
    if (service_trying())
        maps_values(words.replies, check_value, NULL);
}
