/*
 * pop3_uidl_format. What each case gives is what Dovecot 2.3 gave: t/compat/test_pop3_dovecot.py
 * asks it.
 */
#include "base/str.h"
#include "mail/pop3_uidl.h"

#include "test.h"

static const struct pop3_uidl message = {2, 1700000000, {"1700000001.M1P1.host", 20}};

TEST(a_unique_id_is_the_one_that_dovecot_makes)
{
    static const struct {
        const char *format, *uidl;
    } cases[] = {
        {"%08Xu%08Xv", "000000026553f100"},
        {"%v.%u", "1700000000.2"},
        {"%g", "1700000001.M1P1.host"},
        {"%f", "1700000001.M1P1.host"},
        {"%Mf", "eb6321585bfba6c4a564dcacae365d5c"},
        {"%Mg", "eb6321585bfba6c4a564dcacae365d5c"},
        {"%10u", "2"},
        {"%010u", "0000000002"},
        {"%002u", "02"},
        {"%8Xu", "2"},
        {"%u-%3v", "2-170"},
        {"%u-%-5v", "2-17000"},
        {"%u-%5.3v", "2-000"},
        {"%5.0f", "00001.M1P1.host"},
        {"%-5.3f", ".ho"},
        {"%20f", "1700000001.M1P1.host"},
        {"%10Mf", "eb6321585b"},
        {"%040Mf", "00000000eb6321585bfba6c4a564dcacae365d5c"},
        {"%Rf", "tsoh.1P1M.1000000071"},
        {"%Uf", "1700000001.M1P1.HOST"},
        {"%LXv%u", "6553f1002"},
        {"%XUv%u", "6553F1002"},
        {"%UXv%u", "6553f1002"},
        {"%MXu", "0"},
        {"%XMf", "cfcd208495d565ef66e7dff9f98764da"},
        {"x%%y%u", "x%y2"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(300);
        assert_null(pop3_uidl_check(cases[i].format));
        assert_true(pop3_uidl_put(cases[i].format, &message, &out));
        assert_string_equal(out.p, cases[i].uidl);
        buf_free(&out);
    }
}

TEST(a_format_that_gives_no_unique_id_is_refused)
{
    static const char *const bad[] = {
        "",      "x",       "%v",      "%",     "%u%", "%M",   "%m",     "%x",
        "%{uid", "%{guid}", "%4.16Nf", "%201u", "% u", "%u x", "%u\xe4", "%LLLLLLLLLLLu"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pop3_uidl_check(bad[i]) == NULL)
            fail_msg("taken: %s", bad[i]);
}

TEST(an_id_that_does_not_fit_is_no_id)
{
    struct buf out = BUF(10);

    assert_false(pop3_uidl_put("%f", &message, &out));
    buf_free(&out);
}

RUN_TESTS(T(a_unique_id_is_the_one_that_dovecot_makes),
          T(a_format_that_gives_no_unique_id_is_refused), T(an_id_that_does_not_fit_is_no_id))
