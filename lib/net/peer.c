#include "net/peer.h"

#include "base/msg.h"
#include "base/str.h"
#include "net/dns.h"
#include "net/sock.h"

void peer_init(struct peer *p)
{
    *p = (struct peer){.name = "unknown",
                       .reverse_name = "unknown",
                       .name_status = PEER_NAME_NONE,
                       .reverse_status = PEER_NAME_NONE};
    addr_text(&p->addr, p->addr_text);
}

void peer_set(struct peer *p, const struct addr *addr, const struct addr *local)
{
    peer_init(p);
    p->addr = *addr;
    p->local = *local;
    if (addr->family == AF_UNIX) {
        /* Somebody on this host: Postfix says the same of a client that is no socket. */
        p->name = p->reverse_name = "localhost";
        p->name_status = p->reverse_status = PEER_NAME_OK;
        snprintf(p->addr_text, sizeof p->addr_text, "127.0.0.1");
    } else {
        addr_text(addr, p->addr_text);
    }
}

bool peer_of(struct peer *p, int fd)
{
    struct addr addr, local;

    peer_init(p);
    if (!sock_remote(fd, &addr) || addr.family == 0)
        return false;
    sock_local(fd, &local);
    peer_set(p, &addr, &local);
    return true;
}

static enum peer_name status_of(enum dns_status s)
{
    return s == DNS_OK ? PEER_NAME_OK : s == DNS_FAILED ? PEER_NAME_FAILED : PEER_NAME_NONE;
}

static bool among(const struct dns_hosts *hosts, const struct addr *addr)
{
    for (size_t i = 0; i < hosts->n; i++)
        if (addr_same_host(&hosts->at[i].addr, addr))
            return true;
    return false;
}

/* The words of Postfix, whose resolver these errors come from: log watchers know them. */
static const char *const no_address[] = {
    [DNS_NO_NAME] = ": Name or service not known",
    [DNS_NO_DATA] = ": No address associated with hostname",
    [DNS_FAILED] = ": Temporary failure in name resolution",
    [DNS_OK] = "",
};

void peer_find_name(struct peer *p, struct arena *mem, int64_t deadline)
{
    struct dns_how how = {.native = true, .dns = true};
    struct dns_hosts hosts;
    struct addr ignored;
    const char *name;

    if (p->addr.family != AF_INET && p->addr.family != AF_INET6)
        return;
    p->reverse_status = p->name_status =
        status_of(dns_name_of(&p->addr, mem, deadline, &name, NULL));
    /* A name that looks like an address would fool whoever reads the log. */
    if (p->reverse_status == PEER_NAME_OK && addr_parse(strz(name), &ignored)) {
        msg_warn_each("numeric hostname: %s", name);
        p->reverse_status = p->name_status = PEER_NAME_NONE;
    }
    if (p->reverse_status != PEER_NAME_OK)
        return;
    p->reverse_name = name;
    how.families = p->addr.family == AF_INET ? DNS_INET : DNS_INET6;
    enum dns_status found = dns_addresses(name, &how, mem, deadline, &hosts, NULL);
    p->name_status = status_of(found);
    if (found == DNS_OK && !among(&hosts, &p->addr))
        p->name_status = PEER_NAME_NONE;
    if (p->name_status == PEER_NAME_OK)
        p->name = name;
    else
        msg_warn_each("hostname %s does not resolve to address %s%s", name, p->addr_text,
                      no_address[found]);
}
