#include "mail/received.h"

#include <string.h>

#include "mail/date.h"

static bool given(const char *s)
{
    return s != NULL && s[0] != 0;
}

/* Values of strangers must not forge the structure: no blanks, parentheses stay as they are in an
 * atom or literal only. */
static void add_clean(struct buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        buf_addc(out, c <= ' ' || c == 127 || strchr("()<>;\\\"", c) != NULL ? '?' : *s);
    }
}

void received_before(const struct received *r, struct buf *out)
{
    if (r->hidden) {
        buf_addf(out, "by %s (%s) ", r->host, r->mail_name);
    } else if (given(r->client_addr)) {
        bool ipv6 = strchr(r->client_addr, ':') != NULL;
        buf_addz(out, "from ");
        add_clean(out, given(r->helo) ? r->helo : r->client_name);
        buf_addf(out, " (%s [%s%s])", r->client_name, ipv6 ? "IPv6:" : "", r->client_addr);
        if (given(r->tls))
            buf_addf(out, "\n\t(using %s)", r->tls);
        if (given(r->login)) {
            buf_addz(out, "\n\t(Authenticated sender: ");
            add_clean(out, r->login);
            buf_addc(out, ')');
        }
        buf_addf(out, "\n\tby %s (%s) with %s ", r->host, r->mail_name, r->protocol);
    } else {
        buf_addf(out, "by %s (%s, from userid %ld)\n\t", r->host, r->mail_name, r->uid);
    }
}

void received_after(const struct received *r, struct buf *out)
{
    if (given(r->rcpt))
        buf_addf(out, "\n\tfor <%s>", r->rcpt);
    if (r->has_priority)
        buf_addf(out, " PRIORITY %d", r->priority);
    bool long_line = !given(r->rcpt) && given(r->client_addr) && !r->hidden;
    buf_addz(out, long_line ? ";\n\t" : "; ");
    date_format_local(r->wall, out);
}
