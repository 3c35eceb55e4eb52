#include "base/str.h"
#include "net/dnsbl.h"

#include "test.h"

/* The last numbers of 127.0.0.x that count, as "2 3 10". */
static const char *counted(const char *entry)
{
    static char text[2000];
    struct buf out = BUF(sizeof text);
    struct why why = WHY;
    struct dnsbl d;

    if (dnsbl_parse(strz(entry), &d, &why) < 0) {
        assert_true(why_text(&why)[0] != 0);
        snprintf(text, sizeof text, "refused");
        why_free(&why);
        return text;
    }
    for (int i = 0; i < 256; i++) {
        struct addr a = {.family = AF_INET, .ip = {127, 0, 0, (unsigned char)i}};
        if (dnsbl_counts(&d, &a))
            buf_addf(&out, "%s%d", out.n > 0 ? " " : "", i);
    }
    snprintf(text, sizeof text, "%.*s", (int)out.n, out.p);
    buf_free(&out);
    dnsbl_free(&d);
    why_free(&why);
    return text;
}

TEST(a_pattern_says_which_answers_count)
{
    static const struct {
        const char *entry, *counted;
    } t[] = {
        {"l.test=127.0.0.2", "2"},
        {"l.test=127.0.0.[2..5]", "2 3 4 5"},
        {"l.test=127.0.0.[9;2..4;255]", "2 3 4 9 255"},
        {"l.test=[120..130].[0].[0;1].[7]", "7"},
        {"l.test=127.0.1.2", ""},
        {"l.test=[1;2].0.0.2", ""},
        {"l.test=127.0.0.[0..1]", "0 1"},
        {"l.test=", "refused"},
        {"l.test=127.0.0", "refused"},
        {"l.test=127.0.0.2.3", "refused"},
        {"l.test=127.0.0.256", "refused"},
        {"l.test=127.0.0.x", "refused"},
        {"l.test=127.0.0.-1", "refused"},
        {"l.test=127.0.0.2..5", "refused"},
        {"l.test=127.0.0.[5..2]", "refused"},
        {"l.test=127.0.0.[2", "refused"},
        {"l.test=127.0.0.[]", "refused"},
        {"l.test=127.0.0.[2;]", "refused"},
        {"l.test=127.0.0.[2..]", "refused"},
        {"l.test=127.0.0.[..2]", "refused"},
        {"l.test=127.0.0.2]", "refused"},
        {"l.test=127..0.2", "refused"},
        {"=127.0.0.2", "refused"},
        {"l..test", "refused"},
        {"", "refused"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_string_equal(counted(t[i].entry), t[i].counted);
}

TEST(without_a_pattern_all_ipv4_addresses_count)
{
    struct addr v4 = {.family = AF_INET, .ip = {1, 2, 3, 4}}, v6 = {.family = AF_INET6};
    struct why why = WHY;
    struct dnsbl d;

    assert_int_equal(dnsbl_parse(STR("l.test"), &d, &why), 0);
    assert_true(dnsbl_counts(&d, &v4));
    assert_false(dnsbl_counts(&d, &v6));
    dnsbl_free(&d);
    why_free(&why);
}

static const char *name_for(const char *entry, const char *about)
{
    static char text[600];
    struct buf name = BUF(600);
    struct why why = WHY;
    struct addr a;
    struct dnsbl d;

    assert_int_equal(dnsbl_parse(strz(entry), &d, &why), 0);
    bool asked = addr_parse(strz(about), &a) ? dnsbl_name_of_addr(&d, &a, &name)
                                             : dnsbl_name_of_domain(&d, strz(about), &name);
    snprintf(text, sizeof text, "%.*s", asked ? (int)name.n : 1, asked ? name.p : "-");
    buf_free(&name);
    dnsbl_free(&d);
    why_free(&why);
    return text;
}

TEST(the_name_to_ask_for)
{
    char longest[300];

    assert_string_equal(name_for("l.test", "192.0.2.1"), "1.2.0.192.l.test");
    assert_string_equal(name_for("l.test.=127.0.0.2", "192.0.2.1"), "1.2.0.192.l.test");
    assert_string_equal(name_for("l.test", "2001:db8::5"),
                        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.test");
    assert_string_equal(name_for("l.test", "a.example"), "a.example.l.test");
    assert_string_equal(name_for("l.test", "a.example."), "a.example.l.test");
    assert_string_equal(name_for("l.test", "[192.0.2.1]"), "-");
    assert_string_equal(name_for("l.test", "1.2.3"), "-");
    assert_string_equal(name_for("l.test", "a.1"), "-");
    assert_string_equal(name_for("l.test", ""), "-");
    assert_string_equal(name_for("l.test", "a b"), "-");
    for (size_t i = 0; i < 252; i++)
        longest[i] = i % 50 == 49 ? '.' : 'a';
    longest[252] = 0;
    assert_string_equal(name_for("l.test", longest), "-");
}

RUN_TESTS(T(a_pattern_says_which_answers_count), T(without_a_pattern_all_ipv4_addresses_count),
          T(the_name_to_ask_for))
