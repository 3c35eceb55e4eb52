/*
 * The address of MAIL and RCPT: taken only if mail could ever be sent to it. What nobody can
 * deliver is refused here, so that no bounce about it goes to a sender who may be forged.
 */
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"
#include "mail/path.h"
#include "route/resolve.h"
#include "route/rewrite.h"
#include "route/verify_sender.h"

#include "smtpd.h"

bool smtpd_asks_utf8(const struct smtpd *s, struct str args)
{
    struct str word;

    while (conf.smtputf8_enable && (s->hidden & ESMTP_SMTPUTF8) == 0 &&
           str_word(&args, " \t", &word))
        if (str_ieqz(word, "SMTPUTF8"))
            return true;
    return false;
}

/* RFC 6531 3.3. As Postfix, a local part in UTF-8 is taken from others, too, as it always was. */
static bool is_valid(const char *address, bool utf8)
{
    struct buf full = BUF(8192);

    if (!utf8 && !utf8_is_ascii(path_domain(strz(address))))
        return false;

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

/* strict_smtputf8 */
static bool may_be_utf8(struct smtpd *s, const char *address, bool asked)
{
    if (asked || !conf.smtputf8_enable || !conf.strict_smtputf8 || utf8_is_ascii(strz(address)))
        return true;
    smtpd_reply(s, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
    return false;
}

bool smtpd_take_path(struct smtpd *s, struct str *args, unsigned flags, struct arena *mem,
                     const struct smtpd_bad_path *bad, const char **address)
{
    bool utf8 = (flags & PATH_UTF8) != 0;

    struct buf internal = BUF(args->n); /* it is never longer than what was sent */
    struct str text = str_trim(*args);

    if (!conf.strict_rfc821_envelopes)
        flags |= PATH_BARE;
    bool good = path_parse(args, flags | PATH_UTF8, &internal) && buf_ok(&internal) &&
                is_valid(internal.p, utf8);
    if (good) {
        *address = arena_strz(mem, buf_str(&internal));
        good = may_be_utf8(s, internal.p, utf8);
    } else {
        text = (flags & PATH_WHOLE) != 0 ? text : first_path(text);
        msg_warn_each("Illegal address syntax from %s in %s command: %.*s", s->namaddr, s->where,
                      (int)text.n, text.p);
        smtpd_reply(s, 501, bad->dsn, "%s", bad->text);
    }
    buf_free(&internal);
    return good;
}

bool smtpd_is_always_taken(const char *address)
{
    return verify_sender_is(address) || strcasecmp(address, "postmaster") == 0; /* RFC 5321 4.5.1 */
}
