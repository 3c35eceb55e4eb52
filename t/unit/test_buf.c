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

RUN_TESTS(T(what_passes_the_ceiling_is_left_out_whole), T(long_formats_grow_the_buffer))
