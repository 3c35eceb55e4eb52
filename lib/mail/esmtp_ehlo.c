#include "mail/esmtp_ehlo.h"

#include "base/num.h"
#include "base/str.h"
#include "mail/deliver_by.h"
#include "mail/esmtp_xattr.h"

static const struct {
    const char *name;
    enum esmtp_ext ext;
} extensions[] = {
    {"PIPELINING", ESMTP_PIPELINING}, /* RFC 2920 */
    {"SIZE", ESMTP_SIZE}, /* RFC 1870 */
    {"VRFY", ESMTP_VRFY},
    {"ETRN", ESMTP_ETRN}, /* RFC 1985 */
    {"STARTTLS", ESMTP_STARTTLS}, /* RFC 3207 */
    {"AUTH", ESMTP_AUTH}, /* RFC 4954 */
    {"ENHANCEDSTATUSCODES", ESMTP_ENHANCEDSTATUSCODES}, /* RFC 2034 */
    {"8BITMIME", ESMTP_8BITMIME}, /* RFC 6152 */
    {"DSN", ESMTP_DSN}, /* RFC 3461 */
    {"SMTPUTF8", ESMTP_SMTPUTF8}, /* RFC 6531 */
    {"CHUNKING", ESMTP_CHUNKING}, /* RFC 3030 */
    {"XCLIENT", ESMTP_XCLIENT},
    {"XFORWARD", ESMTP_XFORWARD},
    {"REQUIRETLS", ESMTP_REQUIRETLS}, /* RFC 8689 */
    {"LIMITS", ESMTP_LIMITS}, /* RFC 9422 */
    {"FUTURERELEASE", ESMTP_FUTURERELEASE}, /* RFC 4865 */
    {"MT-PRIORITY", ESMTP_MT_PRIORITY}, /* RFC 6710 */
    {"DELIVERBY", ESMTP_DELIVERBY}, /* RFC 2852 */
    {"silent-discard", ESMTP_SILENT},
};

unsigned esmtp_ext_by_name(struct str name)
{
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (str_ieqz(name, extensions[i].name))
            return extensions[i].ext;
    return 0;
}

unsigned esmtp_ext_mask(struct str list)
{
    unsigned mask = 0;
    struct str word;

    while (str_word(&list, ", \t\r\n", &word))
        mask |= esmtp_ext_by_name(word);
    return mask;
}

void esmtp_ext_print(unsigned mask, struct buf *line)
{
    if (mask == 0 || (mask & ESMTP_SILENT) != 0)
        return;
    buf_addz(line, "discarding EHLO keywords:");
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if ((mask & extensions[i].ext) != 0)
            buf_addf(line, " %s", extensions[i].name);
}

/* RFC 9422 4: what is not understood is passed over. */
static void read_limits(struct esmtp_ehlo *e, struct str list)
{
    enum { VALUE_MOST = 999999 };
    struct str word;

    while (str_word(&list, " \t", &word)) {
        ptrdiff_t eq = str_find(word, '=');
        struct str name = str_upto(word, eq < 0 ? word.n : (size_t)eq);
        uint32_t *to = str_ieqz(name, "RCPTMAX")   ? &e->rcpt_max
                       : str_ieqz(name, "MAILMAX") ? &e->mail_max
                                                   : NULL;
        if (to != NULL && eq > 0)
            num_parse_u32(str_from(word, (size_t)eq + 1), 1, VALUE_MOST, to);
    }
}

/* RFC 2852 2: "240", or with other options behind a comma. */
static void read_min_by(struct esmtp_ehlo *e, struct str options)
{
    struct str first;

    if (str_split(&options, ',', &first))
        num_parse_u32(str_trim(first), 0, DELIVER_BY_MOST, &e->min_by);
}

static void add_mechanisms(struct esmtp_ehlo *e, struct str list)
{
    struct str word;

    while (str_word(&list, " \t=", &word)) {
        size_t from = e->auth.n;
        if (from > 0)
            buf_addc(&e->auth, ' ');
        buf_add(&e->auth, word);
        for (size_t i = from; i < e->auth.n; i++)
            if (e->auth.p[i] >= 'a' && e->auth.p[i] <= 'z')
                e->auth.p[i] = (char)(e->auth.p[i] - 'a' + 'A');
    }
}

void esmtp_ehlo_line(struct esmtp_ehlo *e, struct str line)
{
    struct str word;

    /* "AUTH=LOGIN" is how servers before RFC 2554 said it, and some still do */
    if (!str_word(&line, " \t=", &word))
        return;
    unsigned ext = esmtp_ext_by_name(word);
    e->ext |= ext;
    if (ext == ESMTP_SIZE)
        num_parse_u64(str_trim(line), 0, INT64_MAX, &e->size);
    else if (ext == ESMTP_AUTH)
        add_mechanisms(e, line);
    else if (ext == ESMTP_LIMITS)
        read_limits(e, line);
    else if (ext == ESMTP_DELIVERBY)
        read_min_by(e, line);
    else if (ext == ESMTP_XFORWARD)
        e->xforward = esmtp_xattr_mask(line);
}

bool esmtp_ehlo_has_auth(const struct esmtp_ehlo *e, const char *mechanism)
{
    struct str rest = buf_str(&e->auth), word;

    while (str_word(&rest, " ", &word))
        if (str_ieqz(word, mechanism))
            return true;
    return false;
}

void esmtp_ehlo_clear(struct esmtp_ehlo *e)
{
    e->ext = 0;
    e->size = 0;
    e->rcpt_max = e->mail_max = 0;
    e->xforward = 0;
    e->min_by = 0;
    buf_clear(&e->auth);
}

void esmtp_ehlo_free(struct esmtp_ehlo *e)
{
    buf_free(&e->auth);
}
