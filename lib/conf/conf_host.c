#include "conf/conf_host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/str.h"

void conf_host_name(struct buf *out)
{
    char name[256];

    if (gethostname(name, sizeof name) < 0)
        name[0] = '\0';
    name[sizeof name - 1] = '\0';
    buf_addz(out, name[0] == '\0' ? "localhost" : name);
}

static unsigned count_bits(const unsigned char *mask, size_t n)
{
    unsigned bits = 0;
    for (size_t i = 0; i < n; i++)
        bits += (unsigned)__builtin_popcount(mask[i]);
    return bits;
}

/* Class A, B or C. */
static unsigned class_bits(unsigned char first)
{
    return first < 128 ? 8 : first < 192 ? 16 : 24;
}

static unsigned prefix_bits(const char *style, const unsigned char *address,
                            const unsigned char *mask, size_t n)
{
    if (strcmp(style, "host") == 0 || mask == NULL)
        return (unsigned)n * 8;
    return strcmp(style, "class") == 0 && n == 4 ? class_bits(address[0]) : count_bits(mask, n);
}

/* One network, unless it is there already. */
static void add_network(int family, const unsigned char *address, unsigned bits, struct buf *out)
{
    unsigned char network[16];
    char text[INET6_ADDRSTRLEN];
    size_t n = family == AF_INET ? 4 : 16;
    /* fits: a network and a number */
    struct buf one = BUF(sizeof text + 20);

    for (size_t i = 0; i < n; i++) {
        unsigned keep = bits >= (i + 1) * 8 ? 8 : bits <= i * 8 ? 0 : bits - (unsigned)i * 8;
        network[i] = (unsigned char)(address[i] & (0xff00U >> keep));
    }
    if (inet_ntop(family, network, text, sizeof text) != NULL) {
        buf_addf(&one, family == AF_INET ? "%s/%u " : "[%s]/%u ", text, bits);
        if (str_search(buf_str(out), buf_str(&one)) < 0)
            buf_add(out, buf_str(&one));
    }
    buf_free(&one);
}

static void add_interface(const struct ifaddrs *i, const char *style, struct buf *out)
{
    if (i->ifa_addr->sa_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)i->ifa_addr;
        const struct sockaddr_in *m = (const void *)i->ifa_netmask;
        const unsigned char *bytes = (const void *)&a->sin_addr;
        const void *mask = m == NULL ? NULL : &m->sin_addr;
        add_network(AF_INET, bytes, prefix_bits(style, bytes, mask, 4), out);
    } else {
        const struct sockaddr_in6 *a = (const void *)i->ifa_addr;
        const struct sockaddr_in6 *m = (const void *)i->ifa_netmask;
        const unsigned char *bytes = a->sin6_addr.s6_addr;
        const void *mask = m == NULL ? NULL : &m->sin6_addr;
        add_network(AF_INET6, bytes, prefix_bits(style, bytes, mask, 16), out);
    }
}

void conf_host_networks(const char *style, bool want_ipv4, bool want_ipv6, struct buf *out)
{
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0)
        return;
    for (int pass = 0; pass < 2; pass++) {
        int family = pass == 0 ? AF_INET : AF_INET6;
        if (!(pass == 0 ? want_ipv4 : want_ipv6))
            continue;
        for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
            if (i->ifa_addr != NULL && i->ifa_addr->sa_family == family && i->ifa_flags & IFF_UP)
                add_interface(i, style, out);
    }
    freeifaddrs(all);
    buf_cut(out, str_rtrim(buf_str(out)).n);
}
