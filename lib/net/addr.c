#include "net/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>

#include "base/num.h"
#include "base/str.h"

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_ip6(struct addr *a, const unsigned char ip[16])
{
    a->family = AF_INET6;
    memcpy(a->ip, ip, 16);
}

/* RFC 4291 2.5.5.2 */
static void unmap(struct addr *a)
{
    if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return;
    a->family = AF_INET;
    memmove(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
}

void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
    *a = (struct addr){0};
    if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a->family = AF_INET;
        a->port = ntohs(in.sin_port);
        memcpy(a->ip, &in.sin_addr, 4);
    } else if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, sa, sizeof in);
        a->port = ntohs(in.sin6_port);
        a->scope = in.sin6_scope_id;
        set_ip6(a, in.sin6_addr.s6_addr);
        unmap(a);
    } else if (len >= sizeof(sa_family_t) && sa->sa_family == AF_UNIX) {
        a->family = AF_UNIX;
    }
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *sa)
{
    memset(sa, 0, sizeof *sa);
    if (a->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(sa, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in.sin6_addr, a->ip, 16);
    memcpy(sa, &in, sizeof in);
    return sizeof in;
}

bool addr_parse_mapped(struct str text, struct addr *a)
{
    char z[ADDR_TEXT];
    unsigned char ip[16];
    ptrdiff_t percent = str_find(text, '%');
    unsigned scope = 0;

    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n) != NULL)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (percent >= 0) {
        z[percent] = 0;
        scope = if_nametoindex(z + percent + 1);
        if (scope == 0 &&
            !num_parse_u32(str_from(text, (size_t)percent + 1), 1, UINT32_MAX, &scope))
            return false;
    }
    if (inet_pton(AF_INET6, z, ip) == 1) {
        *a = (struct addr){.scope = scope};
        set_ip6(a, ip);
        return true;
    }
    if (percent >= 0 || inet_pton(AF_INET, z, ip) != 1)
        return false;
    *a = (struct addr){.family = AF_INET};
    memcpy(a->ip, ip, 4);
    return true;
}

bool addr_parse(struct str text, struct addr *a)
{
    if (!addr_parse_mapped(text, a))
        return false;
    unmap(a);
    return true;
}

bool addr_parse_literal(struct str text, struct addr *a)
{
    struct str inner;

    if (text.n < 3 || text.p[0] != '[' || text.p[text.n - 1] != ']')
        return false;
    inner = str_part(text, 1, text.n - 2);
    if (str_istarts(inner, STR("IPv6:")))
        return str_find(str_from(inner, 5), ':') >= 0 && addr_parse(str_from(inner, 5), a);
    return str_find(inner, ':') < 0 && addr_parse(inner, a);
}

const char *addr_text(const struct addr *a, char text[ADDR_TEXT])
{
    if (a->family == AF_UNIX)
        snprintf(text, ADDR_TEXT, "local socket");
    else if (a->family == 0 || inet_ntop(a->family, a->ip, text, ADDR_TEXT) == NULL)
        snprintf(text, ADDR_TEXT, "unknown");
    return text;
}

const char *addr_literal(const struct addr *a, char text[ADDR_TEXT])
{
    char plain[ADDR_TEXT];

    snprintf(text, ADDR_TEXT, a->family == AF_INET6 ? "[IPv6:%.50s]" : "[%.50s]",
             addr_text(a, plain));
    return text;
}

static size_t ip_bytes(const struct addr *a)
{
    return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a)) == 0;
}

void addr_mask(struct addr *a, unsigned bits)
{
    for (unsigned i = 0; i < sizeof a->ip; i++) {
        unsigned keep = bits >= 8 ? 8 : bits;
        a->ip[i] &= (unsigned char)(0xff00 >> keep);
        bits -= keep;
    }
}

bool addr_is_loopback(const struct addr *a)
{
    static const unsigned char one[16] = {[15] = 1};

    return a->family == AF_UNIX || (a->family == AF_INET && a->ip[0] == 127) ||
           (a->family == AF_INET6 && memcmp(a->ip, one, 16) == 0);
}

void addr_reverse(const struct addr *a, const char *zone, struct buf *name)
{
    static const char *const hex = "0123456789abcdef";

    for (size_t i = ip_bytes(a); i-- > 0;)
        if (a->family == AF_INET)
            buf_addf(name, "%u.", a->ip[i]);
        else
            buf_addf(name, "%c.%c.", hex[a->ip[i] & 15], hex[a->ip[i] >> 4]);
    if (zone == NULL)
        zone = a->family == AF_INET ? "in-addr.arpa" : "ip6.arpa";
    buf_addz(name, zone);
}

/* The bytes of ip below the first bits are changed to 0; true if they were already. */
static bool cut_bits(unsigned char *ip, size_t bytes, unsigned bits)
{
    bool clean = true;

    for (size_t i = 0; i < bytes; i++) {
        unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * (unsigned)i : 0;
        unsigned char mask = (unsigned char)(0xff00 >> keep);
        clean = clean && (ip[i] & ~mask) == 0;
        ip[i] &= mask;
    }
    return clean;
}

static struct str without_brackets(struct str s)
{
    return s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']' ? str_part(s, 1, s.n - 2) : s;
}

int prefix_parse(struct str text, struct prefix *p, struct why *why)
{
    struct str bare = without_brackets(text);
    ptrdiff_t slash = str_rfind(bare, '/');
    struct str ip = slash < 0 ? bare : str_upto(bare, (size_t)slash);
    char right[ADDR_TEXT];

    if (bare.n == text.n)
        ip = without_brackets(ip);
    if (!addr_parse_mapped(ip, &p->addr))
        return why_set(why, "4.3.5", "bad net/mask pattern: \"%.*s\"", (int)text.n, text.p);
    unsigned most = (unsigned)ip_bytes(&p->addr) * 8;
    p->bits = most;
    if (slash >= 0 && !num_parse_u32(str_from(bare, (size_t)slash + 1), 0, most, &p->bits))
        return why_set(why, "4.3.5", "bad mask value in net/mask pattern: \"%.*s\"", (int)text.n,
                       text.p);
    if (!cut_bits(p->addr.ip, most / 8, p->bits))
        return why_set(why, "4.3.5",
                       "non-null host address bits in \"%.*s\", perhaps you should use \"%s/%u\" "
                       "instead",
                       (int)text.n, text.p, addr_text(&p->addr, right), p->bits);
    return 0;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
    struct addr cut = *a;

    if (p->addr.family != a->family)
        return false;
    cut_bits(cut.ip, ip_bytes(a), p->bits);
    return memcmp(cut.ip, p->addr.ip, ip_bytes(a)) == 0;
}

bool hostport_parse(struct str text, struct hostport *out)
{
    *out = (struct hostport){0};
    if (text.n > 0 && text.p[0] == '[') {
        ptrdiff_t end = str_find(text, ']');
        if (end < 2)
            return false;
        out->bracketed = true;
        out->host = str_part(text, 1, (size_t)end - 1);
        text = str_from(text, (size_t)end + 1);
        if (text.n == 0)
            return true;
        if (text.p[0] != ':')
            return false;
        out->port = str_from(text, 1);
        return out->port.n > 0;
    }
    ptrdiff_t colon = str_find(text, ':');
    out->host = colon < 0 ? text : str_upto(text, (size_t)colon);
    out->port = colon < 0 ? STR("") : str_from(text, (size_t)colon + 1);
    return out->host.n > 0 && (colon < 0 || (out->port.n > 0 && str_find(out->port, ':') < 0));
}

bool port_parse(struct str text, in_port_t *port)
{
    static const struct {
        const char *name;
        in_port_t port;
    } names[] = {{"smtp", 25},   {"smtps", 465}, {"submissions", 465}, {"submission", 587},
                 {"lmtp", 24},   {"pop3", 110},  {"pop3s", 995},       {"imap", 143},
                 {"imap2", 143}, {"imaps", 993}, {"domain", 53},       {"urd", 465},
                 {"http", 80},   {"https", 443}, {"sieve", 4190},      {"ldap", 389}};
    uint32_t number;

    if (num_parse_u32(text, 0, 65535, &number)) {
        *port = (in_port_t)number;
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieqz(text, names[i].name)) {
            *port = names[i].port;
            return true;
        }
    return false;
}
