/*
 * From the next hop to servers, one after the other, until every recipient has ended. RFC 5321 5.1.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "net/dns.h"
#include "net/sock.h"
#include "net/stream.h"
#include "route/classes.h"
#include "route/nexthop.h"
#include "task/task.h"

#include "smtp.h"

enum { SMTP_PORT = 25 };

static struct {
    in_port_t port; /* smtp_tcp_port */
    unsigned families;
    enum dns_family first;
    bool native, dns, mx;
    struct source {
        struct addr addr; /* family 0: any */
        bool enforced; /* mail waits if this host does not have it */
    } from4, from6;
} hosts;

static void read_families(void)
{
    hosts.families = dns_families(conf.inet_protocols);
    if (strcmp(conf.smtp_address_preference, "ipv4") == 0)
        hosts.first = DNS_INET;
    else if (strcmp(conf.smtp_address_preference, "ipv6") == 0)
        hosts.first = DNS_INET6;
}

/* A host that receives mail on one of its addresses only is seen with that one when it sends, too,
 * as by Postfix: other hosts know it by that. */
static void read_source(const char *parameter, const char *text, sa_family_t family,
                        struct source *from)
{
    const struct addr *only = classes_only_address(family);

    from->enforced = text[0] != 0 && conf.smtp_bind_address_enforce;
    if (text[0] != 0 && (!addr_parse(strz(text), &from->addr) || from->addr.family != family))
        msg_fatal("%s: not an address: %s", parameter, text);
    if (text[0] == 0 && only != NULL && !addr_is_loopback(only))
        from->addr = *only;
}

void smtp_open_hosts(void)
{
    /* "disabled" is the old disable_dns_lookups = yes: only what the hosts file knows. */
    bool disabled = conf.smtp_dns_support_level[0] != 0
                        ? strcmp(conf.smtp_dns_support_level, "disabled") == 0
                        : conf.disable_dns_lookups;

    if (!port_parse(strz(conf.smtp_tcp_port), &hosts.port))
        msg_fatal("smtp_tcp_port: unknown service: %s", conf.smtp_tcp_port);
    read_families();
    hosts.mx = hosts.dns = !disabled;
    hosts.native = str_listed(conf.smtp_host_lookup, "native") || disabled;
    if (!str_listed(conf.smtp_host_lookup, "dns"))
        hosts.dns = false;
    read_source("smtp_bind_address", conf.smtp_bind_address, AF_INET, &hosts.from4);
    read_source("smtp_bind_address6", conf.smtp_bind_address6, AF_INET6, &hosts.from6);
}

static int parse_dest(struct arena *mem, struct str text, struct smtp_dest *dest, struct why *why)
{
    struct nexthop hop;

    if (nexthop_parse(text, smtp_is_lmtp(), &hop, why) < 0) {
        msg_warn("%s", why_text(why));
        return -1;
    }
    *dest = (struct smtp_dest){
        .text = arena_strz(mem, text),
        .host = arena_strz(mem, hop.host),
        .port = hop.port != 0 ? hop.port : hosts.port,
        .is_unix = hop.is_unix,
        /* Postfix: there are no exchangers for LMTP */
        .mx = hosts.mx && !hop.bracketed && !smtp_is_lmtp(),
    };
    return 0;
}

/* RFC 5321 5.1: only a server on the standard port can be this one again. */
static bool is_self(const char *host, const struct addr *addr)
{
    char literal[ADDR_TEXT];

    (void)host;
    return domain_is_local(addr_literal(addr, literal), NULL) == DICT_FOUND;
}

static bool is_among(const struct dns_hosts *found)
{
    for (size_t i = 0; i < found->n; i++)
        if (is_self(found->at[i].asked, &found->at[i].addr))
            return true;
    return false;
}

/* The addresses of the host that is named. */
static enum dns_status find_named(struct smtp_job *job, const char *host, const struct dns_how *how,
                                  bool loops, struct dns_hosts *found, struct why *why)
{
    enum dns_status s = dns_addresses(host, how, job->mem, 0, found, why);

    found->has_self = s == DNS_OK && loops && is_among(found);
    if (!found->has_self)
        return s;
    why_set(why, "5.4.6", "mail for %s loops back to myself", host);
    return DNS_NO_DATA;
}

static int find_hosts(struct smtp_job *job, const struct smtp_dest *dest, struct dns_hosts *found,
                      struct why *why)
{
    struct dns_how how = {.families = hosts.families,
                          .first = hosts.first,
                          .native = hosts.native,
                          .dns = hosts.dns,
                          .filtered = true,
                          .limit = (unsigned)conf.smtp_mx_address_limit,
                          .shuffle = conf.smtp_randomize_addresses};
    bool loops = !smtp_is_lmtp() && dest->port == SMTP_PORT;
    enum dns_status s;

    if (hosts.families == 0)
        return why_set(why, "4.3.5", "all network protocols are disabled: inet_protocols = %s",
                       conf.inet_protocols);
    if (dest->mx)
        s = dns_mail_hosts(dest->host, &how, loops ? is_self : NULL, job->mem, 0, found, why);
    else
        s = find_named(job, dest->host, &how, loops, found, why);
    if (s == DNS_OK)
        return 0;
    if (found->has_mx && conf.smtp_defer_if_no_mx_address_found && why->code[0] == '5')
        why->code[0] = '4';
    return -1;
}

/* What two deliveries must have in common to share a connection: also the next hop as it was
 * written, which is what smtp_tls_policy_maps and smtp_sasl_password_maps are asked for. */
static const char *cache_key(struct smtp_job *job, const struct smtp_dest *dest)
{
    bool by_sender = conf.smtp_sender_dependent_authentication && conf.smtp_sasl_auth_enable;

    return arena_printf(job->mem, "%s %s %u %d %d %d %s", dest->text, dest->host, dest->port,
                        dest->mx, (int)job->requiretls, smtp_ignores_tls_policy(job),
                        by_sender ? job->d->sender : "");
}

static void use_session(struct smtp_job *job, struct smtp_session *s)
{
    bool full = false;

    do {
        smtp_transfer(job, s);
        full = s->ehlo.mail_max > 0 && s->uses >= s->ehlo.mail_max; /* RFC 9422 */
    } while (job->next < job->d->nrcpts && !full && !s->broken &&
             stream_state(s->stream) == STREAM_OK);
    job->reconnect = full && !s->broken && job->next < job->d->nrcpts;
    if (!smtp_cache_put(s))
        smtp_session_close(&s);
}

/* This server cannot be used; if it was the last one, the site does not work. */
static void session_failed(struct smtp_job *job, struct smtp_session *s, const struct why *why)
{
    if (job->last_server && why_later(why))
        delivery_site_failed(&job->result, why);
    smtp_rcpts_failed(job, s, "w", why, s->reply.code >= 400);
}

/* Speaks with a server that has been reached. True: once more, without TLS. */
static bool begin_session(struct smtp_job *job, const struct smtp_dest *dest, int fd,
                          const char *host, const struct addr *addr, const char *key, bool plain)
{
    struct smtp_tls_policy policy;
    bool again = false;
    struct why why = WHY;
    char text[ADDR_TEXT];
    struct smtp_session *s = smtp_session_new(fd, dest->is_unix ? conf.myhostname : host,
                                              dest->is_unix ? dest->host : addr_text(addr, text),
                                              dest->is_unix ? 0 : dest->port);

    s->dest = dest;
    s->key = arena_strz(s->mem, strz(key));
    if (!dest->is_unix)
        s->addr = *addr;
    int usable = smtp_tls_policy_for(job, dest, &policy, &why);
    if (plain)
        policy.level = SMTP_TLS_NONE;
    if (usable == 0)
        usable = smtp_hello(job, s, &policy, &why);
    if (usable == 0) {
        use_session(job, s);
    } else {
        again = s->tls_failed;
        smtp_lacks_starttls(job, s, &why);
        if (!again)
            session_failed(job, s, &why);
        smtp_session_close(&s);
    }
    why_free(&why);
    return again;
}

static int64_t connect_deadline(void)
{
    return conf.smtp_connect_timeout > 0 ? task_now() + conf.smtp_connect_timeout * 1000 : 0;
}

static void connect_failed(struct smtp_job *job, const char *relay, struct why *why)
{
    struct why said = WHY;

    why_set(&said, "4.4.1", "connect to %s: %s", relay, why_text(why));
    msg_info("%s", why_text(&said));
    smtp_server_failed(job, &said);
    why_free(&said);
}

static void try_unix(struct smtp_job *job, const struct smtp_dest *dest, const char *key, bool last)
{
    struct why why = WHY;
    char *relay = arena_printf(job->mem, "%s[%s]", conf.myhostname, dest->host);

    job->last_server = last;
    job->next = 0;
    int fd;
    do {
        job->reconnect = false;
        fd = sock_connect_unix(dest->host, connect_deadline(), &why);
        if (fd >= 0)
            begin_session(job, dest, fd, dest->host, NULL, key, false);
    } while (fd >= 0 && job->reconnect);
    if (fd < 0) { /* "connect to path: reason": the path is in relay already */
        ptrdiff_t colon = str_rfind(strz(why_text(&why)), ':');
        struct why reason = WHY;
        why_set(&reason, "4.4.1", "%s", why_text(&why) + (colon >= 0 ? colon + 2 : 0));
        connect_failed(job, relay, &reason);
        why_free(&reason);
    }
    why_free(&why);
}

/* From the address that is set for the family. If this host does not have it, the system chooses,
 * unless the administrator insists: mail would wait for what may never come back. */
static int connect_from(const struct source *from, const struct addr *to, struct why *why)
{
    struct why missing = WHY;
    bool is_set = from->addr.family != 0;
    int fd = sock_connect(to, is_set ? &from->addr : NULL, connect_deadline(), why);

    if (fd < 0 && is_set && !from->enforced && !sock_can_bind(&from->addr, &missing)) {
        msg_warn("smtp_connect_addr: %s", why_text(&missing));
        why_clear(why);
        fd = sock_connect(to, NULL, connect_deadline(), why);
    }
    why_free(&missing);
    return fd;
}

/* One address. False: it could not be reached. */
static bool try_host(struct smtp_job *job, const struct smtp_dest *dest, const struct dns_host *h,
                     const char *key)
{
    const struct source *from = h->addr.family == AF_INET ? &hosts.from4 : &hosts.from6;
    struct why why = WHY;
    struct addr to = h->addr;
    char text[ADDR_TEXT];
    bool plain = false, again;
    int fd;

    to.port = dest->port;
    job->next = 0;
    do {
        job->reconnect = false;
        fd = connect_from(from, &to, &why);
        if (fd < 0)
            connect_failed(
                job, arena_printf(job->mem, "%s[%s]:%u", h->asked, addr_text(&to, text), to.port),
                &why);
        again = fd >= 0 && begin_session(job, dest, fd, h->asked, &h->addr, key, plain);
        plain = plain || again;
    } while (fd >= 0 && (again || job->reconnect));
    why_free(&why);
    return fd >= 0;
}

/* False: this host is one of those that take the domain's mail. Others that are not named there
 * must not get it. */
static bool try_hosts(struct smtp_job *job, const struct smtp_dest *dest, const char *key,
                      bool last)
{
    int64_t sessions = 0, most = conf.smtp_mx_session_limit;
    struct dns_hosts found;
    struct why why = WHY;

    if (find_hosts(job, dest, &found, &why) < 0) {
        smtp_server_failed(job, &why);
        why_free(&why);
        return !found.has_self;
    }
    last = last || found.has_self;
    for (size_t i = 0; i < found.n && job->left > 0 && (most == 0 || sessions < most); i++) {
        job->last_server = last && (i + 1 == found.n || (most > 0 && sessions + 1 >= most));
        sessions += try_host(job, dest, &found.at[i], key);
    }
    why_free(&why);
    return !found.has_self;
}

/* False: no other next hop may be tried. */
static bool try_dest(struct smtp_job *job, const struct smtp_dest *dest, bool last)
{
    struct why why = WHY;

    if (smtp_find_requiretls(job, dest, &why) < 0) {
        smtp_server_failed(job, &why);
        why_free(&why);
        return true;
    }
    const char *key = cache_key(job, dest);
    struct smtp_session *s = smtp_cache_take(key);

    if (s != NULL) {
        job->last_server = false;
        job->next = 0;
        s->dest = dest;
        use_session(job, s);
    }
    if (job->left == 0)
        return true;
    if (!dest->is_unix)
        return try_hosts(job, dest, key, last);
    try_unix(job, dest, key, last);
    return true;
}

typedef VEC(struct str) words;

static void add_words(words *list, const char *text)
{
    struct str rest = strz(text), word;

    while (str_word(&rest, ", \t\r\n", &word))
        *VEC_ADD(list) = word;
}

/*
 * A relay that is named in main.cf and is certainly not there (no such name, it takes no mail, it
 * is this host) is a mistake of the configuration, which is no reason to return mail: it waits. As
 * in Postfix, that is not so for relays of single senders or in transport_maps.
 */
static void wait_for_relay(struct smtp_job *job, bool is_fallback)
{
    const char *blame = "relayhost";

    if (job->left == 0 || job->why.code[0] != '5')
        return;
    if (is_fallback)
        blame = smtp_is_lmtp() ? "lmtp_fallback_relay" : "smtp_fallback_relay";
    else if (smtp_is_lmtp() || strcmp(job->d->nexthop, conf.relayhost) != 0)
        return;
    msg_warn("%s configuration problem", blame);
    snprintf(job->why.code, sizeof job->why.code, "4.3.5");
}

void smtp_deliver(struct smtp_job *job)
{
    words list = {0};
    struct smtp_dest dest;
    struct why why = WHY;
    bool more = true;
    size_t i;

    job->outcome.conn_us = clock_wall_us();
    add_words(&list, job->d->nexthop);
    size_t own = list.n;
    /* Postfix: a server of this host has no other in its place. */
    if (!smtp_is_lmtp() || !str_istarts(strz(job->d->nexthop), STR("unix:")))
        add_words(&list, conf.smtp_fallback_relay);
    for (i = 0; i < list.n && job->left > 0 && more; i++) {
        if (parse_dest(job->mem, list.at[i], &dest, &why) < 0)
            smtp_server_failed(job, &why);
        else
            more = try_dest(job, &dest, i + 1 == list.n);
    }
    VEC_FREE(&list);
    wait_for_relay(job, i > own);
    smtp_give_up(job);
    why_free(&why);
}
