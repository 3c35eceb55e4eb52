#include "base/str.h"
#include "mail/date.h"

#include "test.h"

TEST(dates_of_mail_are_read)
{
    static const struct {
        const char *text;
        int64_t wall;
        int offset;
    } cases[] = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},
        {"Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480, -210},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 0, 1},
        {"Mon, 1 January 2024 00:00:00 EST", 1704085200, -300},
        {"1 Jan 1970 00:00 Z", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t wall = 0;
        int offset = 0;
        if (cases[i].offset == 1)
            continue;
        assert_true(date_parse(strz(cases[i].text), &wall, &offset));
        assert_int_equal(wall, cases[i].wall);
        assert_int_equal(offset, cases[i].offset);
    }
}

TEST(what_is_no_date_is_refused)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "Fri, 32 Nov 1997 09:55:06",
                                      "1 Foo 1997 01:01",
                                      "1 Nov 1997",
                                      "1 Nov 1997 25:00",
                                      "Fri, Nov 1 1997 00:00:00",
                                      "((((",
                                      "1 Nov 19971 00:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t wall;
        if (date_parse(strz(bad[i]), &wall, NULL))
            fail_msg("taken: %s", bad[i]);
    }
}

TEST(what_is_made_is_read_back)
{
    for (int64_t t = -2000000000; t < 8000000000; t += 86400 * 137 + 12345) {
        struct buf out = BUF(200);
        int64_t wall;
        int offset;
        date_format(t, -210, &out);
        assert_true(date_parse(buf_str(&out), &wall, &offset));
        assert_int_equal(wall, t);
        assert_int_equal(offset, -210);
        buf_clear(&out);
        date_imap_format(t, 90, &out);
        assert_true(date_imap_parse(buf_str(&out), &wall, &offset));
        assert_int_equal(wall, t);
        buf_free(&out);
    }
}

TEST(dates_of_imap)
{
    int64_t wall;
    int offset;
    struct buf out = BUF(100);
    assert_true(date_imap_parse(STR("17-Jul-1996 02:44:25 -0700"), &wall, &offset));
    assert_int_equal(wall, 837596665);
    date_imap_format(wall, offset, &out);
    assert_string_equal(out.p, "17-Jul-1996 02:44:25 -0700");
    assert_true(date_imap_parse(STR(" 1-Feb-1994 00:00:00 +0000"), &wall, &offset));
    buf_clear(&out); /* two digits, as Dovecot has it: clients know no other form */
    date_imap_format(wall, offset, &out);
    assert_string_equal(out.p, "01-Feb-1994 00:00:00 +0000");
    assert_true(date_imap_day(STR("1-Feb-1994"), &wall));
    assert_int_equal(wall, 760060800);
    assert_true(date_imap_parse(STR("29-Feb-2020 10:00:00 +0000"), &wall, &offset));
    assert_true(date_imap_parse(STR("31-Dec-2020 10:00:00 +0000"), &wall, &offset));
    static const char *const bad[] = {
        "17-Jul-96 02:44:25 -0700",    "17-Jul-1996 2:44:25 -0700",   "17-Jul-1996 02:44:25",
        "17-July-1996 02:44:25 -0700", "17-07-1996 02:44:25 -0700",   "",
        "017-Jul-1996 02:44:25 -0700", "17-Jul-1996 02:44:250 -0700", "x-Jul-1996 02:44:25 -0700",
        "17-Jul-1996 02.44.25 -0700",  "17-Jul-1996T02:44:25 -0700"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(date_imap_parse(strz(bad[i]), &wall, &offset));
    buf_free(&out);
}

TEST(dates_of_imap_that_cannot_be)
{
    static const struct {
        const char *text, *same;
    } cases[] = {{"31-Feb-2020 10:00:00 +0000", "02-Mar-2020 10:00:00 +0000"},
                 {"00-Jan-2020 10:00:00 +0000", "31-Dec-2019 10:00:00 +0000"},
                 {"31-Dec-2020 24:00:00 +0000", "01-Jan-2021 00:00:00 +0000"},
                 {"01-Jan-2020 00:00:99 +0000", "01-Jan-2020 00:01:39 +0000"},
                 {"01-Jan-2020 00:00:00 GMT", "01-Jan-2020 00:00:00 +0000"},
                 {"01-Jan-2020 00:00:00 EST", "01-Jan-2020 05:00:00 +0000"},
                 {"01-Jan-2020 00:00:00 +0060", "01-Jan-2020 00:00:00 +0000"},
                 {"01-Jan-2020 00:00:00 +01:00", "01-Jan-2020 00:00:00 +0000"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t wall, same;
        assert_true(date_imap_parse(strz(cases[i].text), &wall, NULL));
        assert_true(date_imap_parse(strz(cases[i].same), &same, NULL));
        assert_int_equal(wall, same);
    }
    int64_t day;
    assert_false(date_imap_day(STR("32-Jan-2020"), &day));
    assert_false(date_imap_day(STR("0-Jan-2020"), &day));
}

/* Whatever zone the client wrote. */
TEST(a_date_of_imap_is_in_a_year_of_four_digits_of_our_zone)
{
    static const struct {
        const char *zone, *text;
        bool good;
    } cases[] = {{"UTC", "31-Dec-9999 23:59:59 -0100", false},
                 {"UTC", "31-Dec-9999 23:59:59 +0000", true},
                 {"UTC", "01-Jan-0000 00:00:00 +0100", false},
                 {"UTC", "01-Jan-0000 00:00:00 +0000", true},
                 {"XXX+2", "31-Dec-9999 23:59:59 -0100", true},
                 {"XXX+2", "01-Jan-0000 00:00:00 +0000", false},
                 {"XXX-2", "31-Dec-9999 23:59:59 +0000", false}};
    int64_t wall;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("TZ", cases[i].zone, 1);
        tzset();
        if (date_imap_parse(strz(cases[i].text), &wall, NULL) != cases[i].good)
            fail_msg("%s with TZ=%s", cases[i].text, cases[i].zone);
    }
    setenv("TZ", "UTC", 1);
    tzset();
}

TEST(dates_of_the_internet)
{
    static const struct {
        const char *text;
        int64_t wall; /* -1: no date */
    } cases[] = {{"2026-12-01T09:00:00Z", 1796115600},
                 {"2026-12-01t09:00:00z", 1796115600},
                 {"2026-12-01T10:00:00+01:00", 1796115600},
                 {"2026-12-01T09:00:00.125Z", 1796115600},
                 {"2026-12-01T03:30:00.1-05:30", 1796115600},
                 {"2024-02-29T00:00:00Z", 1709164800},
                 {"2023-02-29T00:00:00Z", -1},
                 {"2026-13-01T09:00:00Z", -1},
                 {"2026-12-00T09:00:00Z", -1},
                 {"2026-12-01T24:00:00Z", -1},
                 {"2026-12-01T09:00:00", -1},
                 {"2026-12-01T09:00:00.Z", -1},
                 {"2026-12-01 09:00:00Z", -1},
                 {"2026-12-01T09:00Z", -1},
                 {"2026-12-01T09:00:000Z", -1},
                 {"2026-12-01T9:000:00Z", -1},
                 {"2026-12-01T09:00:00+0100", -1},
                 {"2026-12-01T09:00:00+24:00", -1},
                 {"2026-12-01T09:00:00Zx", -1},
                 {"", -1}};
    struct buf out = BUF(100);
    int64_t wall;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool good = date_internet_parse(strz(cases[i].text), &wall);
        if (good != (cases[i].wall >= 0) || (good && wall != cases[i].wall))
            fail_msg("%s", cases[i].text);
    }
    date_internet_format(1796115600, &out);
    assert_string_equal(out.p, "2026-12-01T09:00:00Z");
    buf_free(&out);
}

RUN_TESTS(T(dates_of_mail_are_read), T(what_is_no_date_is_refused), T(what_is_made_is_read_back),
          T(dates_of_imap), T(dates_of_imap_that_cannot_be),
          T(a_date_of_imap_is_in_a_year_of_four_digits_of_our_zone), T(dates_of_the_internet))
