#include "base/str.h"
#include "mail/esmtp_reply.h"

#include "test.h"

TEST(a_reply_of_several_lines_is_joined)
{
    struct esmtp_reply r = ESMTP_REPLY(1000);
    assert_int_equal(esmtp_reply_line(&r, STR("250-foo.com greets bar.com\r\n")), ESMTP_MORE);
    assert_int_equal(esmtp_reply_line(&r, STR("250-8BITMIME")), ESMTP_MORE);
    assert_int_equal(esmtp_reply_line(&r, STR("250 HELP")), ESMTP_DONE);
    assert_int_equal(r.code, 250);
    assert_string_equal(r.text.p, "foo.com greets bar.com\n8BITMIME\nHELP");
    esmtp_reply_free(&r);
}

TEST(enhanced_codes_are_found_only_when_their_class_fits)
{
    static const struct {
        const char *line;
        int code;
        const char *dsn, *text;
    } cases[] = {{"550 5.1.1 no such user", 550, "5.1.1", "no such user"},
                 {"550 4.1.1 odd", 550, "", "4.1.1 odd"},
                 {"250 2.0.0", 250, "2.0.0", ""},
                 {"250", 250, "", ""},
                 {"554 5.7 no", 554, "", "5.7 no"},
                 {"421 4.3.2222 no", 421, "", "4.3.2222 no"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct esmtp_reply r = ESMTP_REPLY(1000);
        assert_int_equal(esmtp_reply_line(&r, strz(cases[i].line)), ESMTP_DONE);
        assert_int_equal(r.code, cases[i].code);
        assert_string_equal(r.dsn, cases[i].dsn);
        assert_string_equal(r.text.p, cases[i].text);
        esmtp_reply_free(&r);
    }
}

TEST(what_is_not_a_reply_is_refused)
{
    static const char *const bad[] = {"150 x", "600 x", "000", "199-"};
    static const char *const noise[] = {"",     "25", "abc x",  "250x",
                                        "2 50", "\r", " 250 x", "250\tx"};
    struct esmtp_reply r = ESMTP_REPLY(1000);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(esmtp_reply_line(&r, strz(bad[i])), ESMTP_BAD);
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        assert_int_equal(esmtp_reply_line(&r, strz(noise[i])), ESMTP_NOISE);
    assert_int_equal(r.lines, 0);
    esmtp_reply_free(&r);
}

TEST(lines_that_are_none_are_passed_over_and_the_last_code_counts)
{
    struct esmtp_reply r = ESMTP_REPLY(1000);

    assert_int_equal(esmtp_reply_line(&r, STR("")), ESMTP_NOISE);
    assert_int_equal(esmtp_reply_line(&r, STR("250-a")), ESMTP_MORE);
    assert_int_equal(esmtp_reply_line(&r, STR("noise")), ESMTP_NOISE);
    assert_int_equal(esmtp_reply_line(&r, STR("550 b")), ESMTP_DONE);
    assert_int_equal(r.code, 550);
    assert_string_equal(r.text.p, "a\nb");
    esmtp_reply_free(&r);
}

TEST(the_class_of_the_enhanced_code_is_that_of_the_last_line)
{
    static const struct {
        const char *first, *last, *dsn;
        int code;
    } cases[] = {{"550-5.1.1 no", "451 4.1.2 later", "4.1.2", 451},
                 {"550-5.1.1 no", "451 later", "", 451},
                 {"450-4.1.1 later", "550 5.1.2 no", "5.1.2", 550},
                 {"250-2.1.5 yes", "550 no", "", 550},
                 {"550-5.7.1 no", "554 see there", "5.7.1", 554}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct esmtp_reply r = ESMTP_REPLY(1000);
        assert_int_equal(esmtp_reply_line(&r, strz(cases[i].first)), ESMTP_MORE);
        assert_int_equal(esmtp_reply_line(&r, strz(cases[i].last)), ESMTP_DONE);
        assert_int_equal(r.code, cases[i].code);
        assert_string_equal(r.dsn, cases[i].dsn);
        esmtp_reply_free(&r);
    }
}

TEST(what_is_made_can_be_read)
{
    struct buf out = BUF(4000);
    esmtp_reply_format(554, "5.7.1", STR("one\ntwo\x01"), &out);
    assert_string_equal(out.p, "554-5.7.1 one\r\n554 5.7.1 two?\r\n");
    buf_clear(&out);
    char longline[2000];
    memset(longline, 'x', sizeof longline);
    esmtp_reply_format(250, "", (struct str){longline, sizeof longline}, &out);
    assert_int_equal(out.n, 512);
    assert_string_equal(out.p + 507, "...\r\n");
    buf_free(&out);
}

RUN_TESTS(T(a_reply_of_several_lines_is_joined),
          T(enhanced_codes_are_found_only_when_their_class_fits), T(what_is_not_a_reply_is_refused),
          T(lines_that_are_none_are_passed_over_and_the_last_code_counts),
          T(the_class_of_the_enhanced_code_is_that_of_the_last_line), T(what_is_made_can_be_read))
