#include "base/str.h"
#include "mail/esmtp_cmd.h"

#include "test.h"

TEST(verb_and_arguments_are_parted)
{
    static const struct {
        const char *line, *verb, *args;
    } cases[] = {{"MAIL FROM:<a@b>", "MAIL", "FROM:<a@b>"},
                 {"  quit  ", "quit", ""},
                 {"NOOP\tx  y ", "NOOP", "x  y"},
                 {"", "", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct esmtp_cmd cmd;
        esmtp_cmd_split(strz(cases[i].line), &cmd);
        assert_true(str_eqz(cmd.verb, cases[i].verb));
        assert_true(str_eqz(cmd.args, cases[i].args));
    }
}

TEST(blanks_around_the_colon_are_accepted)
{
    static const char *const good[] = {"FROM:<x>", "from: <x>", "From :<x>"};
    for (size_t i = 0; i < 3; i++) {
        struct str args = strz(good[i]);
        assert_true(esmtp_cmd_keyword(&args, "FROM"));
        assert_true(str_eqz(args, "<x>"));
    }
    struct str bad = STR("FROMAGE:<x>");
    assert_false(esmtp_cmd_keyword(&bad, "FROM"));
}

TEST(parameters_are_listed)
{
    struct str rest = STR(" SIZE=1000  SMTPUTF8 AUTH=<> x-y=a=b");
    struct esmtp_param p;
    assert_int_equal(esmtp_param_next(&rest, &p), 1);
    assert_true(str_eqz(p.name, "SIZE") && str_eqz(p.value, "1000"));
    assert_int_equal(esmtp_param_next(&rest, &p), 1);
    assert_true(str_eqz(p.name, "SMTPUTF8") && p.value.p == NULL);
    assert_int_equal(esmtp_param_next(&rest, &p), 1);
    assert_int_equal(esmtp_param_next(&rest, &p), 1);
    assert_true(str_eqz(p.value, "a=b"));
    assert_int_equal(esmtp_param_next(&rest, &p), 0);
    static const char *const bad[] = {"=x", "-a=1", "S\x01=1", "a_b=1"};
    for (size_t i = 0; i < 4; i++) {
        rest = strz(bad[i]);
        assert_int_equal(esmtp_param_next(&rest, &p), -1);
    }
}

TEST(xtext_goes_both_ways)
{
    struct buf out = BUF(100), back = BUF(100);
    xtext_encode(STR("a b+c=d@e\xc3"), &out);
    assert_string_equal(out.p, "a+20b+2Bc+3Dd@e+C3");
    assert_true(xtext_decode(buf_str(&out), &back));
    assert_string_equal(back.p, "a b+c=d@e\xc3");
    static const char *const bad[] = {"a+2", "a+zz", "+"};
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&back);
        assert_false(xtext_decode(strz(bad[i]), &back));
    }
    buf_clear(&back); /* what is only passed on need not be perfect */
    assert_true(xtext_decode(STR("SRS0=a=b+0A+00"), &back));
    assert_string_equal(back.p, "SRS0=a=b??");
    buf_free(&out);
    buf_free(&back);
}

TEST(utf8_addresses_are_escaped_and_back)
{
    static const char *const bad[] = {"a\\",          "a\\x",     "a\\x{",
                                      "a\\x{}",       "a\\x{zz}", "a\\x{d800}",
                                      "a\\x{110000}", "a\\x{A}",  "a\\x{0000000041}"};
    struct buf out = BUF(100), back = BUF(100);

    uxtext_encode(STR("jos\u00e9 +=\\@\U0001F600"), &out);
    assert_string_equal(out.p, "jos\\x{E9}\\x{20}\\x{2B}\\x{3D}\\x{5C}@\\x{1F600}");
    assert_true(uxtext_decode(buf_str(&out), &back));
    assert_string_equal(back.p, "jos\u00e9 +=\\@\U0001F600");
    buf_clear(&back);
    assert_true(uxtext_decode(STR("jos\u00e9+41"), &back)); /* as it is */
    assert_string_equal(back.p, "jos\u00e9+41");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&back);
        assert_false(uxtext_decode(strz(bad[i]), &back));
    }
    buf_free(&out);
    buf_free(&back);
}

TEST(names_of_clients_are_kept_whole_and_made_harmless)
{
    static const struct {
        const char *args, *name, *harmless;
    } cases[] = {
        {"client.test", "client.test", "client.test"},
        {"good.test  and\tmore", "good.test and more", "good.test?and?more"},
        {"a(b)<c>;\"d\\@e", "a(b)<c>;\"d\\@e", "a?b??c???d??e"},
        {"0123456789 12345", "0123456789 1", "0123456789?1"}, /* cut */
        {"01234567890 12345", "01234567890 ", "01234567890?"},
        {"jos\u00e9.test", "jos\u00e9.test", "jos\u00e9.test"},
        {"", "", ""},
    };
    struct buf name = BUF(12);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        name.max = i == 1 || i == 2 ? 100 : 12;
        assert_int_equal(esmtp_helo_name(strz(cases[i].args), &name), cases[i].name[0] != 0);
        assert_true(buf_ok(&name));
        assert_string_equal(name.p, cases[i].name);
        esmtp_make_harmless(name.p);
        assert_string_equal(name.p, cases[i].harmless);
    }
    buf_free(&name);
}

RUN_TESTS(T(names_of_clients_are_kept_whole_and_made_harmless),
          T(utf8_addresses_are_escaped_and_back), T(verb_and_arguments_are_parted),
          T(blanks_around_the_colon_are_accepted), T(parameters_are_listed),
          T(xtext_goes_both_ways))
