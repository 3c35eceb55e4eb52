#include "service/interfaces.h"

#include <errno.h>
#include <netdb.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"

static const char separators[] = ", \t\r\n";

static bool uses_family(int family)
{
    return str_listed(conf.inet_protocols, "all") ||
           str_listed(conf.inet_protocols, family == AF_INET ? "ipv4" : "ipv6");
}

static size_t interfaces_add(struct interfaces *out, const struct addr *a)
{
    if (!uses_family(a->family))
        return 0;
    *VEC_ADD(&out->at) = *a;
    return 1;
}

static int add_name(struct str host, in_port_t port, struct interfaces *out, struct why *why)
{
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char *name = mem_dup(host.p, host.n);
    int error = getaddrinfo(name, NULL, &hints, &list);
    size_t added = 0;

    if (error != 0)
        why_set(why, "4.3.5", "host %s: %s", name, gai_strerror(error));
    free(name);
    if (error != 0)
        return -1;
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        struct addr a = {0};
        addr_from_sockaddr(&a, i->ai_addr, i->ai_addrlen);
        a.port = port;
        added += interfaces_add(out, &a);
    }
    freeaddrinfo(list);
    return added > 0 ? 0
                     : why_set(why, "4.3.5", "host %.*s: no address of the inet_protocols (%s)",
                               (int)host.n, host.p, conf.inet_protocols);
}

static int add_host(struct str host, in_port_t port, struct interfaces *out, struct why *why)
{
    struct addr a = {0};

    if (!addr_parse(host, &a))
        return add_name(host, port, out, why);
    a.port = port;
    return interfaces_add(out, &a) > 0
               ? 0
               : why_set(why, "4.3.5", "%.*s is not of the inet_protocols (%s)", (int)host.n,
                         host.p, conf.inet_protocols);
}

/* An address of each family. */
static void add_both(const char *v4, const char *v6, in_port_t port, struct interfaces *out)
{
    struct addr a = {0};

    addr_parse(strz(v4), &a);
    a.port = port;
    interfaces_add(out, &a);
    a = (struct addr){0};
    addr_parse(strz(v6), &a);
    a.port = port;
    interfaces_add(out, &a);
    out->standing_in = true;
}

static int add_interfaces(in_port_t port, struct interfaces *out, struct why *why)
{
    struct str rest = strz(conf.inet_interfaces), word;
    size_t words = 0;

    for (; str_word(&rest, separators, &word); words++) {
        if (str_ieqz(word, "all"))
            add_both("0.0.0.0", "::", port, out);
        else if (str_ieqz(word, "loopback-only"))
            add_both("127.0.0.1", "::1", port, out);
        else if (word.p[0] == '[' && word.n > 2 && word.p[word.n - 1] == ']'
                     ? add_host(str_part(word, 1, word.n - 2), port, out, why) < 0
                     : add_host(word, port, out, why) < 0)
            return conf_blame("inet_interfaces", why);
    }
    if (out->standing_in && words > 1) {
        why_set(why, "4.3.5", "all and loopback-only must stand alone");
        return conf_blame("inet_interfaces", why);
    }
    return 0;
}

static int port_of(struct str text, in_port_t *port, struct why *why)
{
    char *name;
    struct servent *entry;

    if (port_parse(text, port))
        return 0;
    name = mem_dup(text.p, text.n);
    entry = getservbyname(name, "tcp");
    free(name);
    if (entry == NULL)
        return why_set(why, "4.3.5", "no such port: %.*s", (int)text.n, text.p);
    *port = ntohs((in_port_t)entry->s_port);
    return 0;
}

int interfaces_of(const char *service, struct interfaces *out, struct why *why)
{
    struct str name = strz(service);
    struct hostport hp;
    in_port_t port;

    if (name.n > 0 && name.p[0] == ':')
        name = str_from(name, 1);
    bool anywhere = str_rfind(name, ':') < 0;
    if (!anywhere && !hostport_parse(name, &hp))
        return why_set(why, "4.3.5", "host:port is wanted");
    if (port_of(anywhere ? name : hp.port, &port, why) < 0)
        return -1;
    if (str_trim(strz(conf.inet_protocols)).n == 0)
        return 0;
    return anywhere ? add_interfaces(port, out, why) : add_host(hp.host, port, out, why);
}

bool interfaces_may_miss(const struct interfaces *list, const struct addr *a, int error)
{
    return (error == EAFNOSUPPORT || error == EADDRNOTAVAIL) && list->standing_in &&
           a->family == AF_INET6 && uses_family(AF_INET);
}

void interfaces_free(struct interfaces *list)
{
    VEC_FREE(&list->at);
    list->standing_in = false;
}
