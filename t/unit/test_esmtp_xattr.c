#include "base/str.h"
#include "mail/esmtp_xattr.h"

#include "test.h"

static int first(enum esmtp_xcommand command, const char *line, struct esmtp_xvalue *v,
                 struct buf *complaint)
{
    struct str rest = strz(line);

    return esmtp_xattr_next(command, &rest, v, complaint);
}

TEST(values_are_decoded_and_checked)
{
    static const struct {
        enum esmtp_xcommand command;
        const char *line;
        enum esmtp_xattr attr;
        enum esmtp_xstate state;
        const char *text;
    } good[] = {
        {XCLIENT, "NAME=a.test", X_NAME, X_KNOWN, "a.test"},
        {XCLIENT, "name=[tempunavail]", X_NAME, X_TEMPUNAVAIL, NULL},
        {XFORWARD, "ADDR=[UNAVAILABLE]", X_ADDR, X_UNAVAILABLE, NULL},
        {XCLIENT, "ADDR=192.0.2.1", X_ADDR, X_KNOWN, "192.0.2.1"},
        {XCLIENT, "ADDR=IPv6:2001:db8::1", X_ADDR, X_KNOWN, "2001:db8::1"},
        {XFORWARD, "PORT=0025", X_PORT, X_KNOWN, "25"},
        {XFORWARD, "PORT=+31", X_PORT, X_KNOWN, "1"},
        {XCLIENT, "PROTO=esmtp", X_PROTO, X_KNOWN, "esmtp"},
        {XFORWARD, "PROTO=a+20b", X_PROTO, X_KNOWN, "a?b"},
        {XCLIENT, "HELO=a(b+20+2B+3Dc", X_HELO, X_KNOWN, "a?b?+=c"},
        {XCLIENT, "HELO=[TEMPUNAVAIL]", X_HELO, X_KNOWN, "[TEMPUNAVAIL]"},
        {XCLIENT, "LOGIN=a@b", X_LOGIN, X_KNOWN, "a@b"},
        {XCLIENT, "LOGIN=a+0Ab", X_LOGIN, X_KNOWN, "a?b"},
        {XCLIENT, "LOGIN=a+\x13\x7f", X_LOGIN, X_KNOWN, "a+??"},
        {XFORWARD, "IDENT=x+zz", X_IDENT, X_KNOWN, "x+zz"},
        {XFORWARD, "SOURCE=local", X_SOURCE, X_KNOWN, "local"},
    };
    struct buf complaint = BUF_TEXT(1000);

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct esmtp_xvalue v;
        assert_int_equal(first(good[i].command, good[i].line, &v, &complaint), 1);
        assert_int_equal(v.attr, good[i].attr);
        assert_int_equal(v.state, good[i].state);
        if (good[i].text != NULL)
            assert_string_equal(v.text, good[i].text);
    }
    buf_free(&complaint);
}

TEST(what_is_wrong_is_told)
{
    static const struct {
        enum esmtp_xcommand command;
        const char *line, *complaint;
    } bad[] = {
        {XCLIENT, "NAME", "Error: attribute=value expected"},
        {XCLIENT, "NAME=", "Error: attribute=value expected"},
        {XCLIENT, "=x", "Bad XCLIENT attribute name: "},
        {XCLIENT, "IDENT=x", "Bad XCLIENT attribute name: IDENT"},
        {XFORWARD, "LOGIN=x", "Bad XFORWARD attribute name: LOGIN"},
        {XFORWARD, "NAME=[TEMPUNAVAIL]", "Bad NAME syntax: [TEMPUNAVAIL]"},
        {XCLIENT, "NAME=1.2.3.4", "Bad NAME syntax: 1.2.3.4"},
        {XFORWARD, "NAME=a+20b", "Bad NAME syntax: a?b"},
        {XCLIENT, "NAME=a+20b", "Bad NAME syntax: a b"},
        {XCLIENT, "ADDR=::1", "Bad ADDR syntax: ::1"},
        {XCLIENT, "ADDR=IPV6:1.2.3.4", "Bad ADDR syntax: IPV6:1.2.3.4"},
        {XCLIENT, "PORT=65536", "Bad PORT syntax: 65536"},
        {XCLIENT, "PROTO=LMTP", "Bad PROTO syntax: LMTP"},
        {XCLIENT, "PROTO=[UNAVAILABLE]", "Bad PROTO syntax: [UNAVAILABLE]"},
        {XFORWARD, "SOURCE=here", "Bad SOURCE syntax: here"},
    };
    struct buf complaint = BUF_TEXT(1000);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct esmtp_xvalue v;
        assert_int_equal(first(bad[i].command, bad[i].line, &v, &complaint), -1);
        assert_string_equal(complaint.p, bad[i].complaint);
    }
    buf_free(&complaint);
}

TEST(a_value_has_255_bytes_at_most)
{
    char line[400] = "HELO=";
    struct buf complaint = BUF_TEXT(1000);
    struct esmtp_xvalue v;

    memset(line + 5, 'a', 255);
    assert_int_equal(first(XCLIENT, line, &v, &complaint), 1);
    assert_int_equal(strlen(v.text), 255);
    line[260] = 'a';
    assert_int_equal(first(XCLIENT, line, &v, &complaint), -1);
    assert_string_equal(complaint.p, "Error: attribute value too long");
    buf_free(&complaint);
}

TEST(what_is_put_can_be_read)
{
    struct buf line = BUF(1000), complaint = BUF_TEXT(1000);
    struct esmtp_xvalue v;

    esmtp_xattr_put(X_HELO, "a b+c", &line);
    esmtp_xattr_put(X_NAME, NULL, &line);
    assert_string_equal(line.p, " HELO=a+20b+2Bc NAME=[UNAVAILABLE]");
    struct str rest = buf_str(&line);
    assert_int_equal(esmtp_xattr_next(XFORWARD, &rest, &v, &complaint), 1);
    assert_int_equal(esmtp_xattr_next(XFORWARD, &rest, &v, &complaint), 1);
    assert_int_equal(v.state, X_UNAVAILABLE);
    assert_int_equal(esmtp_xattr_next(XFORWARD, &rest, &v, &complaint), 0);
    assert_int_equal(esmtp_xattr_mask(STR("NAME addr FOO IDENT")),
                     X_BIT(X_NAME) | X_BIT(X_ADDR) | X_BIT(X_IDENT));
    buf_free(&line);
    buf_free(&complaint);
}

RUN_TESTS(T(values_are_decoded_and_checked), T(what_is_wrong_is_told),
          T(a_value_has_255_bytes_at_most), T(what_is_put_can_be_read))
