/*
 * The address of MAIL and RCPT: taken only if mail could ever be sent to it. What nobody can
 * deliver is refused here, so that no bounce about it goes to a sender who may be forged.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "route/resolve.h"
#include "route/rewrite.h"
#include "route/verify_sender.h"

#include "smtpd.h"

static bool is_valid(const char *address)
{
    struct buf full = BUF(8192);

    rewrite_address(REWRITE_LOCAL, address, &full);
    bool valid = *address == 0 || (buf_ok(&full) && resolve_is_valid(full.p));
    buf_free(&full);
    return valid;
}

/* Where the path ends, if it is one. */
static struct str first_path(struct str args)
{
    bool angle = args.n > 0 && args.p[0] == '<';
    ptrdiff_t end = str_find(args, angle ? '>' : ' ');

    return end < 0 ? args : str_upto(args, (size_t)end + angle);
}

bool smtpd_take_path(struct smtpd *s, struct str *args, unsigned flags, struct arena *mem,
                     const char **address)
{
    struct buf internal = BUF(args->n); /* it is never longer than what was sent */
    struct str text = str_trim(*args);

    if (!conf.strict_rfc821_envelopes)
        flags |= PATH_BARE;
    bool good = path_parse(args, flags, &internal) && buf_ok(&internal) && is_valid(internal.p);
    if (good) {
        *address = arena_strz(mem, buf_str(&internal));
    } else {
        text = first_path(text);
        msg_warn_each("Illegal address syntax from %s in %s command: %.*s", s->namaddr, s->where,
                      (int)text.n, text.p);
    }
    buf_free(&internal);
    return good;
}

bool smtpd_is_always_taken(const char *address)
{
    return verify_sender_is(address) || strcasecmp(address, "postmaster") == 0; /* RFC 5321 4.5.1 */
}
