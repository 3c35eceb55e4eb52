/* Next hops: what smtp and lmtp understand, and what they refuse. */
#include "base/str.h"
#include "route/nexthop.h"

#include "test.h"

static const char *parsed(const char *text, bool lmtp)
{
    static char out[300];
    struct nexthop hop;
    struct why why = WHY;

    if (nexthop_parse(strz(text), lmtp, &hop, &why) < 0)
        snprintf(out, sizeof out, "%s", why.code);
    else
        snprintf(out, sizeof out, "%s%.*s %u%s", hop.is_unix ? "unix " : "", (int)hop.host.n,
                 hop.host.p, hop.port, hop.bracketed ? " no MX" : "");
    why_free(&why);
    return out;
}

TEST(the_forms_that_there_are)
{
    assert_string_equal(parsed("mail.test", false), "mail.test 0");
    assert_string_equal(parsed("mail.test:submission", false), "mail.test 587");
    assert_string_equal(parsed("[mail.test]", false), "mail.test 0 no MX");
    assert_string_equal(parsed("[10.0.0.1]:2525", false), "10.0.0.1 2525 no MX");
    assert_string_equal(parsed("[2001:db8::1]:25", false), "2001:db8::1 25 no MX");
    assert_string_equal(parsed("[ipv6:2001:db8::1]", false), "2001:db8::1 0 no MX");
    assert_string_equal(parsed("unix:private/dovecot-lmtp", true), "unix private/dovecot-lmtp 0");
    assert_string_equal(parsed("inet:mail.test:24", true), "mail.test 24");
    assert_string_equal(parsed("inet:mail.test", false), "4.3.5"); /* a port of this name */
}

/* Never 5.x.x: what the administrator has mistyped is no reason to return mail. */
TEST(what_is_mistyped_is_a_temporary_failure)
{
    static const char *const bad[] = {"[mail.test",
                                      "[mail.test]25",
                                      "[mail.test]:",
                                      "mail.test:",
                                      "mail.test:2x",
                                      "mail.test:70000",
                                      "mail.test:smpt",
                                      "mail.test:0",
                                      "a:b:c",
                                      "[]",
                                      ":25",
                                      "2001:db8::1"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (strcmp(parsed(bad[i], false), "4.3.5") != 0)
            fail_msg("%s is taken: %s", bad[i], parsed(bad[i], false));
    assert_string_equal(parsed("unix:", true), "4.3.5");
}

TEST(a_list_is_checked_to_its_end)
{
    struct why why = WHY;

    assert_int_equal(nexthop_check(strz("a.test, [b.test]:25 [1.2.3.4]"), false, &why), 0);
    assert_int_equal(nexthop_check(strz("[::1]:24 unix:/run/lmtp"), true, &why), 0);
    assert_int_equal(nexthop_check(strz("a.test b.test:2x"), false, &why), -1);
    assert_string_equal(why_text(&why), "\"b.test:2x\" is no next hop: there is no port \"2x\"");
    why_clear(&why);
    assert_int_equal(nexthop_check(strz("a.test b!test"), false, &why), -1);
    assert_string_equal(
        why_text(&why),
        "\"b!test\" is no next hop: neither an address nor a host name is \"b!test\"");
    why_free(&why);
}

RUN_TESTS(T(the_forms_that_there_are), T(what_is_mistyped_is_a_temporary_failure),
          T(a_list_is_checked_to_its_end))
