#include "base/str.h"
#include "mail/esmtp_ehlo.h"

#include "test.h"

TEST(extensions_of_a_server_are_collected)
{
    struct esmtp_ehlo e = ESMTP_EHLO;
    static const char *const lines[] = {"PIPELINING", "size 10240000", "AUTH plain LOGIN",
                                        "AUTH=LOGIN", "8BITMIME",      "X-ODD thing",
                                        "",           "SIZE x"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        esmtp_ehlo_line(&e, strz(lines[i]));
    assert_int_equal(e.ext, ESMTP_PIPELINING | ESMTP_SIZE | ESMTP_AUTH | ESMTP_8BITMIME);
    assert_int_equal(e.size, 10240000);
    assert_true(esmtp_ehlo_has_auth(&e, "PLAIN"));
    assert_false(esmtp_ehlo_has_auth(&e, "CRAM-MD5"));
    esmtp_ehlo_clear(&e);
    assert_int_equal(e.ext, 0);
    esmtp_ehlo_free(&e);
}

TEST(the_last_of_many_mechanisms_is_known)
{
    struct esmtp_ehlo e = ESMTP_EHLO;
    struct buf line = BUF(20000);

    buf_addz(&line, "AUTH");
    for (int i = 0; i < 500; i++)
        buf_addf(&line, " UNKNOWN-MECHANISM-%d", i);
    buf_addz(&line, " PLAIN");
    esmtp_ehlo_line(&e, buf_str(&line));
    assert_true(esmtp_ehlo_has_auth(&e, "PLAIN"));
    esmtp_ehlo_free(&e);
    buf_free(&line);
}

TEST(a_list_of_keywords_is_a_mask)
{
    assert_int_equal(esmtp_ext_mask(STR("silent-discard, dsn etrn")),
                     ESMTP_DSN | ESMTP_ETRN | ESMTP_SILENT);
    assert_int_equal(esmtp_ext_by_name(STR("starttls")), ESMTP_STARTTLS);
}

TEST(limits_of_a_server_are_read)
{
    static const struct {
        const char *line;
        unsigned rcpts, mails;
    } cases[] = {
        {"LIMITS RCPTMAX=20 MAILMAX=5", 20, 5},
        {"limits mailmax=1 RCPTDOMAINMAX=3 X=y", 0, 1},
        {"LIMITS", 0, 0},
        {"LIMITS RCPTMAX=0 MAILMAX=-1", 0, 0},
        {"LIMITS RCPTMAX=1000000 MAILMAX=99999999999999", 0, 0},
        {"LIMITS RCPTMAX MAILMAX= =5", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct esmtp_ehlo e = ESMTP_EHLO;
        esmtp_ehlo_line(&e, strz(cases[i].line));
        assert_int_equal(e.rcpt_max, cases[i].rcpts);
        assert_int_equal(e.mail_max, cases[i].mails);
        esmtp_ehlo_free(&e);
    }
}

TEST(what_is_hidden_is_told_unless_silent)
{
    struct buf line = BUF(1000);

    esmtp_ext_print(esmtp_ext_mask(STR("smtputf8 chunking")), &line);
    assert_string_equal(line.p, "discarding EHLO keywords: SMTPUTF8 CHUNKING");
    buf_clear(&line);
    esmtp_ext_print(esmtp_ext_mask(STR("dsn, silent-discard")), &line);
    esmtp_ext_print(0, &line);
    assert_string_equal(line.p, "");
    buf_free(&line);
}

TEST(the_least_time_of_a_server_is_read)
{
    static const struct {
        const char *line;
        unsigned min_by;
    } cases[] = {
        {"DELIVERBY", 0},    {"DELIVERBY 240", 240}, {"deliverby 30,x=y", 30},
        {"DELIVERBY ,x", 0}, {"DELIVERBY -1", 0},    {"DELIVERBY 1000000000", 0},
        {"DELIVERBY x", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct esmtp_ehlo e = ESMTP_EHLO;
        esmtp_ehlo_line(&e, strz(cases[i].line));
        assert_int_equal(e.ext, ESMTP_DELIVERBY);
        assert_int_equal(e.min_by, cases[i].min_by);
        esmtp_ehlo_clear(&e);
        assert_int_equal(e.min_by, 0);
        esmtp_ehlo_free(&e);
    }
}

RUN_TESTS(T(limits_of_a_server_are_read), T(the_least_time_of_a_server_is_read),
          T(what_is_hidden_is_told_unless_silent), T(extensions_of_a_server_are_collected),
          T(the_last_of_many_mechanisms_is_known), T(a_list_of_keywords_is_a_mask))
