#include "route/rewrite.h"

#include "base/str.h"
#include "conf/conf.h"

bool rewrite_by_name(const char *name, enum rewrite *r)
{
    if (*name == 0 || strcmp(name, "local") == 0)
        *r = REWRITE_LOCAL;
    else if (strcmp(name, "remote") == 0)
        *r = REWRITE_REMOTE;
    else
        return false;
    return true;
}

bool rewrite_active(enum rewrite r)
{
    return r == REWRITE_LOCAL || *conf.remote_header_rewrite_domain != 0;
}

/* RFC 5321 4.1.2: Dot-string */
bool localpart_is_plain(struct str s)
{
    bool dot = true;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '.' ? dot : c <= ' ' || c == 127 || strchr("()<>[]:;@\\,\"", c) != NULL)
            return false;
        dot = c == '.';
    }
    return !dot;
}

/* "@a,@b:user@domain": RFC 5321 appendix C has source routes ignored. */
static struct str without_route(struct str s)
{
    ptrdiff_t colon = s.n > 0 && s.p[0] == '@' ? str_find(s, ':') : -1;

    return colon < 0 || (size_t)colon + 1 == s.n ? s : str_from(s, (size_t)colon + 1);
}

/* An address without "@": routed in an older way, or of a user here. What is quoted is not looked
 * into. */
static void complete(struct str s, const char *origin, struct buf *out)
{
    bool opaque = !localpart_is_plain(s);
    ptrdiff_t bang = conf.swap_bangpath && !opaque ? str_find(s, '!') : -1;
    ptrdiff_t percent = conf.allow_percent_hack && !opaque ? str_rfind(s, '%') : -1;

    if (bang >= 0) {
        buf_add(out, str_from(s, (size_t)bang + 1));
        buf_addc(out, '@');
        buf_add(out, str_upto(s, (size_t)bang));
    } else if (percent >= 0) {
        buf_add(out, str_upto(s, (size_t)percent));
        buf_addc(out, '@');
        buf_add(out, str_from(s, (size_t)percent + 1));
    } else {
        buf_add(out, s);
        if (conf.append_at_myorigin && *origin != 0)
            buf_addf(out, "@%s", origin);
    }
}

static void complete_domain(const char *parent, struct buf *address)
{
    ptrdiff_t at = str_rfind(buf_str(address), '@');
    struct str domain = at < 0 ? STR("") : str_from(buf_str(address), (size_t)at + 1);

    if (domain.n == 0 || domain.p[0] == '[' || str_find(domain, '.') >= 0)
        return;
    if (conf.append_dot_mydomain && *parent != 0)
        buf_addf(address, ".%s", parent);
}

/* One dot at the end; "a@b.." and "a@." are wrong and stay so, for the error message's sake. */
static void drop_last_dot(struct buf *address)
{
    size_t n = address->n;

    if (n > 1 && address->p[n - 1] == '.' && address->p[n - 2] != '.' && address->p[n - 2] != '@')
        buf_cut(address, n - 1);
}

void rewrite_address(enum rewrite r, const char *address, struct buf *out)
{
    const char *origin = r == REWRITE_LOCAL ? conf.myorigin : conf.remote_header_rewrite_domain;
    const char *domain = r == REWRITE_LOCAL ? conf.mydomain : conf.remote_header_rewrite_domain;
    struct buf one = BUF(out->max);
    struct str s = without_route(strz(address));

    if (s.n == 0 || str_eqz(s, "@"))
        return;
    if (str_find(s, '@') < 0)
        complete(s, origin, &one);
    else
        buf_add(&one, s);
    complete_domain(domain, &one);
    drop_last_dot(&one);
    if (buf_ok(&one))
        buf_add(out, buf_str(&one));
    else
        buf_spoil(out);
    buf_free(&one);
}
