#include "base/str.h"
#include "mail/idna.h"

#include "test.h"

static const char *ascii(const char *domain)
{
    static char text[300];
    struct buf out = BUF(255);

    snprintf(text, sizeof text, "%s", idna_to_ascii(strz(domain), &out) ? out.p : "(none)");
    buf_free(&out);
    return text;
}

TEST(other_letters_get_their_ascii_form)
{
    static const struct {
        const char *domain, *ascii;
    } cases[] = {
        {"example.test", "example.test"},
        {"EX_ample.test.", "EX_ample.test."},
        {"bücher.test", "xn--bcher-kva.test"},
        {"BÜCHER.Test", "xn--bcher-kva.test"},
        {"bu\u0308cher.test", "xn--bcher-kva.test"},
        {"ｂ.test", "b.test"},
        {"日本語。test", "xn--wgv71a119e.test"},
        {"straße.test", "xn--strae-oqa.test"},
        {"-ä.test", "(none)"},
        {"a\u200db.test", "(none)"},
        {"\xff.test", "(none)"},
        {"\u202e.test", "(none)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(ascii(cases[i].domain), cases[i].ascii);
}

TEST(idna2003_is_had_on_demand)
{
    idna_set_2003(true);
    assert_string_equal(ascii("straße.test"), "strasse.test");
    idna_set_2003(false);
    assert_string_equal(ascii("straße.test"), "xn--strae-oqa.test");
}

TEST(what_is_too_long_has_none)
{
    struct buf domain = BUF(10000), out = BUF(10000);

    for (int i = 0; i < 70; i++)
        buf_addz(&domain, "ä");
    assert_false(idna_to_ascii(buf_str(&domain), &out)); /* a label */
    while (domain.n < 5000)
        buf_addz(&domain, "ä.");
    buf_clear(&out);
    assert_false(idna_to_ascii(buf_str(&domain), &out));
    struct buf small = BUF(5);
    assert_false(idna_to_ascii(STR("bücher.test"), &small));
    buf_free(&domain);
    buf_free(&out);
    buf_free(&small);
}

RUN_TESTS(T(other_letters_get_their_ascii_form), T(idna2003_is_had_on_demand),
          T(what_is_too_long_has_none))
