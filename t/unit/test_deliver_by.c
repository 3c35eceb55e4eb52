#include "base/str.h"
#include "mail/deliver_by.h"

#include "test.h"

TEST(what_may_be_asked_is_read)
{
    static const struct {
        const char *text;
        int64_t s;
        bool returns, traced;
    } good[] = {
        {"120;R", 120, true, false},       {"120;rt", 120, true, true},
        {"+98;NT", 98, false, true},       {"0;N", 0, false, false},
        {"-5;n", -5, false, false},        {"999999999;R", DELIVER_BY_MOST, true, false},
        {"000000001;R", 1, true, false},   {"-999999999;N", -DELIVER_BY_MOST, false, false},
        {"+999999999;N", 999999999, 0, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct deliver_by by = {0};
        assert_true(deliver_by_parse(strz(good[i].text), &by));
        assert_int_equal(by.s, good[i].s);
        assert_int_equal(by.returns, good[i].returns);
        assert_int_equal(by.traced, good[i].traced);
    }
}

TEST(what_is_malformed_changes_nothing)
{
    static const char *const bad[] = {
        "",
        "120",
        "120;",
        "120;X",
        "120;RN",
        "120;RTT",
        "120;R;",
        "120; R",
        " 120;R",
        ";R",
        "0;R",
        "-1;R",
        "+-1;N",
        "++1;N",
        "--1;N",
        "+;N",
        "-;N",
        "1x;R",
        "0x1;R",
        "1.5;N",
        "1000000000;N",
        "0000000001;R",
        "-1000000000;N",
        "99999999999999999999;N",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct deliver_by by = {.s = 7};
        assert_false(deliver_by_parse(strz(bad[i]), &by));
        assert_true(by.s == 7 && !by.returns && !by.traced);
    }
    struct deliver_by by = {.s = 7};
    assert_false(deliver_by_parse((struct str){NULL, 0}, &by)); /* BY without a value */
}

TEST(a_time_of_a_queue_file_comes_back)
{
    static const char *const good[] = {"1795397182;R", "1;N", "1795397182;RT", "1795397182;NT"};
    static const char *const bad[] = {"0;N", "-1;N", "9999999999999999999;N", "1795397182", ""};
    struct deliver_by by;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf out = BUF(100);
        assert_true(deliver_by_parse_time(strz(good[i]), &by));
        deliver_by_format(&by, &out);
        assert_string_equal(out.p, good[i]);
        buf_free(&out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(deliver_by_parse_time(strz(bad[i]), &by));
}

TEST(only_what_is_to_be_returned_is_ever_over)
{
    static const struct {
        struct deliver_by by;
        int64_t now;
        bool over;
    } cases[] = {
        {{100, true, false}, 99, false}, {{100, true, false}, 100, true},
        {{100, true, true}, 101, true},  {{100, false, true}, 101, false},
        {{0, false, false}, 101, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(deliver_by_is_over(&cases[i].by, cases[i].now), cases[i].over);
}

RUN_TESTS(T(what_may_be_asked_is_read), T(what_is_malformed_changes_nothing),
          T(a_time_of_a_queue_file_comes_back), T(only_what_is_to_be_returned_is_ever_over))
