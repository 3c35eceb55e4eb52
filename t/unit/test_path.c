#include "base/str.h"
#include "mail/path.h"

#include "test.h"

struct a_case {
    const char *text, *internal, *rest;
    unsigned flags;
};

TEST(paths_of_the_standard_are_read)
{
    static const struct a_case cases[] = {
        {"<userc@foo.org>", "userc@foo.org", "", 0},
        {"<>", "", "", PATH_NULL},
        {" <a@b> SIZE=3", "a@b", " SIZE=3", 0},
        {"<@hosta.int,@jkl.org:userc@d.bar.org>", "userc@d.bar.org", "", 0},
        {"<\"Joe Q.\"@x.org>", "Joe Q.@x.org", "", 0},
        {"<\"a\\\"b\\\\\"@x.org>", "a\"b\\@x.org", "", 0},
        {"<\"a@b\"@x.org>", "a@b@x.org", "", 0},
        {"<user@[192.0.2.1]>", "user@[192.0.2.1]", "", 0},
        {"<user@[IPv6:::1]>", "user@[IPv6:::1]", "", 0},
        {"<Postmaster>", "Postmaster", "", 0},
        {"alice@x.org BODY=7BIT", "alice@x.org", " BODY=7BIT", PATH_BARE},
        {"<a..b.@x.org>", "a..b.@x.org", "", 0},
        {"<a.\"b c\".d@x.org>", "a.b c.d@x.org", "", 0},
        {"<< a@x.org > > SIZE=3", "a@x.org", " SIZE=3", PATH_BARE},
        {"< >", "", "", PATH_BARE | PATH_NULL},
        {"<\"\">", "", "", PATH_NULL},
        {"<\"\"@x.org>", "@x.org", "", 0},
        {"<jos\xc3\xa9@x.org>", "jos\xc3\xa9@x.org", "", PATH_UTF8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str args = strz(cases[i].text);
        struct buf out = BUF(1000);
        assert_true(path_parse(&args, cases[i].flags, &out));
        assert_string_equal(out.p, cases[i].internal);
        assert_true(str_eqz(args, cases[i].rest));
        buf_free(&out);
    }
}

TEST(what_is_not_a_path_is_refused)
{
    static const char *const cases[] = {
        "",          "<>",         "<a@b",        "a@b>",           "a@b",          "<a b@c>",
        "<a@b>x",    "<a@>",       "<@b:>",       "<\"a@b>",        "<a@[1.2.3.4>", "<(c)a@b>",
        "<a@b@c>",   "<a,b@c>",    "<jos\xe9@x>", "<a\x01@b>",      "<\"a\rb\"@c>", "<a@b\n>",
        "<<a@b>>",   "<@a,@b>",    "<\"a@b\">",   "< a@b>",         "<a@b >",       "<\"\">",
        "<@c:\"\">", "<\"a\"b@c>", "<a\"b\"@c>",  "<\"a\"\"b\"@c>",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str args = strz(cases[i]);
        struct buf out = BUF(1000);
        if (path_parse(&args, 0, &out))
            fail_msg("taken: %s", cases[i]);
        buf_free(&out);
    }
}

TEST(lenience_has_its_bounds)
{
    static const char *const cases[] = {
        "\"\"", "<<a@b>", "<a@b>>", "< <a@b>", "<a @b>", "<a@ b>", "<a b@c>", "<>", "< >", "<<>>x",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str args = strz(cases[i]);
        struct buf out = BUF(1000);
        if (path_parse(&args, PATH_BARE, &out))
            fail_msg("taken: %s", cases[i]);
        buf_free(&out);
    }
}

TEST(quoting_and_its_inverse_agree)
{
    static const struct {
        const char *internal, *external;
    } cases[] = {
        {"a.b@c", "a.b@c"},         {"a b@c", "\"a b\"@c"},
        {"a..b@c", "\"a..b\"@c"},   {"a@b@c", "\"a@b\"@c"},
        {"a\"b@c", "\"a\\\"b\"@c"}, {"", ""},
        {"@c", "\"\"@c"},           {"a", "a"},
        {".a@c", "\".a\"@c"},       {"u+x@[1.2.3.4]", "u+x@[1.2.3.4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(1000), back = BUF(1000);
        path_quote(strz(cases[i].internal), &out);
        assert_string_equal(out.p, cases[i].external);
        assert_true(path_unquote(buf_str(&out), &back));
        assert_string_equal(back.p, cases[i].internal);
        buf_free(&out);
        buf_free(&back);
    }
}

RUN_TESTS(T(paths_of_the_standard_are_read), T(what_is_not_a_path_is_refused),
          T(lenience_has_its_bounds), T(quoting_and_its_inverse_agree))
