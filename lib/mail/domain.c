#include "mail/domain.h"

#include <arpa/inet.h>

#include "base/str.h"

static bool label_valid(struct str label, bool *all_digits)
{
    if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit)
            *all_digits = false;
        if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '_')
            return false;
    }
    return true;
}

bool domain_valid(struct str name)
{
    bool all_digits = true;
    struct str label;

    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > 255 || name.p[name.n - 1] == '.')
        return false;
    while (str_split(&name, '.', &label))
        if (!label_valid(label, &all_digits))
            return false;
    return !all_digits;
}

bool domain_is_fqdn(struct str name)
{
    ptrdiff_t dot = str_find(name, '.');
    return domain_valid(name) && dot > 0 && (size_t)dot + 1 < name.n;
}

static bool is_address(int family, struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr out;

    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n) != NULL)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    return inet_pton(family, copy, &out) == 1;
}

bool domain_is_ipv4(struct str text)
{
    return is_address(AF_INET, text);
}

bool domain_is_ipv6(struct str text)
{
    return is_address(AF_INET6, text);
}

bool domain_is_literal(struct str name, struct str *address)
{
    if (name.n < 3 || name.p[0] != '[' || name.p[name.n - 1] != ']')
        return false;
    struct str inside = str_part(name, 1, name.n - 2);
    bool ipv6 = str_istarts(inside, STR("IPv6:"));
    if (ipv6)
        inside = str_from(inside, 5);
    if (address != NULL)
        *address = inside;
    return ipv6 ? domain_is_ipv6(inside) : domain_is_ipv4(inside);
}
