#include "route/transport.h"

#include "base/str.h"
#include "dict/addr_find.h"

static void apply(struct str entry, const char *domain, struct buf *transport, struct buf *nexthop)
{
    ptrdiff_t colon = str_find(entry, ':');
    struct str name = colon < 0 ? entry : str_upto(entry, (size_t)colon);
    struct str hop = colon < 0 ? STR("") : str_from(entry, (size_t)colon + 1);

    if (name.n > 0) {
        buf_set(transport, name);
        if (str_eqz(name, "error") || str_eqz(name, "retry"))
            buf_setz(nexthop, "Address is undeliverable");
        else
            buf_setz(nexthop, domain);
    }
    if (hop.n > 0)
        buf_set(nexthop, hop);
}

enum dict_answer transport_find(struct maps *m, const char *recipient, const char *domain,
                                struct buf *transport, struct buf *nexthop, struct why *why)
{
    unsigned parts = ADDR_FULL | ADDR_NOEXT | ADDR_DOMAIN |
                     (parent_matches("transport_maps") ? ADDR_PARENTS : ADDR_DOT_PARENTS);
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = addr_find(m, recipient, parts, NULL, &value, NULL, why);

    if (answer == DICT_NONE)
        answer = maps_find_part(m, "*", &value, why);
    if (answer == DICT_FOUND)
        apply(buf_str(&value), domain, transport, nexthop);
    buf_free(&value);
    return answer;
}
