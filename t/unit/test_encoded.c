/*
 * Encoded words and parameters: the examples of RFC 2047 8 and RFC 2231 4, and what is broken.
 */
#include "base/str.h"
#include "mail/encoded.h"

#include "test.h"

TEST(words_are_decoded)
{
    static const struct {
        const char *value, *utf8;
    } cases[] = {
        {"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
        {"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <x@y>", "Keld J\xc3\xb8rn Simonsen <x@y>"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n "
         "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"(=?ISO-8859-1?Q?a?=)", "(a)"},
        {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?_b?=)", "(a b)"},
        {"=?utf-8*en?q?x?=", "x"},
        {"=?utf-8?B?ww==?= =?utf-8?B?pA==?=", "\xc3\xa4"},
        {"=?nonsense?Q?a?=", "=?nonsense?Q?a?="},
        {"=?utf-8?X?a?=", "=?utf-8?X?a?="},
        {"=?utf-8?Q?a", "=?utf-8?Q?a"},
        {"=?", "=?"},
        {"a\r\n b\n\tc", "a b\tc"},
        {"raw \xe9", "raw \xef\xbf\xbd"},
        {"=?utf-8?q?=41=?=", "A="},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(1000);
        encoded_to_utf8(strz(cases[i].value), &out);
        assert_string_equal(out.p, cases[i].utf8);
        buf_free(&out);
    }
}

TEST(parameters_are_decoded)
{
    static const struct {
        const char *value, *utf8;
    } cases[] = {
        {"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***"},
        {"utf-8''%e2%82%AC", "\xe2\x82\xac"},
        {"iso-8859-1'de'%FCber", "\xc3\xbc"
                                 "ber"},
        {"''plain", "plain"},
        {"no quotes", "no quotes"},
        {"x-none''100%", "100%"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(1000);
        encoded_param_to_utf8(strz(cases[i].value), &out);
        assert_string_equal(out.p, cases[i].utf8);
        buf_free(&out);
    }
}

RUN_TESTS(T(words_are_decoded), T(parameters_are_decoded))
