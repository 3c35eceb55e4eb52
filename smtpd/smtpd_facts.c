/*
 * What has been found out during the present command: where mail for an address goes, which hosts
 * take mail for a domain. Several restrictions ask the same, and each answer may cost a table or a
 * DNS question; so it is asked once a command.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "net/dns.h"
#include "route/resolve.h"
#include "route/rewrite.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_check.h"

enum { ROUTES = 4, DOMAINS = 4 }; /* sender and recipient, each perhaps in two forms */

struct smtpd_found {
    struct arena *mem;
    struct {
        const char *address;
        struct route route;
    } routes[ROUTES];
    struct {
        const char *name, *code;
        enum dns_status status;
    } domains[DOMAINS];
    size_t nroutes, ndomains;
};

void smtpd_forget_facts(struct smtpd *s)
{
    struct smtpd_found *f = s->found;

    smtpd_forget_questions(s);
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->nroutes; i++)
        route_free(&f->routes[i].route);
    s->found = NULL;
    struct arena *mem = f->mem;
    arena_free(&mem);
}

static struct smtpd_found *found(struct smtpd *s)
{
    if (s->found == NULL) {
        struct arena *mem = arena_new(s->mem);
        s->found = arena_alloc(mem, sizeof *s->found);
        s->found->mem = mem;
    }
    return s->found;
}

static int ask_route(struct smtpd *s, const char *address, struct route *r, struct why *why)
{
    struct buf full = BUF(8192);

    rewrite_address(REWRITE_LOCAL, address, &full);
    int result =
        buf_ok(&full)
            ? resolve_address(RESOLVE_MAIL, s->mail != NULL ? s->mail->sender : "", full.p, r, why)
            : why_set(why, "4.3.0", "address is too long");
    buf_free(&full);
    str_lower(r->recipient.p, r->recipient.n); /* tables of patterns see it so, as in Postfix */
    return result;
}

const struct route *smtpd_route_of(struct smtpd *s, const char *address, struct why *why)
{
    struct smtpd_found *f = found(s);
    struct route r = ROUTE;

    for (size_t i = 0; i < f->nroutes; i++)
        if (strcmp(f->routes[i].address, address) == 0)
            return &f->routes[i].route;
    if (ask_route(s, address, &r, why) < 0) {
        route_free(&r);
        return NULL;
    }
    size_t at = f->nroutes < ROUTES ? f->nroutes++ : ROUTES - 1;
    if (f->routes[at].address != NULL)
        route_free(&f->routes[at].route);
    f->routes[at].address = arena_strz(f->mem, strz(address));
    f->routes[at].route = r;
    return &f->routes[at].route;
}

enum dns_status smtpd_domain_exists(struct smtpd *s, const char *domain, const char **code)
{
    struct smtpd_found *f = found(s);
    struct dns_how how = {.families = DNS_ALL, .native = true, .dns = true, .filtered = true};
    struct why why = WHY;

    for (size_t i = 0; i < f->ndomains; i++)
        if (strcasecmp(f->domains[i].name, domain) == 0) {
            *code = f->domains[i].code;
            return f->domains[i].status;
        }
    int64_t deadline = task_now() + conf.smtpd_timeout * 1000;
    enum dns_status status = dns_domain_exists(domain, &how, f->mem, deadline, &why);
    *code = arena_strz(f->mem, strz(why.code));
    if (f->ndomains < DOMAINS) {
        f->domains[f->ndomains].name = arena_strz(f->mem, strz(domain));
        f->domains[f->ndomains].code = *code;
        f->domains[f->ndomains++].status = status;
    }
    why_free(&why);
    return status;
}

bool check_is_filtered(enum dns_status status, const char *code, const char *domain,
                       const char *what)
{
    if (status != DNS_FAILED || strcmp(code, "4.7.0") != 0)
        return false;
    msg_warn_each("%s: %s lookup error: DNS reply filter drops all results", domain, what);
    return true;
}
