/*
 * Modified UTF-7: the examples of RFC 3501 5.1.3, the one right form, round trips.
 */
#include "base/str.h"
#include "base/utf8.h"
#include "mail/utf7.h"

#include "test.h"

static const struct {
    const char *utf8, *utf7;
} good[] = {
    {"INBOX", "INBOX"},
    {"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
    {"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
     "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
    {"a & b", "a &- b"},
    {"\xf0\x9f\x95\x8a", "&2D3dSg-"},
    {"", ""},
};

TEST(names_convert_both_ways)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf out = BUF(1000);
        assert_true(utf7_from_utf8(strz(good[i].utf8), &out));
        assert_string_equal(out.p, good[i].utf7);
        buf_clear(&out);
        assert_true(utf7_to_utf8(strz(good[i].utf7), &out));
        assert_string_equal(out.p, good[i].utf8);
        buf_free(&out);
    }
}

TEST(what_has_another_right_form_is_refused)
{
    static const char *const bad[] = {
        "&",      "&AGE-",   "&U,BTFw-&ZeVnLIqe-",
        "&Jjo!",  "&U,BTFw", "a\xc3\xbc",
        "&2D0-",  "&3Uo-",   "&APx-",
        "&APwA-", "&AAA-",   "a\nb",
        "&AP-",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out = BUF(1000);
        buf_addz(&out, "x");
        assert_false(utf7_to_utf8(strz(bad[i]), &out));
        assert_string_equal(out.p, "x");
        buf_free(&out);
    }
}

TEST(every_code_point_survives)
{
    for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        struct buf utf8 = BUF(10), utf7 = BUF(100), back = BUF(10);
        if (c >= 0xd800 && c < 0xe000)
            continue;
        utf8_add(&utf8, c);
        assert_true(utf7_from_utf8(buf_str(&utf8), &utf7));
        assert_true(utf7_to_utf8(buf_str(&utf7), &back));
        assert_string_equal(back.p, utf8.p);
        buf_free(&utf8);
        buf_free(&utf7);
        buf_free(&back);
    }
}

RUN_TESTS(T(names_convert_both_ways), T(what_has_another_right_form_is_refused),
          T(every_code_point_survives))
