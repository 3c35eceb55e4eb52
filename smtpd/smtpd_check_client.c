/*
 * Restrictions that look at the client: its address, its name, what it calls itself, its login.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/match.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "route/classes.h"
#include "task/task.h"

#include "smtpd_check.h"

static struct {
    struct match *mynetworks;
    VEC(struct restriction) local; /* local_header_rewrite_clients */
} clients;

static restriction_fn permit_inet_interfaces, permit_mynetworks, permit_sasl;

void smtpd_open_clients(void)
{
    static const struct {
        const char *name;
        restriction_fn *fn;
    } names[] = {{"permit_inet_interfaces", permit_inet_interfaces},
                 {"permit_mynetworks", permit_mynetworks},
                 {"permit_sasl_authenticated", permit_sasl},
                 {"permit_tls_all_clientcerts", check_permit_tls_all_clientcerts},
                 {"permit_tls_clientcerts", check_permit_tls_clientcerts}};
    struct str rest = strz(conf.local_header_rewrite_clients), word, spec;

    clients.mynetworks = match_open_hosts("mynetworks", conf.mynetworks);
    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        struct restriction *r = VEC_ADD(&clients.local);
        r->name = mem_dup(word.p, word.n);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (str_ieqz(word, names[i].name))
                r->fn = names[i].fn;
        bool table = str_ieqz(word, "check_address_map");
        if (table && str_word_braces(&rest, ", \t\r\n", &spec)) {
            r->arg = mem_dup(spec.p, spec.n);
            r->table = maps_open("local_header_rewrite_clients", r->arg, DICT_FOLD | DICT_MAY_FAIL);
        } else if (r->fn == NULL) {
            msg_warn("local_header_rewrite_clients: \"%s\" is not supported", r->name);
        }
    }
}

static bool listed(struct match *m, struct smtpd *s, struct why *why, bool *failed)
{
    enum dict_answer answer = match_host(m, s->peer.name, s->peer.addr_text, why);
    *failed = answer == DICT_FAILED;
    return answer == DICT_FOUND;
}

bool smtpd_is_mine(struct smtpd *s)
{
    struct why why = WHY;
    bool failed;
    bool mine = listed(clients.mynetworks, s, &why, &failed);

    if (failed)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return mine;
}

static bool in_table(struct maps *m, const char *address)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = hostaddr_find(m, address, &value, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    buf_free(&value);
    why_free(&why);
    return answer == DICT_FOUND;
}

bool smtpd_is_local(struct smtpd *s)
{
    struct check k = {.s = s, .subject = s->namaddr, .class = "Client host"};

    VEC_EACH (&clients.local, r) {
        if (r->table != NULL) {
            if (in_table(r->table, s->peer.addr_text))
                return true;
        } else if (r->fn != NULL && r->fn(&k, r) == VERDICT_PERMIT) {
            return true;
        }
    }
    return false;
}

static enum verdict permit_mynetworks(struct check *k, const struct restriction *r)
{
    struct why why = WHY;
    bool failed;
    bool mine = listed(clients.mynetworks, k->s, &why, &failed);

    (void)r;
    enum verdict v = failed ? check_failed(k, k->s->namaddr, &why)
                     : mine ? VERDICT_PERMIT
                            : VERDICT_DUNNO;
    why_free(&why);
    return v;
}

static enum verdict permit_sasl(struct check *k, const struct restriction *r)
{
    (void)r;
    return k->s->sasl_username != NULL ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict permit_inet_interfaces(struct check *k, const struct restriction *r)
{
    (void)r;
    return classes_have_address(&k->s->peer.addr) ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict reject_unknown_client(struct check *k, const struct restriction *r)
{
    const struct peer *p = &k->s->peer;

    (void)r;
    if (p->name_status == PEER_NAME_OK)
        return VERDICT_DUNNO;
    return check_deny(
        k, p->name_status == PEER_NAME_FAILED ? 450 : (int)conf.unknown_client_reject_code,
        "4.7.25", "Client host rejected: cannot find your hostname, [%s]", p->addr_text);
}

static enum verdict reject_unknown_reverse_client(struct check *k, const struct restriction *r)
{
    const struct peer *p = &k->s->peer;

    (void)r;
    if (p->reverse_status == PEER_NAME_OK)
        return VERDICT_DUNNO;
    return check_deny(
        k, p->reverse_status == PEER_NAME_FAILED ? 450 : (int)conf.unknown_client_reject_code,
        "4.7.1", "Client host rejected: cannot find your reverse hostname, [%s]", p->addr_text);
}

/* ---- HELO ---- */

static enum verdict deny_helo(struct check *k, int code, const char *dsn, const char *text)
{
    return check_deny_subject(k, code, dsn, k->s->helo, "Helo command", text);
}

/* RFC 5321 4.1.3: what begins with "[" must be an address. */
static enum verdict bad_literal(struct check *k)
{
    if (domain_is_literal(strz(k->s->helo), NULL))
        return VERDICT_DUNNO;
    return deny_helo(k, (int)conf.invalid_hostname_reject_code, "5.5.2", "invalid ip address");
}

static enum verdict reject_invalid_helo(struct check *k, const struct restriction *r)
{
    struct str helo = strz(k->s->helo);

    (void)r;
    if (helo.n > 0 && helo.p[0] == '[')
        return bad_literal(k);
    /* an address without brackets passes here: RFC 5321 does not allow it, but Postfix does */
    if (helo.n == 0 || domain_valid(helo) || domain_is_ipv4(helo) || domain_is_ipv6(helo))
        return VERDICT_DUNNO;
    return deny_helo(k, (int)conf.invalid_hostname_reject_code, "5.5.2", "Invalid name");
}

/* An address without brackets. Of Postfix's first years; who wants to relay needs no more than
 * that. */
static enum verdict permit_naked_ip_address(struct check *k, const struct restriction *r)
{
    const char *helo = k->s->helo;

    msg_warn("restriction %s is deprecated. Use permit_mynetworks or permit_sasl_authenticated "
             "instead",
             r->name);
    if (helo == NULL || helo[strspn(helo, "0123456789.:")] != 0)
        return VERDICT_DUNNO;
    if (domain_is_ipv4(strz(helo)))
        return VERDICT_PERMIT;
    return deny_helo(k, (int)conf.invalid_hostname_reject_code, "5.5.2", "invalid ip address");
}

static enum verdict reject_non_fqdn_helo(struct check *k, const struct restriction *r)
{
    struct str helo = strz(k->s->helo);

    (void)r;
    if (helo.n > 0 && helo.p[0] == '[')
        return bad_literal(k);
    if (helo.n == 0 || domain_is_fqdn(helo))
        return VERDICT_DUNNO;
    return deny_helo(k, (int)conf.non_fqdn_reject_code, "5.5.2", "need fully-qualified hostname");
}

static enum verdict reject_unknown_helo(struct check *k, const struct restriction *r)
{
    struct buf text = BUF_TEXT(1000);
    const char *helo = k->s->helo, *code;

    (void)r;
    if (helo == NULL)
        return VERDICT_DUNNO;
    if (helo[0] == '[')
        return bad_literal(k);
    enum dns_status status = smtpd_domain_exists(k->s, helo, &code);
    if (check_is_filtered(status, code, helo, "address or MX"))
        return VERDICT_DUNNO;
    if (status == DNS_FAILED) {
        buf_addf(&text, "<%s>: Helo command rejected: Host not found", helo);
        enum verdict v =
            check_tempfail(k, conf.unknown_helo_hostname_tempfail_action, 450, "4.7.1", text.p);
        buf_free(&text);
        return v;
    }
    if (status == DNS_OK || strncmp(code, "5.1.", 4) == 0) /* null MX: yet the name exists */
        return VERDICT_DUNNO;
    return deny_helo(k, (int)conf.unknown_hostname_reject_code, "4.7.1", "Host not found");
}

const struct restriction_def smtpd_client_restrictions[] = {
    {"permit_inet_interfaces", permit_inet_interfaces},
    {"permit_mynetworks", permit_mynetworks},
    {"permit_naked_ip_address", permit_naked_ip_address},
    {"permit_sasl_authenticated", permit_sasl},
    {"reject_invalid_helo_hostname", reject_invalid_helo},
    {"reject_invalid_hostname", reject_invalid_helo},
    {"reject_non_fqdn_helo_hostname", reject_non_fqdn_helo},
    {"reject_non_fqdn_hostname", reject_non_fqdn_helo},
    {"reject_unknown_client", reject_unknown_client},
    {"reject_unknown_client_hostname", reject_unknown_client},
    {"reject_unknown_helo_hostname", reject_unknown_helo},
    {"reject_unknown_hostname", reject_unknown_helo},
    {"reject_unknown_reverse_client_hostname", reject_unknown_reverse_client},
    {.name = NULL},
};
