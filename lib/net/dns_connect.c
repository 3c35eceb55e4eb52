/*
 * A connection to a service that is named by its host.
 */
#include "base/arena.h"
#include "base/str.h"
#include "net/dns.h"
#include "net/sock.h"
#include "task/task.h"

enum { ADDRESSES_MOST = 10 };

unsigned dns_families(const char *protocols)
{
    bool all = str_listed(protocols, "all");

    return (all || str_listed(protocols, "ipv4") ? DNS_INET : 0u) |
           (all || str_listed(protocols, "ipv6") ? DNS_INET6 : 0u);
}

/* An address that never answers leaves the same time to each of those behind it. */
static int64_t share(int64_t deadline, size_t addresses)
{
    int64_t left = deadline - task_now();

    return deadline == 0 || left <= 0 ? deadline : task_now() + left / (int64_t)addresses;
}

int dns_connect(const char *host, in_port_t port, unsigned families, int64_t deadline_ms,
                struct why *why)
{
    struct dns_how how = {.families = families,
                          .first = DNS_INET,
                          .native = true,
                          .dns = true,
                          .limit = ADDRESSES_MOST};
    struct arena *mem = arena_new(NULL);
    struct dns_hosts found = {0};
    int fd = -1;

    if (dns_addresses(host, &how, mem, deadline_ms, &found, why) == DNS_OK)
        for (size_t i = 0; i < found.n && fd < 0; i++) {
            found.at[i].addr.port = port;
            fd = sock_connect(&found.at[i].addr, NULL, share(deadline_ms, found.n - i), why);
        }
    arena_free(&mem);
    return fd;
}
