#include "mail/esmtp_xattr.h"

#include "base/num.h"
#include "base/str.h"
#include "mail/domain.h"
#include "mail/esmtp_cmd.h"

enum {
    FOR_XCLIENT = 1,
    FOR_XFORWARD = 2,
    FOR_BOTH = FOR_XCLIENT | FOR_XFORWARD,
    PROTO_MOST = 64,
};

typedef bool syntax_fn(enum esmtp_xcommand command, struct esmtp_xvalue *v);
static syntax_fn is_name, is_addr, is_port, is_proto, is_text, is_source;

static const struct {
    const char *name;
    unsigned commands;
    syntax_fn *good;
} attrs[X_COUNT] = {
    [X_NAME] = {"NAME", FOR_BOTH, is_name},
    [X_ADDR] = {"ADDR", FOR_BOTH, is_addr},
    [X_PORT] = {"PORT", FOR_BOTH, is_port},
    [X_PROTO] = {"PROTO", FOR_BOTH, is_proto},
    [X_HELO] = {"HELO", FOR_BOTH, is_text},
    [X_REVERSE_NAME] = {"REVERSE_NAME", FOR_XCLIENT, is_name},
    [X_LOGIN] = {"LOGIN", FOR_XCLIENT, is_text},
    [X_DESTADDR] = {"DESTADDR", FOR_XCLIENT, is_addr},
    [X_DESTPORT] = {"DESTPORT", FOR_XCLIENT, is_port},
    [X_IDENT] = {"IDENT", FOR_XFORWARD, is_text},
    [X_SOURCE] = {"SOURCE", FOR_XFORWARD, is_source},
};

static bool is_name(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    (void)command;
    return domain_valid(strz(v->text));
}

/* Without the tag that IPv6 addresses have. */
static bool is_addr(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    struct str text = strz(v->text);

    (void)command;
    if (!str_istarts(text, STR("IPV6:")))
        return domain_is_ipv4(text);
    text = str_from(text, 5);
    if (!domain_is_ipv6(text))
        return false;
    memmove(v->text, text.p, text.n + 1);
    return true;
}

static bool is_port(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    uint32_t port;

    (void)command;
    if (!num_parse_u32(strz(v->text), 0, 65535, &port))
        return false;
    snprintf(v->text, sizeof v->text, "%u", (unsigned)port);
    return true;
}

static bool is_proto(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    struct str text = strz(v->text);

    if (command == XFORWARD)
        return text.n <= PROTO_MOST;
    return str_ieqz(text, "SMTP") || str_ieqz(text, "ESMTP");
}

static bool is_text(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    (void)command;
    return v->text[0] != 0;
}

static bool is_source(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    (void)command;
    return str_ieqz(strz(v->text), "LOCAL") || str_ieqz(strz(v->text), "REMOTE");
}

/* What has a meaning in header fields and logs is made harmless. Login names are compared with
 * tables, so they stay as they are. */
static void make_harmless(struct esmtp_xvalue *v)
{
    for (char *p = v->text; *p; p++)
        if (*p < ' ' || *p >= 127)
            *p = '?';
    esmtp_make_harmless(v->text);
}

static bool is_word(const struct esmtp_xvalue *v, const char *word)
{
    return str_ieqz(strz(v->text), word);
}

static bool may_be_later(enum esmtp_xcommand command, enum esmtp_xattr attr)
{
    return command == XCLIENT && (attr == X_NAME || attr == X_REVERSE_NAME);
}

static bool good_value(enum esmtp_xcommand command, struct esmtp_xvalue *v)
{
    bool must_be_known = command == XCLIENT && v->attr == X_PROTO;

    v->state = X_KNOWN;
    if (is_word(v, "[UNAVAILABLE]") && !must_be_known)
        v->state = X_UNAVAILABLE;
    else if (is_word(v, "[TEMPUNAVAIL]") && may_be_later(command, v->attr))
        v->state = X_TEMPUNAVAIL;
    if (v->state != X_KNOWN)
        return true;
    if (command == XFORWARD || v->attr == X_HELO)
        make_harmless(v);
    return attrs[v->attr].good(command, v);
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ') || c == 127;
}

static void decode(struct str value, struct esmtp_xvalue *v)
{
    struct buf plain = BUF(X_VALUE_MOST);

    if (!xtext_decode(value, &plain) || !buf_ok(&plain)) {
        buf_clear(&plain);
        for (size_t i = 0; i < value.n; i++) /* as xtext_decode does */
            buf_addc(&plain, is_control(value.p[i]) ? '?' : value.p[i]);
    }
    snprintf(v->text, sizeof v->text, "%s", buf_ok(&plain) ? plain.p : "");
    buf_free(&plain);
}

int esmtp_xattr_next(enum esmtp_xcommand command, struct str *rest, struct esmtp_xvalue *out,
                     struct buf *complaint)
{
    const char *verb = command == XCLIENT ? "XCLIENT" : "XFORWARD";
    struct str word, value;
    int attr = 0;

    if (!str_word(rest, " \t", &word))
        return 0;
    ptrdiff_t eq = str_find(word, '=');
    value = str_from(word, (size_t)eq + 1);
    if (eq < 0 || value.n == 0) {
        buf_setz(complaint, "Error: attribute=value expected");
        return -1;
    }
    if (value.n > X_VALUE_MOST) {
        buf_setz(complaint, "Error: attribute value too long");
        return -1;
    }
    word = str_upto(word, (size_t)eq);
    while (attr < X_COUNT &&
           !(str_ieqz(word, attrs[attr].name) && (attrs[attr].commands & (1u << command)) != 0))
        attr++;
    buf_clear(complaint);
    if (attr == X_COUNT) {
        buf_addf(complaint, "Bad %s attribute name: %.*s", verb, (int)word.n, word.p);
        return -1;
    }
    out->attr = (enum esmtp_xattr)attr;
    decode(value, out);
    if (good_value(command, out))
        return 1;
    buf_addf(complaint, "Bad %s syntax: %s", attrs[attr].name, out->text);
    return -1;
}

const char *esmtp_xattr_keyword(enum esmtp_xcommand command)
{
    return command == XCLIENT
               ? "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"
               : "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT";
}

unsigned esmtp_xattr_mask(struct str names)
{
    unsigned mask = 0;
    struct str word;

    while (str_word(&names, " \t", &word))
        for (int i = 0; i < X_COUNT; i++)
            if (str_ieqz(word, attrs[i].name))
                mask |= X_BIT(i);
    return mask;
}

void esmtp_xattr_put(enum esmtp_xattr attr, const char *value, struct buf *out)
{
    buf_addf(out, " %s=", attrs[attr].name);
    if (value == NULL || value[0] == 0)
        buf_addz(out, "[UNAVAILABLE]");
    else
        xtext_encode(strz(value), out);
}
