#include "base/str.h"
#include "mail/domain.h"

#include "test.h"

TEST(host_names)
{
    static const char *const good[] = {"a",       "example.com",  "1a.2b",
                                       "a-b.c_d", "example.com.", "3com.com"};
    static const char *const bad[] = {"",    ".",       "a..b",  "-a.b",  "a-.b",
                                      "a b", "1.2.3.4", "a.b..", "a/b.c", "\xc3\xa9.com"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(domain_valid(strz(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (domain_valid(strz(bad[i])))
            fail_msg("taken: %s", bad[i]);
    char label[70];
    memset(label, 'a', sizeof label);
    assert_true(domain_valid((struct str){label, 63}));
    assert_false(domain_valid((struct str){label, 64}));
    assert_true(domain_is_fqdn(STR("a.b")));
    assert_false(domain_is_fqdn(STR("localhost")));
    assert_false(domain_is_fqdn(STR("localhost.")));
}

TEST(address_literals)
{
    struct str inside;
    assert_true(domain_is_literal(STR("[192.0.2.1]"), &inside));
    assert_true(str_eqz(inside, "192.0.2.1"));
    assert_true(domain_is_literal(STR("[ipv6:2001:db8::1]"), &inside));
    assert_true(str_eqz(inside, "2001:db8::1"));
    assert_false(domain_is_literal(STR("[2001:db8::1]"), NULL));
    assert_false(domain_is_literal(STR("[192.0.2.999]"), NULL));
    assert_false(domain_is_literal(STR("192.0.2.1"), NULL));
    assert_false(domain_is_literal(STR("[]"), NULL));
}

RUN_TESTS(T(host_names), T(address_literals))
