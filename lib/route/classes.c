#include "route/classes.h"

#include <ifaddrs.h>
#include <netdb.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/match.h"
#include "net/addr.h"

enum { CHECKED_LIMIT = 1000 };

static struct {
    bool open;
    struct match *mydestination, *virtual_alias, *virtual_mailbox, *relay;
    VEC(struct addr) own; /* of inet_interfaces, then those of proxy_interfaces */
    size_t interfaces; /* how many are of inet_interfaces */
    struct hash *checked; /* domains whose lists were compared for overlaps, a bounded number */
} classes;

static void own_add(const struct sockaddr *sa)
{
    socklen_t n =
        sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    if (sa->sa_family == AF_INET || sa->sa_family == AF_INET6)
        addr_from_sockaddr(VEC_ADD(&classes.own), sa, n);
}

static void own_interfaces(bool loopback_only)
{
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0)
        msg_fatal("cannot list the network interfaces");
    for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        size_t n = classes.own.n;
        if (i->ifa_addr != NULL)
            own_add(i->ifa_addr);
        if (loopback_only && classes.own.n > n && !addr_is_loopback(&classes.own.at[n]))
            classes.own.n = n;
    }
    freeifaddrs(all);
}

/* inet_interfaces and proxy_interfaces: "all", "loopback-only", addresses, host names. Asks libc's
 * resolver, which blocks: only before the jail. */
static void own_named(const char *parameter, struct str word)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct buf name = BUF(1024);

    if (word.n > 2 && word.p[0] == '[' && word.p[word.n - 1] == ']')
        word = str_part(word, 1, word.n - 2);
    buf_add(&name, word);
    if (buf_ok(&name) && getaddrinfo(name.p, NULL, &hints, &found) == 0) {
        for (struct addrinfo *i = found; i != NULL; i = i->ai_next)
            own_add(i->ai_addr);
        freeaddrinfo(found);
    } else
        conf_fault(parameter, "host not found: %s", name.p);
    buf_free(&name);
}

static void own_open(const char *parameter, const char *interfaces)
{
    struct str rest = strz(interfaces), word;

    while (str_word(&rest, ", \t\r\n", &word)) {
        if (str_ieqz(word, "all") || str_ieqz(word, "loopback-only"))
            own_interfaces(word.n > 3);
        else
            own_named(parameter, word);
    }
}

void classes_open(void)
{
    if (classes.open)
        return;
    classes.open = true;
    classes.mydestination = match_open("mydestination", conf.mydestination);
    classes.virtual_alias = match_open("virtual_alias_domains", conf.virtual_alias_domains);
    classes.virtual_mailbox = match_open("virtual_mailbox_domains", conf.virtual_mailbox_domains);
    classes.relay = match_open("relay_domains", conf.relay_domains);
    classes.checked = hash_new();
    own_open("inet_interfaces", conf.inet_interfaces);
    classes.interfaces = classes.own.n;
    own_open("proxy_interfaces", conf.proxy_interfaces);
}

const struct addr *classes_only_address(int family)
{
    const struct addr *only = NULL;

    for (size_t i = 0; i < classes.interfaces; i++) {
        const struct addr *a = &classes.own.at[i];
        if (a->family != family || (only != NULL && addr_same_host(a, only)))
            continue;
        if (only != NULL)
            return NULL;
        only = a;
    }
    return only;
}

bool classes_have_address(const struct addr *a)
{
    for (size_t i = 0; i < classes.interfaces; i++)
        if (addr_same_host(a, &classes.own.at[i]))
            return true;
    return false;
}

void classes_close(void)
{
    match_close(&classes.mydestination);
    match_close(&classes.virtual_alias);
    match_close(&classes.virtual_mailbox);
    match_close(&classes.relay);
    if (classes.checked != NULL)
        hash_free(&classes.checked, NULL);
    VEC_FREE(&classes.own);
    classes.open = false;
}

/* "[192.0.2.1]" of one of our interfaces. */
static bool is_own_literal(struct str domain)
{
    struct addr addr;

    if (domain.n == 0 || domain.p[0] != '[' || !addr_parse_literal(domain, &addr))
        return false;
    VEC_EACH (&classes.own, own)
        if (addr_same_host(own, &addr))
            return true;
    return false;
}

enum dict_answer domain_is_local(const char *domain, struct why *why)
{
    struct buf name = BUF(64 * 1024);
    struct str d = strz(domain);

    if (d.n > 1 && d.p[d.n - 1] == '.' && d.p[d.n - 2] != '.') {
        buf_add(&name, str_upto(d, d.n - 1));
        domain = name.p;
    }
    /* So long a domain is in no list. */
    enum dict_answer answer =
        buf_ok(&name) ? match_string(classes.mydestination, domain, why) : DICT_NONE;
    if (answer == DICT_NONE && is_own_literal(strz(domain)))
        answer = DICT_FOUND;
    buf_free(&name);
    return answer;
}

enum dict_answer domain_has_users(const char *domain, struct why *why)
{
    return strcasecmp(domain, conf.myorigin) == 0 ? DICT_FOUND : domain_is_local(domain, why);
}

/* Two lists that claim one domain: which of them counts is nobody's guess. Told once. */
static void warn_of_overlap(const char *domain, enum class is)
{
    static const char *const name[] = {
        [CLASS_LOCAL] = "mydestination",
        [CLASS_VIRTUAL_ALIAS] = "virtual_alias_domains",
        [CLASS_VIRTUAL_MAILBOX] = "virtual_mailbox_domains",
        [CLASS_RELAY] = "relay_domains",
    };

    if (!conf.helpful_warnings || is > CLASS_VIRTUAL_MAILBOX ||
        hash_count(classes.checked) >= CHECKED_LIMIT ||
        hash_find(classes.checked, strz(domain)) != NULL)
        return;
    hash_put(classes.checked, strz(domain), &classes);
    for (enum class other = is + 1; other <= CLASS_RELAY; other++) {
        enum dict_answer in =
            other == CLASS_VIRTUAL_ALIAS     ? match_string(classes.virtual_alias, domain, NULL)
            : other == CLASS_VIRTUAL_MAILBOX ? match_string(classes.virtual_mailbox, domain, NULL)
            : is == CLASS_LOCAL              ? DICT_NONE /* the old default has it in both */
                                             : match_domain(classes.relay, domain, NULL);
        if (in == DICT_FOUND)
            msg_warn("do not list domain %s in BOTH %s and %s", domain, name[is], name[other]);
    }
}

/* A match_name_fn. */
static void tell_overlap(void *arg, const char *name)
{
    struct why why = WHY;
    enum class c;

    (void)arg;
    if (hash_count(classes.checked) >= CHECKED_LIMIT) {
        hash_free(&classes.checked, NULL);
        classes.checked = hash_new();
    }
    /* Addresses in virtual_alias_maps are no domains; the answer is of no interest. */
    if (strchr(name, '@') == NULL && class_of(name, &c, &why) == DICT_FAILED)
        why_clear(&why);
    why_free(&why);
}

void classes_tell_overlaps(void)
{
    const struct match *const all[] = {classes.mydestination, classes.virtual_alias,
                                       classes.virtual_mailbox, classes.relay};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!match_works(all[i]))
            return; /* which has been said */
    match_names(classes.mydestination, tell_overlap, NULL);
    match_names(classes.virtual_alias, tell_overlap, NULL);
    match_names(classes.virtual_mailbox, tell_overlap, NULL);
}

static enum dict_answer foreign(const char *domain, enum class *c, struct why *why)
{
    enum dict_answer answer = match_string(classes.virtual_alias, domain, why);

    *c = CLASS_VIRTUAL_ALIAS;
    if (answer != DICT_NONE)
        return answer;
    *c = CLASS_VIRTUAL_MAILBOX;
    answer = match_string(classes.virtual_mailbox, domain, why);
    if (answer != DICT_NONE)
        return answer;
    *c = CLASS_RELAY;
    answer = match_domain(classes.relay, domain, why);
    if (answer == DICT_NONE)
        *c = CLASS_DEFAULT;
    return answer == DICT_FAILED ? DICT_FAILED : DICT_FOUND;
}

enum dict_answer class_of_foreign(const char *domain, enum class *c, struct why *why)
{
    enum dict_answer answer = foreign(domain, c, why);

    if (answer == DICT_FOUND)
        warn_of_overlap(domain, *c);
    return answer;
}

enum dict_answer class_of_local(const char *domain)
{
    warn_of_overlap(domain, CLASS_LOCAL);
    return DICT_FOUND;
}

enum dict_answer class_of(const char *domain, enum class *c, struct why *why)
{
    enum dict_answer answer = domain_is_local(domain, why);

    if (answer == DICT_NONE)
        return class_of_foreign(domain, c, why);
    *c = CLASS_LOCAL;
    return answer == DICT_FOUND ? class_of_local(domain) : answer;
}

enum dict_answer route_find(struct maps *m, const char *address, struct buf *value, struct buf *ext,
                            struct why *why)
{
    return addr_find(m, address, ADDR_DEFAULT, domain_has_users, value, ext, why);
}
