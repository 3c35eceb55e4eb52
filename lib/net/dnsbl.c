#include "net/dnsbl.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "mail/domain.h"

static void add_range(uint64_t set[4], uint32_t low, uint32_t high)
{
    for (uint32_t n = low; n <= high; n++)
        set[n / 64] |= (uint64_t)1 << n % 64;
}

/* "7" or "2..11" */
static bool read_range(struct str text, uint64_t set[4])
{
    ptrdiff_t dots = str_search(text, STR(".."));
    struct str from = dots < 0 ? text : str_upto(text, (size_t)dots);
    struct str to = dots < 0 ? text : str_from(text, (size_t)dots + 2);
    uint32_t low, high;

    if (!num_parse_u32(from, 0, 255, &low) || !num_parse_u32(to, low, 255, &high))
        return false;
    add_range(set, low, high);
    return true;
}

/* Takes one number or pattern in brackets off the text. */
static bool take_octet(struct str *text, uint64_t set[4])
{
    struct str word, part;

    if (text->n == 0 || text->p[0] != '[') {
        ptrdiff_t dot = str_find(*text, '.');
        word = dot < 0 ? *text : str_upto(*text, (size_t)dot);
        *text = str_from(*text, word.n);
        return str_search(word, STR("..")) < 0 && read_range(word, set);
    }
    ptrdiff_t end = str_find(*text, ']');
    if (end < 0)
        return false;
    word = str_upto(str_from(*text, 1), (size_t)end - 1);
    *text = str_from(*text, (size_t)end + 1);
    if (word.n == 0 || word.p[word.n - 1] == ';')
        return false;
    while (str_split(&word, ';', &part))
        if (!read_range(part, set))
            return false;
    return true;
}

static bool read_pattern(struct str text, uint64_t octets[4][4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0 && !str_starts(text, STR(".")))
            return false;
        text = str_from(text, i > 0);
        if (!take_octet(&text, octets[i]))
            return false;
    }
    return text.n == 0;
}

int dnsbl_parse(struct str text, struct dnsbl *out, struct why *why)
{
    ptrdiff_t equals = str_find(text, '=');
    struct str domain = equals < 0 ? text : str_upto(text, (size_t)equals);

    *out = (struct dnsbl){.any = equals < 0};
    if (!domain_valid(domain))
        return why_set(why, "4.3.5", "\"%.*s\" is no domain", (int)domain.n, domain.p);
    if (equals >= 0 && !read_pattern(str_from(text, (size_t)equals + 1), out->octets))
        return why_set(why, "4.3.5",
                       "\"%.*s\": behind \"=\" four numbers from 0 to 255 with dots between them "
                       "are wanted, or patterns such as [2..11] or [2;4..7] in their place",
                       (int)text.n, text.p);
    if (domain.p[domain.n - 1] == '.')
        domain.n--;
    out->domain = mem_dup(domain.p, domain.n);
    return 0;
}

void dnsbl_free(struct dnsbl *d)
{
    free(d->domain);
    d->domain = NULL;
}

bool dnsbl_counts(const struct dnsbl *d, const struct addr *answer)
{
    if (answer->family != AF_INET)
        return false;
    for (int i = 0; i < 4 && !d->any; i++)
        if ((d->octets[i][answer->ip[i] / 64] >> answer->ip[i] % 64 & 1) == 0)
            return false;
    return true;
}

bool dnsbl_name_of_addr(const struct dnsbl *d, const struct addr *a, struct buf *name)
{
    size_t before = name->n;

    if (a->family != AF_INET && a->family != AF_INET6)
        return false;
    addr_reverse(a, d->domain, name);
    return domain_valid(str_from(buf_str(name), before));
}

static bool is_number(struct str label)
{
    for (size_t i = 0; i < label.n; i++)
        if (label.p[i] < '0' || label.p[i] > '9')
            return false;
    return label.n > 0;
}

bool dnsbl_name_of_domain(const struct dnsbl *d, struct str domain, struct buf *name)
{
    size_t before = name->n;

    if (domain.n > 0 && domain.p[domain.n - 1] == '.')
        domain.n--;
    struct str last = str_from(domain, (size_t)(str_rfind(domain, '.') + 1));
    if (!domain_valid(domain) || is_number(last))
        return false;
    buf_add(name, domain);
    buf_addc(name, '.');
    buf_addz(name, d->domain);
    return domain_valid(str_from(buf_str(name), before));
}
