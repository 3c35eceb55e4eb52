/*
 * cidr:, rules of IP networks. RFC 4632 3.1, RFC 4291 2.3
 */
#include <ctype.h>

#include "base/mem.h"
#include "base/str.h"
#include "dict/dict_types.h"
#include "dict/rules.h"
#include "net/addr.h"

struct cidr {
    struct dict dict;
    struct rules *rules;
};

static void *compile(struct str *rest, enum rules_place place __attribute__((unused)),
                     size_t *groups, struct why *why)
{
    struct prefix prefix;
    size_t n = 0;

    while (n < rest->n && !isspace((unsigned char)rest->p[n]))
        n++;
    if (prefix_parse(str_upto(*rest, n), &prefix, why) < 0)
        return NULL;
    *rest = str_from(*rest, n);
    *groups = 0;
    struct prefix *p = mem_new(sizeof *p);
    *p = prefix;
    return p;
}

static enum rules_answer match(void *pattern, const void *subject,
                               struct rules_hit *hit __attribute__((unused)),
                               struct why *why __attribute__((unused)))
{
    const struct prefix *prefix = pattern;
    const struct addr *addr = subject;

    if (prefix->addr.family != addr->family)
        return RULES_OTHER;
    return prefix_has(prefix, addr) ? RULES_YES : RULES_NO;
}

static const struct rules_kind kind = {"cidr", false, compile, match, free};

static void cidr_close(struct dict *d)
{
    rules_free(&((struct cidr *)d)->rules);
}

static struct dict *cidr_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                              unsigned flags, struct why *why)
{
    struct cidr *c = (struct cidr *)dict_new(&dict_cidr, sizeof *c);
    struct dict *d = &c->dict;

    c->rules = rules_open(d, &kind, arg, flags, why);
    if (c->rules == NULL)
        dict_close(&d);
    return d;
}

/* What is no address is in no network, not even in a negated one. */
static enum dict_answer cidr_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why)
{
    struct addr addr;

    if (!addr_parse_mapped(strz(key), &addr))
        return DICT_NONE;
    return rules_find(((struct cidr *)d)->rules, strz(key), &addr, value, why);
}

static void cidr_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    rules_values(((struct cidr *)d)->rules, fn, arg);
}

const struct dict_type dict_cidr = {
    .name = "cidr",
    .can = DICT_MATCHES | DICT_SURVIVES_JAIL,
    .suffix = "",
    .open = cidr_open,
    .find = cidr_find,
    .values = cidr_values,
    .close = cidr_close,
};
