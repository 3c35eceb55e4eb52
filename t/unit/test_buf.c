/*
 * Buffers: growth, the ceiling, cutting.
 */
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
          T(text_that_does_not_fit_is_cut_and_says_so),
          T(what_passes_the_ceiling_is_left_out_whole), T(long_formats_grow_the_buffer))
