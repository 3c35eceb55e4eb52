/*
 * Character sets: the built-in ones, iconv's, what is not valid; comparing without case.
 */
#include "base/str.h"
#include "mail/charset.h"

#include "test.h"

TEST(text_becomes_utf8)
{
    static const struct {
        const char *charset, *text, *utf8;
        bool valid;
    } cases[] = {
        {"", "abc", "abc", true},
        {"UTF-8", "\xc3\xa4", "\xc3\xa4", true},
        {"utf-8", "a\xe4z", "a\xef\xbf\xbdz", false},
        {"iso-8859-1", "\xe4\xa4", "\xc3\xa4\xc2\xa4", true},
        {"ISO-8859-15", "\xa4", "\xe2\x82\xac", true},
        {"windows-1252", "\x80\x93", "\xe2\x82\xac\xe2\x80\x9c", true},
        {"koi8-r", "\xd0\xd2\xc9", "\xd0\xbf\xd1\x80\xd0\xb8", true},
        {"gb18030", "\xd6\xd0", "\xe4\xb8\xad", true},
        {"iso-2022-jp", "\x1b$B$\"\x1b(B", "\xe3\x81\x82", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(100);
        assert_true(charset_known(strz(cases[i].charset)));
        assert_true(charset_to_utf8(strz(cases[i].charset), strz(cases[i].text), &out));
        assert_string_equal(out.p, cases[i].utf8);
        buf_clear(&out);
        assert_int_equal(charset_to_utf8_strict(strz(cases[i].charset), strz(cases[i].text), &out),
                         cases[i].valid);
        buf_free(&out);
    }
}

TEST(unknown_names_are_refused)
{
    static const char *const names[] = {"x-none", "utf-8//IGNORE", "a b", "../x"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf out = BUF(100);
        assert_false(charset_known(strz(names[i])));
        assert_false(charset_to_utf8(strz(names[i]), STR("x"), &out));
        assert_int_equal(out.n, 0);
        buf_free(&out);
    }
}

TEST(case_folds_in_the_common_alphabets)
{
    static const char *const pairs[][2] = {
        {"Hello", "hello"},
        {"\xc3\x84\xc3\x96\xc3\x9c\xc3\x9f", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"},
        {"\xc5\xa0\xc4\x8c\xc5\xbd", "\xc5\xa1\xc4\x8d\xc5\xbe"},
        {"\xce\x86\xce\xa9\xce\xa3", "\xce\xac\xcf\x89\xcf\x83"},
        {"\xd0\x96\xd0\x81", "\xd0\xb6\xd1\x91"},
        {"\xc3\x97\xc3\xb7", "\xc3\x97\xc3\xb7"},
        {"a\xff"
         "B",
         "a\xff"
         "b"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf out = BUF(100);
        charset_fold(strz(pairs[i][0]), &out);
        assert_string_equal(out.p, pairs[i][1]);
        buf_clear(&out);
        charset_fold(strz(pairs[i][1]), &out);
        assert_string_equal(out.p, pairs[i][1]);
        buf_free(&out);
    }
}

RUN_TESTS(T(text_becomes_utf8), T(unknown_names_are_refused), T(case_folds_in_the_common_alphabets))
