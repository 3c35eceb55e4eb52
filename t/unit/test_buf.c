/*
 * Buffers: growth, the ceiling, cutting.
 */
#include <inttypes.h>
#include <limits.h>

#include "base/buf.h"

#include "test.h"

TEST(what_passes_the_ceiling_is_left_out_whole)
{
    struct buf b = BUF(5);

    buf_addz(&b, "abc");
    buf_addz(&b, "def");
    assert_true(b.full);
    assert_string_equal(b.p, "abc");
    buf_addz(&b, "de");
    assert_string_equal(b.p, "abcde");
    buf_clear(&b);
    assert_false(b.full);
    buf_addf(&b, "%d", 123456);
    assert_true(b.full);
    assert_int_equal(b.n, 0);
    buf_free(&b);
}

TEST(long_formats_grow_the_buffer)
{
    struct buf b = BUF(100000);

    buf_addf(&b, "%0*d", 5000, 7);
    assert_int_equal(b.n, 5000);
    assert_int_equal(b.p[4999], '7');
    buf_skip(&b, 4999);
    assert_string_equal(b.p, "7");
    char *p = buf_take(&b);
    assert_string_equal(p, "7");
    assert_int_equal(b.n, 0);
    free(p);
    buf_free(&b);
}

/* What is formatted here comes out as the C library has it. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char expect[400];                                                                          \
        struct buf b = BUF(400);                                                                   \
        snprintf(expect, sizeof expect, __VA_ARGS__);                                              \
        buf_addf(&b, __VA_ARGS__);                                                                 \
        assert_string_equal(b.p, expect);                                                          \
        assert_int_equal(b.n, strlen(expect));                                                     \
        assert_true(buf_ok(&b));                                                                   \
        buf_free(&b);                                                                              \
    } while (0)

TEST(formats_are_those_of_the_c_library)
{
    size_t size = SIZE_MAX;

    SAME("%s", "");
    SAME("nothing");
    SAME("%s[%d]: %s%s", "smtpd", 123, "warning: ", "text");
    SAME("%c%%%c 100%%", 'a', 'b');
    SAME("%d %d %d %i", 0, INT_MAX, INT_MIN, -1);
    SAME("%u %u", 0u, UINT_MAX);
    SAME("%ld %ld %lu", LONG_MIN, LONG_MAX, ULONG_MAX);
    SAME("%lld %lld %llu", LLONG_MIN, LLONG_MAX, ULLONG_MAX);
    SAME("%" PRId64 " %" PRIu64, INT64_MIN, UINT64_MAX);
    SAME("%zu", size);
    SAME("%x %X %lx %05X", 0xbeefu, 0xbeefu, ULONG_MAX, 0xau);
    SAME("%2d|%02d|%2d|%02d", 5, 5, 123, 123);
    SAME("%15lld|%15d|%015d|%1d|%0d", -7LL, -7, -7, -7, -7);
    SAME("%99d|%099d", -1, -1);
    /* By the library itself. */
    SAME("%-5d|%+d|% d|%.3s|%.*s|%5s|%-5s|%3c", 1, 1, 1, "abcdef", 2, "abcdef", "ab", "ab", 'c');
    SAME("%100d|%0100d|%hd|%hhd|%#x|%p", 1, 1, 7, 7, 255u, NULL);
    SAME("%s %.2f %s", "before", 1.5, "behind");
}

TEST(a_format_that_does_not_fit_is_left_out_whole)
{
    struct buf b = BUF(10), text = BUF_TEXT(10);

    buf_addz(&b, "1234");
    buf_addf(&b, "%s%d", "567", 8901);
    assert_string_equal(b.p, "1234");
    assert_false(buf_ok(&b));
    buf_addf(&b, "%s", "56"); /* too late: it stays spoiled */
    assert_false(buf_ok(&b));
    buf_addf(&text, "%s-%s", "12345", "67890");
    assert_string_equal(text.p, "12345-6...");
    buf_addf(&text, "%d", 1);
    assert_string_equal(text.p, "12345-6...");
    buf_free(&b);
    buf_free(&text);
}

TEST(text_that_does_not_fit_is_cut_and_says_so)
{
    static const struct {
        size_t max;
        const char *first, *second, *expect;
        bool ok;
    } cases[] = {
        {6, "abc", "def", "abcdef", true},
        {6, "abc", "defg", "abc...", false},
        {6, "abcdef", "g", "abc...", false},
        {6, "", "abcdefghi", "abc...", false},
        {7, "abc\xc3\xa4", "def", "abc...", false}, /* no half a character */
        {7, "ab",
         "c\xc3\xa4"
         "defg",
         "abc...", false},
        {3, "abc", "d", "...", false},
        {2, "ab", "c", "", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF_TEXT(cases[i].max);
        buf_addz(&b, cases[i].first);
        buf_addf(&b, "%s", cases[i].second);
        assert_string_equal(b.p, cases[i].expect);
        assert_int_equal(buf_ok(&b), cases[i].ok);
        buf_addz(&b, "x");
        if (!cases[i].ok)
            assert_string_equal(b.p, cases[i].expect);
        buf_clear(&b);
        assert_true(buf_ok(&b));
        buf_free(&b);
    }
}

TEST(a_spoiled_buffer_is_not_ok_until_it_is_cleared)
{
    struct buf b = BUF(10);

    buf_addz(&b, "abc");
    buf_spoil(&b);
    assert_false(buf_ok(&b));
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_free(&b);
}

RUN_TESTS(T(a_spoiled_buffer_is_not_ok_until_it_is_cleared),
          T(text_that_does_not_fit_is_cut_and_says_so), T(formats_are_those_of_the_c_library),
          T(a_format_that_does_not_fit_is_left_out_whole),
          T(what_passes_the_ceiling_is_left_out_whole), T(long_formats_grow_the_buffer))
