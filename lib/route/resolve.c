#include "route/resolve.h"

#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "route/rewrite.h"
#include "route/transport.h"

enum { ADDRESS_LIMIT = 64 * 1024, ROUNDS = 1000 };

/* The parameters that probes may have other values of. */
struct settings {
    const char *local_transport, *virtual_transport, *relay_transport, *default_transport;
    const char *relayhost;
    struct maps *sender_transports, *sender_relayhosts, *transports;
};

static struct {
    bool open;
    struct settings settings[2]; /* by enum resolve_for */
    struct maps *relocated;
} resolver;

static struct maps *open_maps(const char *parameter, const char *specs)
{
    return *specs == 0 ? NULL : maps_open(parameter, specs, DICT_FOLD);
}

/* Whoever writes an address must not choose with it where mail goes, nor what takes it there. */
static struct maps *open_ways(const char *parameter, const char *specs)
{
    return *specs == 0 ? NULL : maps_open(parameter, specs, DICT_FOLD | DICT_NO_GROUPS);
}

void resolve_open(void)
{
    if (resolver.open)
        return;
    resolver.open = true;
    classes_open();
    resolver.relocated = open_maps("relocated_maps", conf.relocated_maps);
    resolver.settings[RESOLVE_MAIL] = (struct settings){
        conf.local_transport,
        conf.virtual_transport,
        conf.relay_transport,
        conf.default_transport,
        conf.relayhost,
        open_ways("sender_dependent_default_transport_maps",
                  conf.sender_dependent_default_transport_maps),
        open_ways("sender_dependent_relayhost_maps", conf.sender_dependent_relayhost_maps),
        open_ways("transport_maps", conf.transport_maps),
    };
    resolver.settings[RESOLVE_VERIFY] = (struct settings){
        conf.address_verify_local_transport,
        conf.address_verify_virtual_transport,
        conf.address_verify_relay_transport,
        conf.address_verify_default_transport,
        conf.address_verify_relayhost,
        open_ways("address_verify_sender_dependent_default_transport_maps",
                  conf.address_verify_sender_dependent_default_transport_maps),
        open_ways("address_verify_sender_dependent_relayhost_maps",
                  conf.address_verify_sender_dependent_relayhost_maps),
        open_ways("address_verify_transport_maps", conf.address_verify_transport_maps),
    };
}

void resolve_close(void)
{
    for (int i = 0; i < 2; i++) {
        maps_close(&resolver.settings[i].sender_transports);
        maps_close(&resolver.settings[i].sender_relayhosts);
        maps_close(&resolver.settings[i].transports);
    }
    maps_close(&resolver.relocated);
    resolver.open = false;
    classes_close();
}

struct each_route {
    struct maps *maps;
    bool is_relayhost;
    resolve_value_fn *fn;
    void *arg;
};

static void one_value(void *arg, const char *table, const char *where, const char *value)
{
    const struct each_route *e = arg;
    struct resolve_value v = {.parameter = maps_parameter(e->maps),
                              .table = table,
                              .where = where,
                              .value = value,
                              .is_relayhost = e->is_relayhost};

    e->fn(e->arg, &v);
}

void resolve_values(resolve_value_fn *fn, void *arg)
{
    const struct settings *s = &resolver.settings[RESOLVE_MAIL];
    struct each_route all[] = {{s->transports, false, fn, arg},
                               {s->sender_transports, false, fn, arg},
                               {s->sender_relayhosts, true, fn, arg}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        maps_values(all[i].maps, one_value, &all[i]);
}

void route_free(struct route *r)
{
    buf_free(&r->transport);
    buf_free(&r->nexthop);
    buf_free(&r->recipient);
}

/*
 * First part: strip our own domains off the address until what is left has a domain of others, or
 * is a user here.
 */

/* The address as it shrinks. */
struct strip {
    struct buf address; /* what is left to look at */
    struct buf domain; /* the last local domain that was stripped, with its "@" */
};

static bool has_route(struct str s)
{
    if (!conf.resolve_dequoted_address && !localpart_is_plain(s))
        return false;
    return str_find(s, '@') >= 0 || (conf.swap_bangpath && str_find(s, '!') >= 0) ||
           (conf.allow_percent_hack && str_find(s, '%') >= 0);
}

static void drop_dot_and_at(struct buf *b)
{
    if (b->n > 1 && b->p[b->n - 1] == '.' && str_find(buf_str(b), '@') >= 0 &&
        b->p[b->n - 2] != '.' && b->p[b->n - 2] != '@')
        buf_cut(b, b->n - 1);
    if (conf.resolve_null_domain && b->n > 0 && b->p[b->n - 1] == '@')
        buf_cut(b, b->n - 1);
}

static void rewritten(struct buf *address)
{
    struct buf next = BUF(ADDRESS_LIMIT); /* asked: by strip_local, after the swap */

    rewrite_address(REWRITE_LOCAL, address->p, &next);
    buf_swap(address, &next);
    buf_free(&next);
}

/* One round: DICT_FOUND: the domain is foreign; DICT_NONE: look again, or done with *done. */
static enum dict_answer strip_once(struct strip *s, bool *done, struct why *why)
{
    drop_dot_and_at(&s->address);
    ptrdiff_t at = str_rfind(buf_str(&s->address), '@');
    if (at >= 0) {
        const char *domain = s->address.p + at + 1;
        enum dict_answer local = *domain == 0 ? DICT_FOUND : domain_is_local(domain, why);
        if (local == DICT_FAILED)
            return DICT_FAILED;
        if (local == DICT_NONE)
            return DICT_FOUND;
        buf_set(&s->domain, str_from(buf_str(&s->address), (size_t)at));
        buf_cut(&s->address, (size_t)at);
    }
    if (has_route(buf_str(&s->address)))
        rewritten(&s->address);
    else if (s->address.n == 0)
        buf_setz(&s->address, conf.empty_address_recipient);
    else if (s->domain.n == 0)
        buf_addf(&s->address, "@%s", conf.myhostname);
    else
        *done = true;
    return DICT_NONE;
}

static enum dict_answer strip_local(const char *address, struct buf *recipient, bool *local,
                                    struct why *why)
{
    struct strip s = {BUF(ADDRESS_LIMIT), BUF(ADDRESS_LIMIT)}; /* fits: domain is part of address */
    enum dict_answer answer = DICT_NONE;
    bool done = false;

    buf_addz(&s.address, address);
    for (int i = 0; i < ROUNDS && answer == DICT_NONE && !done && buf_ok(&s.address); i++)
        answer = strip_once(&s, &done, why);
    *local = answer == DICT_NONE && done;
    if (answer == DICT_NONE && !done)
        buf_clear(&s.address); /* no address that anybody means: bad_address */
    buf_set(recipient, buf_str(&s.address));
    if (*local)
        buf_add(recipient, buf_str(&s.domain));
    buf_free(&s.address);
    buf_free(&s.domain);
    return answer;
}

/* Is the domain one that mail can be sent to? Bare numeric addresses are not (RFC 5321 4.1.3). */
static bool fix_domain(struct route *r, bool *local, struct why *why, bool *failed)
{
    ptrdiff_t at = str_rfind(buf_str(&r->recipient), '@');
    struct str domain = at < 0 ? STR("") : str_from(buf_str(&r->recipient), (size_t)at + 1);

    if (domain.n > 0 && domain.p[0] == '[')
        return domain_is_literal(domain, NULL);
    if (conf.smtputf8_enable && !utf8_valid(buf_str(&r->recipient)))
        return false;
    if (conf.resolve_numeric_domain && (domain_is_ipv4(domain) || domain_is_ipv6(domain))) {
        struct buf literal = BUF(ADDRESS_LIMIT);
        buf_addf(&literal, "[%s%.*s]", domain_is_ipv6(domain) ? "IPv6:" : "", (int)domain.n,
                 domain.p);
        buf_cut(&r->recipient, (size_t)at + 1);
        buf_add(&r->recipient, buf_str(&literal));
        if (!buf_ok(&literal))
            buf_spoil(&r->recipient);
        enum dict_answer own = domain_is_local(literal.p, why);
        *failed = own == DICT_FAILED;
        *local |= own == DICT_FOUND;
        buf_free(&literal);
        return true;
    }
    struct buf ascii = BUF(255); /* asked: by idna_to_ascii */
    bool valid = utf8_is_ascii(domain) ? domain_valid(domain)
                                       : conf.smtputf8_enable && idna_to_ascii(domain, &ascii) &&
                                             domain_valid(buf_str(&ascii));
    buf_free(&ascii);
    return valid;
}

/* Second part: who delivers it. */

/* The sender's own entry, or DICT_NONE. "DUNNO": as if there were none, but no error. */
static enum dict_answer sender_entry(struct maps *m, const char *sender, const char *if_empty,
                                     struct buf *value, struct why *why)
{
    if (maps_empty(m))
        return DICT_NONE;
    enum dict_answer answer = route_find(m, *sender != 0 ? sender : if_empty, value, NULL, why);
    if (answer == DICT_FOUND && strcasecmp(value->p, "DUNNO") == 0)
        answer = DICT_NONE;
    return answer;
}

static int beyond_relay(const struct settings *set, const char *sender, const char *domain,
                        struct route *r, const char **blame, struct why *why)
{
    enum dict_answer answer = DICT_NONE;

    if (r->class == CLASS_RELAY)
        buf_setz(&r->transport, set->relay_transport);
    else {
        answer =
            sender_entry(set->sender_transports, sender,
                         conf.empty_address_default_transport_maps_lookup_key, &r->transport, why);
        if (answer == DICT_NONE)
            buf_setz(&r->transport, set->default_transport);
    }
    *blame = r->class == CLASS_RELAY ? "relay_transport" : "default_transport";
    if (answer == DICT_FAILED)
        return -1;
    answer = sender_entry(set->sender_relayhosts, sender,
                          conf.empty_address_relayhost_maps_lookup_key, &r->nexthop, why);
    if (answer == DICT_NONE)
        buf_setz(&r->nexthop, *set->relayhost != 0 ? set->relayhost : domain);
    return answer == DICT_FAILED ? -1 : 0;
}

static int by_class(const struct settings *set, const char *sender, const char *domain,
                    struct route *r, struct why *why)
{
    const char *blame = "local_transport";

    buf_setz(&r->nexthop, domain);
    switch (r->class) {
    case CLASS_LOCAL:
        buf_setz(&r->transport, set->local_transport);
        break;
    case CLASS_VIRTUAL_ALIAS:
        /* cleanup has replaced the ones that there are */
        buf_setz(&r->transport, "error");
        buf_setz(&r->nexthop, conf.show_user_unknown_table_name
                                  ? "5.1.1 User unknown in virtual alias table"
                                  : "5.1.1 User unknown");
        return 0;
    case CLASS_VIRTUAL_MAILBOX:
        buf_setz(&r->transport, set->virtual_transport);
        blame = "virtual_transport";
        break;
    default:
        if (beyond_relay(set, sender, domain, r, &blame, why) < 0)
            return -1;
    }
    ptrdiff_t colon = str_find(buf_str(&r->transport), ':');
    if (colon >= 0) {
        struct str hop = str_from(buf_str(&r->transport), (size_t)colon + 1);
        if (hop.n > 0)
            buf_set(&r->nexthop, hop);
        buf_cut(&r->transport, (size_t)colon);
    }
    if (r->transport.n > 0)
        return 0;
    msg_warn("file %s/main.cf: parameter %s: null transport is not allowed", conf_dir(), blame);
    return why_set(why, "4.3.5", "Address resolver failure");
}

static int exceptions(const struct settings *set, const char *domain, struct route *r,
                      struct why *why)
{
    struct buf where = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = DICT_NONE;

    if (!maps_empty(set->transports) && r->class != CLASS_VIRTUAL_ALIAS)
        answer = transport_find(set->transports, r->recipient.p, domain, &r->transport, &r->nexthop,
                                why);
    if (answer != DICT_FAILED && !maps_empty(resolver.relocated)) {
        answer = route_find(resolver.relocated, r->recipient.p, &where, NULL, why);
        if (answer == DICT_FOUND) {
            buf_setz(&r->transport, "error");
            buf_clear(&r->nexthop);
            buf_addf(&r->nexthop, "5.1.6 User has moved to %s", where.p);
        }
    }
    buf_free(&where);
    return answer == DICT_FAILED ? -1 : 0;
}

/* Does the local part route on? Told whatever our own settings are: the next host has its own. */
static bool is_routed(const struct buf *recipient)
{
    size_t at = (size_t)str_rfind(buf_str(recipient), '@');

    return strcspn(recipient->p, "@!%") < at;
}

/* A command's option is what such an address looks like to some programs. */
static bool is_option(const struct buf *recipient)
{
    return !conf.allow_min_user && recipient->p[0] == '-';
}

bool resolve_is_valid(const char *address)
{
    struct route r = ROUTE;
    bool local, failed = false;

    bool valid = strip_local(address, &r.recipient, &local, NULL) == DICT_FAILED ||
                 (fix_domain(&r, &local, NULL, &failed) && !is_option(&r.recipient));
    route_free(&r);
    return valid;
}

int resolve_address(enum resolve_for what, const char *sender, const char *address, struct route *r,
                    struct why *why)
{
    const struct settings *set = &resolver.settings[what];
    bool local = false, failed = false;

    r->class = CLASS_DEFAULT;
    buf_clear(&r->transport);
    buf_clear(&r->nexthop);
    if (strip_local(address, &r->recipient, &local, why) == DICT_FAILED)
        return -1;
    r->bad_address = !fix_domain(r, &local, why, &failed) || !buf_ok(&r->recipient);
    if (failed)
        return -1;
    r->routed = !r->bad_address && is_routed(&r->recipient);
    if (r->bad_address)
        return 0;
    char *domain = strrchr(r->recipient.p, '@') + 1;
    r->class = CLASS_LOCAL;
    if ((local ? class_of_local(domain) : class_of_foreign(domain, &r->class, why)) == DICT_FAILED)
        return -1;
    if (by_class(set, sender, domain, r, why) < 0 || exceptions(set, domain, r, why) < 0)
        return -1;
    if (!buf_ok(&r->transport) || !buf_ok(&r->nexthop))
        return why_set(why, "4.3.5", "the transport or next hop of %.100s is too long", address);
    r->bad_address = is_option(&r->recipient);
    return 0;
}
