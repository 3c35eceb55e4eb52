#include "net/endpoint.h"

#include <netdb.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "net/addr.h"
#include "net/dns.h"
#include "net/sock.h"

enum { PATH_BYTES = sizeof((struct sockaddr_un *)0)->sun_path - 1 };

/* The names that were found in /etc/services, which is not to be seen from the jail: what stands in
 * a table is read again there. No more than the configuration names, or the file has. */
static struct {
    VEC(struct known_port {
        char *name;
        in_port_t port;
    })
    ports;
} services;

static const struct known_port *find_service(const char *name)
{
    VEC_EACH (&services.ports, known)
        if (strcmp(known->name, name) == 0)
            return known;
    const struct servent *found = getservbyname(name, "tcp");
    if (found == NULL)
        return NULL;
    struct known_port *known = VEC_ADD(&services.ports);
    *known = (struct known_port){mem_dupz(name), ntohs((in_port_t)found->s_port)};
    return known;
}

static bool take_port(struct str name, in_port_t *port)
{
    if (port_parse(name, port))
        return *port != 0;
    char *text = mem_dup(name.p, name.n);
    const struct known_port *known = find_service(text);
    if (known != NULL)
        *port = known->port;
    free(text);
    return known != NULL;
}

static int take_inet(struct str at, struct endpoint *out, struct why *why)
{
    struct hostport hp = {.host = STR("localhost"), .port = at};

    if (str_starts(at, STR(":"))) /* ":port", as Postfix takes it */
        hp.port = str_from(at, 1);
    else if (str_find(at, ':') >= 0 && !hostport_parse(at, &hp))
        return why_set(why, "4.3.5", "\"%.*s\" is not host:port", (int)at.n, at.p);
    if (!take_port(hp.port, &out->port))
        return why_set(why, "4.3.5", "\"%.*s\": there is no port \"%.*s\"", (int)at.n, at.p,
                       (int)hp.port.n, hp.port.p);
    out->host = mem_dup(hp.host.p, hp.host.n);
    return 0;
}

static int take_unix(struct str path, struct endpoint *out, struct why *why)
{
    if (path.n == 0 || path.n > PATH_BYTES)
        return why_set(why, "4.3.5", "the path of a socket has 1 to %d bytes: \"%.*s\"", PATH_BYTES,
                       (int)path.n, path.p);
    out->path = mem_dup(path.p, path.n);
    return 0;
}

int endpoint_parse(struct str text, bool bare, struct endpoint *out, struct why *why)
{
    *out = (struct endpoint){0};
    if (str_starts(text, STR("inet:")))
        return take_inet(str_from(text, 5), out, why);
    if (str_starts(text, STR("unix:")))
        return take_unix(str_from(text, 5), out, why);
    if (bare)
        return take_inet(text, out, why);
    if (str_starts(text, STR("local:")))
        return take_unix(str_from(text, 6), out, why);
    return why_set(why, "4.3.5", "inet:host:port or unix:path is wanted, not \"%.*s\"", (int)text.n,
                   text.p);
}

int endpoint_connect(const struct endpoint *e, unsigned families, int64_t deadline_ms,
                     struct why *why)
{
    return e->path != NULL ? sock_connect_unix(e->path, deadline_ms, why)
                           : dns_connect(e->host, e->port, families, deadline_ms, why);
}

void endpoint_free(struct endpoint *e)
{
    free(e->host);
    free(e->path);
    *e = (struct endpoint){0};
}
