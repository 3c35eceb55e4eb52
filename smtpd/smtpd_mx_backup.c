/*
 * permit_mx_backup: mail may pass for a domain whose backup this host is, as the DNS says.
 */
#include <limits.h>

#include "conf/conf.h"
#include "dict/match.h"
#include "mail/domain.h"
#include "mail/path.h"
#include "route/classes.h"
#include "task/task.h"

#include "smtpd_check.h"

enum { EXCHANGERS_MOST = 100, ADDRESSES_MOST = 100 }; /* with more it is nobody's backup */

static struct {
    struct match *networks; /* permit_mx_backup_networks */
} backup;

/* One question about a domain. */
struct backup_check {
    struct check *k;
    struct arena *mem;
    int64_t deadline;
};

void smtpd_open_mx_backup(void)
{
    backup.networks = match_open_hosts("permit_mx_backup_networks", conf.permit_mx_backup_networks);
}

/* What is not known yet may let the mail pass later. */
static void defer(struct backup_check *b, const char *what, const char *host, const struct why *why)
{
    struct buf text = BUF_TEXT(4096);

    buf_addf(&text, "<");
    path_quote(strz(b->k->rcpt), &text);
    buf_addf(&text, ">: Recipient address rejected: %s%s%s: %s", what, *host != 0 ? " " : "", host,
             why_text(why));
    check_defer_if_reject(b->k, 450, "4.4.4", text.p);
    buf_free(&text);
}

/* (waits) False: it has none, or they are not known for now. */
static bool addresses_of(struct backup_check *b, const char *host, struct dns_hosts *found)
{
    struct dns_how how = {
        .families = DNS_ALL, .native = true, .dns = true, .limit = ADDRESSES_MOST + 1};
    struct why why = WHY;
    enum dns_status s = dns_addresses(host, &how, b->mem, b->deadline, found, &why);

    if (s != DNS_OK)
        defer(b, "Unable to look up mail exchanger host", host, &why);
    why_free(&why);
    return s == DNS_OK && found->n <= ADDRESSES_MOST;
}

static bool is_this_host(struct backup_check *b, const char *host)
{
    struct dns_hosts found;
    char literal[ADDR_TEXT];

    if (!addresses_of(b, host, &found))
        return false;
    for (size_t i = 0; i < found.n; i++)
        if (domain_is_local(addr_literal(&found.at[i].addr, literal), NULL) == DICT_FOUND)
            return true;
    return false;
}

static bool is_in_networks(struct backup_check *b, const char *host)
{
    struct dns_hosts found;
    char text[ADDR_TEXT];
    struct why why = WHY;
    bool all = addresses_of(b, host, &found) && found.n > 0;

    for (size_t i = 0; all && i < found.n; i++)
        all = match_host(backup.networks, "unknown", addr_text(&found.at[i].addr, text), &why) ==
              DICT_FOUND;
    why_free(&why);
    return all;
}

static bool has_this_host(struct backup_check *b, const struct dns_answer *mx)
{
    for (size_t i = 0; i < mx->n && i < EXCHANGERS_MOST; i++)
        if (mx->records[i].type == DNS_MX && mx->records[i].name[0] != 0 &&
            is_this_host(b, mx->records[i].name))
            return true;
    return false;
}

/* Are the best exchangers those of a site that we back up? */
static bool is_for_our_networks(struct backup_check *b, const struct dns_answer *mx)
{
    unsigned best = UINT_MAX;

    for (size_t i = 0; i < mx->n; i++)
        if (mx->records[i].type == DNS_MX && mx->records[i].pref < best)
            best = mx->records[i].pref;
    for (size_t i = 0; i < mx->n; i++)
        if (mx->records[i].type == DNS_MX && mx->records[i].pref == best &&
            !is_in_networks(b, mx->records[i].name))
            return false;
    return true;
}

static bool is_backup_of(struct backup_check *b, const char *domain)
{
    struct dns_answer mx;
    struct why why = WHY;
    enum dns_status s = dns_ask(domain, DNS_MX, b->mem, b->deadline, &mx, &why);
    bool is = false;

    if (s == DNS_FAILED)
        defer(b, "Unable to look up mail exchanger information", "", &why);
    else if (s == DNS_OK && mx.n <= EXCHANGERS_MOST && has_this_host(b, &mx))
        is = conf.permit_mx_backup_networks[0] == 0 || is_for_our_networks(b, &mx);
    why_free(&why);
    return is;
}

static enum verdict permit_mx_backup(struct check *k, const struct restriction *r)
{
    struct backup_check b = {.k = k};
    enum verdict v;

    (void)r;
    if (k->rcpt == NULL)
        return VERDICT_DUNNO;
    const struct route *route = check_route(k, k->rcpt, &v);
    if (route == NULL)
        return v;
    struct str domain = path_domain(buf_str(&route->recipient));
    if (domain.n == 0 || route->class != CLASS_DEFAULT)
        return VERDICT_PERMIT; /* it is one of our own */
    if ((route->routed && !conf.allow_untrusted_routing) || domain_is_literal(domain, NULL) ||
        !domain_valid(domain))
        return VERDICT_DUNNO;
    b.mem = arena_new(k->s->mem);
    b.deadline = task_now() + conf.smtpd_timeout * 1000;
    bool permits = is_backup_of(&b, arena_strz(b.mem, domain));
    arena_free(&b.mem);
    return permits ? VERDICT_PERMIT : VERDICT_DUNNO;
}

const struct restriction_def smtpd_mx_backup_restrictions[] = {
    {"permit_mx_backup", permit_mx_backup},
    {.name = NULL},
};
