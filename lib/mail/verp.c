#include "mail/verp.h"

#include "base/str.h"

bool verp_delimiters_ok(struct str delimiters, const char *allowed)
{
    return delimiters.n == 2 && str_find(strz(allowed), delimiters.p[0]) >= 0 &&
           str_find(strz(allowed), delimiters.p[1]) >= 0;
}

static size_t end_of_localpart(struct str address)
{
    ptrdiff_t at = str_rfind(address, '@');

    return at < 0 ? address.n : (size_t)at;
}

void verp_sender(struct str sender, struct str rcpt, const char *delimiters, struct buf *out)
{
    size_t ours = end_of_localpart(sender), theirs = end_of_localpart(rcpt);

    buf_add(out, str_upto(sender, ours));
    buf_addc(out, delimiters[0]);
    buf_add(out, str_upto(rcpt, theirs));
    if (theirs < rcpt.n) {
        buf_addc(out, delimiters[1]);
        buf_add(out, str_from(rcpt, theirs + 1));
    }
    buf_add(out, str_from(sender, ours));
}
