/* parse, print, parse gives the same. */
#include <stdlib.h>

#include "base/str.h"
#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str s = {(const char *)p, n};
    char text[ADDR_TEXT];
    struct addr a, b;
    struct prefix prefix;
    struct hostport host;
    in_port_t port;

    if (addr_parse(s, &a) &&
        (!addr_parse(strz(addr_text(&a, text)), &b) || !addr_same_host(&a, &b)))
        abort();
    if (addr_parse_literal(s, &a) &&
        (!addr_parse_literal(strz(addr_literal(&a, text)), &b) || !addr_same_host(&a, &b)))
        abort();
    if (prefix_parse(s, &prefix, NULL) == 0 && !prefix_has(&prefix, &prefix.addr))
        abort();
    if (hostport_parse(s, &host) && (host.host.n == 0 || host.host.n + host.port.n > n))
        abort();
    port_parse(s, &port);
    return 0;
}
