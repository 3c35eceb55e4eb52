#include "route/nexthop.h"

#include "base/str.h"
#include "mail/domain.h"
#include "net/addr.h"

static int nexthop_bad(struct why *why, struct str text, const char *what, struct str part)
{
    return why_set(why, "4.3.5", "\"%.*s\" is no next hop: %s \"%.*s\"", (int)text.n, text.p, what,
                   (int)part.n, part.p);
}

int nexthop_parse(struct str text, bool lmtp, struct nexthop *out, struct why *why)
{
    struct str all = text;
    struct hostport hp;

    *out = (struct nexthop){0};
    if (lmtp && str_istarts(text, STR("unix:"))) {
        out->is_unix = true;
        out->host = str_from(text, 5);
        return out->host.n > 0 ? 0 : nexthop_bad(why, all, "no path in", text);
    }
    if (lmtp && str_istarts(text, STR("inet:")))
        text = str_from(text, 5);
    if (!hostport_parse(text, &hp))
        return nexthop_bad(why, all, "[host]:port, [host], host:port or host is wanted, not", text);
    if (hp.port.n > 0 && !port_parse(hp.port, &out->port))
        return nexthop_bad(why, all, "there is no port", hp.port);
    if (hp.port.n > 0 && out->port == 0)
        return nexthop_bad(why, all, "nobody listens on port", hp.port);
    if (str_istarts(hp.host, STR("ipv6:"))) /* "[ipv6:::1]", as in address literals */
        hp.host = str_from(hp.host, 5);
    out->host = hp.host;
    out->bracketed = hp.bracketed;
    return 0;
}

int nexthop_check(struct str list, bool lmtp, struct why *why)
{
    struct nexthop hop;
    struct addr addr;
    struct str one;

    while (str_word(&list, ", \t\r\n", &one)) {
        if (nexthop_parse(one, lmtp, &hop, why) < 0)
            return -1;
        if (!hop.is_unix && !domain_valid(hop.host) && !addr_parse(hop.host, &addr))
            return nexthop_bad(why, one, "neither an address nor a host name is", hop.host);
    }
    return 0;
}
