/*
 * Access tables that are asked about the hosts behind a name: its addresses, its mail exchangers,
 * its name servers. For senders and clients who change their names more often than their hosts.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "mail/domain.h"
#include "mail/path.h"
#include "task/task.h"

#include "smtpd_check.h"

enum { HOSTS_MOST = 100, ADDRESSES_MOST = 100 }; /* more are not looked at, which is logged */

/* One question to the table: about a host, or an address of it. */
struct lookup {
    struct check *k;
    const struct restriction *r;
    const char *subject, *class; /* what the reply is about */
    struct arena *mem;
    int64_t deadline;
    bool found;
};

static enum verdict ask_table(struct lookup *l, const char *key, bool is_address)
{
    struct buf value = BUF(DICT_VALUE_LIMIT); /* asked: by the tables */
    struct why why = WHY;
    enum dict_answer answer =
        is_address
            ? hostaddr_find(l->r->table, key, &value, &why)
            : domain_find(l->r->table, key, parent_matches("smtpd_access_maps"), &value, &why);
    enum verdict v = access_apply(l->k, l->r, answer, &value, l->subject, l->class, &why);

    l->found = answer != DICT_NONE;
    buf_free(&value);
    why_free(&why);
    return access_never_ok(l->k, l->r, v, key);
}

static void not_looked_up(struct lookup *l, const char *host, const struct why *why)
{
    msg_warn_each("%s: unable to look up %s for %s %s: %s", l->r->name, host, l->class, l->subject,
                  why_text(why));
}

static enum verdict ask_addresses(struct lookup *l, const char *host)
{
    struct dns_how how = {
        .families = DNS_ALL, .native = true, .dns = true, .limit = ADDRESSES_MOST + 1};
    enum verdict v = VERDICT_DUNNO;
    char text[ADDR_TEXT];
    struct dns_hosts hosts;
    struct why why = WHY;

    if (dns_addresses(host, &how, l->mem, l->deadline, &hosts, &why) != DNS_OK)
        not_looked_up(l, host, &why);
    else
        for (size_t i = 0; i < hosts.n && i < ADDRESSES_MOST && !l->found; i++)
            v = ask_table(l, addr_text(&hosts.at[i].addr, text), true);
    if (hosts.n > ADDRESSES_MOST)
        msg_warn("%s: %s has more than %d addresses: the others are not looked at", l->r->name,
                 host, ADDRESSES_MOST);
    why_free(&why);
    return v;
}

static enum verdict ask_host(struct lookup *l, const char *host)
{
    enum verdict v = host[0] == 0 ? VERDICT_DUNNO : ask_table(l, host, false);

    return l->found || host[0] == 0 ? v : ask_addresses(l, host);
}

static enum verdict ask_hosts(struct lookup *l, const struct dns_answer *a)
{
    enum verdict v = VERDICT_DUNNO;

    for (size_t i = 0; i < a->n && i < HOSTS_MOST && !l->found; i++)
        if (a->records[i].type == DNS_MX || a->records[i].type == DNS_NS) {
            v = ask_host(l, a->records[i].name);
            task_yield(); /* 101 questions to the table; answers of the DNS may be kept */
        }
    if (a->n > HOSTS_MOST)
        msg_warn("%s: %zu hosts for %s, of which %d were looked at", l->r->name, a->n, l->subject,
                 HOSTS_MOST);
    return v;
}

/* Without a mail exchanger the host itself is asked about: RFC 5321 5.1. Also if the DNS does not
 * know the name: the table may, or the hosts file. */
static enum verdict ask_exchangers(struct lookup *l, const char *domain)
{
    struct dns_answer answer;
    struct why why = WHY;
    enum dns_status s = dns_ask(domain, DNS_MX, l->mem, l->deadline, &answer, &why);
    enum verdict v = VERDICT_DUNNO;

    if (s == DNS_OK)
        v = ask_hosts(l, &answer);
    else if (s == DNS_NO_DATA || s == DNS_NO_NAME)
        v = ask_host(l, domain);
    else
        not_looked_up(l, domain, &why);
    why_free(&why);
    return v;
}

/* Those of the zone that the name is in. */
static enum verdict ask_name_servers(struct lookup *l, const char *domain)
{
    struct dns_answer answer;
    struct why why = WHY;
    enum dns_status s = dns_ask(domain, DNS_NS, l->mem, l->deadline, &answer, &why);
    const char *dot = strchr(domain, '.');

    while ((s == DNS_NO_DATA || s == DNS_NO_NAME) && dot != NULL && dot[1] != 0) {
        s = dns_ask(dot + 1, DNS_NS, l->mem, l->deadline, &answer, &why);
        dot = strchr(dot + 1, '.');
    }
    if (s == DNS_FAILED)
        not_looked_up(l, domain, &why);
    why_free(&why);
    return s == DNS_OK ? ask_hosts(l, &answer) : VERDICT_DUNNO;
}

/* "check_sender_mx_access": its last word. */
static enum verdict ask_about(struct lookup *l, const char *domain)
{
    struct str name = strz(l->r->name), address = strz(domain);
    struct addr bare;

    if (domain_is_literal(address, &address) || addr_parse(address, &bare))
        return str_iends(name, STR("_ns_access")) ? VERDICT_DUNNO
                                                  : ask_table(l, arena_strz(l->mem, address), true);
    if (!domain_valid(strz(domain)))
        return VERDICT_DUNNO;
    if (str_iends(name, STR("_mx_access")))
        return ask_exchangers(l, domain);
    if (str_iends(name, STR("_ns_access")))
        return ask_name_servers(l, domain);
    return ask_addresses(l, domain);
}

static enum verdict server_access(struct check *k, const struct restriction *r, const char *domain,
                                  const char *subject, const char *class)
{
    struct lookup l = {k, r, subject, class, arena_new(NULL), 0, false};

    l.deadline = task_now() + conf.smtpd_timeout * 1000;
    enum verdict v = ask_about(&l, arena_strz(l.mem, strz(domain)));
    arena_free(&l.mem);
    return v;
}

static enum verdict client_servers(struct check *k, const struct restriction *r)
{
    const char *name = k->s->peer.name;

    return strcmp(name, "unknown") == 0 ? VERDICT_DUNNO
                                        : server_access(k, r, name, k->s->namaddr, "Client host");
}

static enum verdict reverse_servers(struct check *k, const struct restriction *r)
{
    const char *name = k->s->peer.reverse_name;

    return strcmp(name, "unknown") == 0 ? VERDICT_DUNNO
                                        : server_access(k, r, name, name, "Unverified Client host");
}

static enum verdict helo_servers(struct check *k, const struct restriction *r)
{
    const char *helo = k->s->helo;

    return helo == NULL ? VERDICT_DUNNO : server_access(k, r, helo, helo, "Helo command");
}

/* The domain that mail would go to, however the address is spelt. */
static enum verdict address_servers(struct check *k, const struct restriction *r,
                                    const char *address, const char *class)
{
    struct buf external = BUF_TEXT(4096);
    enum verdict v;

    if (address == NULL || address[0] == 0)
        return VERDICT_DUNNO;
    const struct route *route = check_route(k, address, &v);
    if (route == NULL)
        return v;
    path_quote(strz(address), &external);
    v = server_access(k, r, path_domain(buf_str(&route->recipient)).p, external.p, class);
    buf_free(&external);
    return v;
}

static enum verdict sender_servers(struct check *k, const struct restriction *r)
{
    return address_servers(k, r, k->s->mail != NULL ? k->s->mail->sender : NULL, "Sender address");
}

static enum verdict rcpt_servers(struct check *k, const struct restriction *r)
{
    return address_servers(k, r, k->rcpt, "Recipient address");
}

const struct restriction_def smtpd_server_restrictions[] = {
    {"check_client_a_access", client_servers, RESTRICTION_TABLE},
    {"check_client_mx_access", client_servers, RESTRICTION_TABLE},
    {"check_client_ns_access", client_servers, RESTRICTION_TABLE},
    {"check_helo_a_access", helo_servers, RESTRICTION_TABLE},
    {"check_helo_mx_access", helo_servers, RESTRICTION_TABLE},
    {"check_helo_ns_access", helo_servers, RESTRICTION_TABLE},
    {"check_recipient_a_access", rcpt_servers, RESTRICTION_TABLE},
    {"check_recipient_mx_access", rcpt_servers, RESTRICTION_TABLE},
    {"check_recipient_ns_access", rcpt_servers, RESTRICTION_TABLE},
    {"check_reverse_client_hostname_a_access", reverse_servers, RESTRICTION_TABLE},
    {"check_reverse_client_hostname_mx_access", reverse_servers, RESTRICTION_TABLE},
    {"check_reverse_client_hostname_ns_access", reverse_servers, RESTRICTION_TABLE},
    {"check_sender_a_access", sender_servers, RESTRICTION_TABLE},
    {"check_sender_mx_access", sender_servers, RESTRICTION_TABLE},
    {"check_sender_ns_access", sender_servers, RESTRICTION_TABLE},
    {.name = NULL},
};
