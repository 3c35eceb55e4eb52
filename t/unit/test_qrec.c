/*
 * Records of queue files.
 */
#include "base/str.h"
#include "queue/qrec.h"

#include "test.h"

static void same(struct str a, const char *b)
{
    assert_int_equal(a.n, strlen(b));
    assert_memory_equal(a.p, b, a.n);
}

TEST(what_is_put_is_taken)
{
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, REC_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf b = BUF(REC_MAX + 16);
        char *text = calloc(1, sizes[i] + 1);
        struct str body;
        size_t size;
        qrec_put(&b, REC_NORM, (struct str){text, sizes[i]});
        assert_int_equal(qrec_take(buf_str(&b), &body, &size), REC_NORM);
        assert_int_equal(body.n, sizes[i]);
        assert_int_equal(size, b.n);
        for (size_t cut = 1; cut < 4 && cut < b.n; cut++)
            assert_int_equal(qrec_take(str_upto(buf_str(&b), cut), &body, &size), QREC_MORE);
        free(text);
        buf_free(&b);
    }
}

TEST(lengths_beyond_the_limit_are_bad)
{
    struct str body;
    size_t size;

    assert_int_equal(qrec_take(STR("N\xff\xff\xff\xff\xff\x01"), &body, &size), REC_BAD);
    assert_int_equal(qrec_take(STR("N\x81\x80\x80\x01"), &body, &size), REC_BAD);
    assert_int_equal(qrec_take(STR(""), &body, &size), REC_EOF);
}

TEST(long_lines_become_pieces)
{
    struct buf b = BUF(1000);
    struct str rest, body;
    size_t size;

    qrec_put_line(&b, STR("abcdefg"), 3);
    rest = buf_str(&b);
    assert_int_equal(qrec_take(rest, &body, &size), REC_CONT);
    same(body, "abc");
    rest = str_from(rest, size);
    assert_int_equal(qrec_take(rest, &body, &size), REC_CONT);
    same(body, "def");
    rest = str_from(rest, size);
    assert_int_equal(qrec_take(rest, &body, &size), REC_NORM);
    same(body, "g");
    buf_free(&b);
}

TEST(size_record_is_as_postfix_writes_it)
{
    /* From a queue file of Postfix 3.7. */
    const char *text = "           3300             709               1              20            "
                       "3300               1";
    struct qsize q;
    struct buf b = BUF(200);

    assert_true(qsize_parse(strz(text), &q));
    assert_int_equal(q.size, 3300);
    assert_int_equal(q.data_offset, 709);
    assert_int_equal(q.rcpts, 1);
    assert_int_equal(q.flags, 20);
    assert_int_equal(q.sendopts, 1);
    qsize_format(&q, &b);
    assert_int_equal(b.n, QSIZE_WIDTH);
    same(buf_str(&b), text);
    /* Of an old version: three numbers. */
    assert_true(qsize_parse(STR("            100              50               2"), &q));
    assert_int_equal(q.content, 100);
    assert_false(qsize_parse(STR("many"), &q));
    assert_false(qsize_parse(STR(""), &q));
    buf_free(&b);
}

TEST(times_and_attributes)
{
    int64_t us;
    struct str name, value;

    assert_true(qrec_parse_time(STR("1795397122 236751"), &us));
    assert_true(us == 1795397122236751);
    assert_true(qrec_parse_time(STR("1795397122"), &us));
    assert_true(us == 1795397122000000);
    assert_false(qrec_parse_time(STR("soon"), &us));
    assert_true(qrec_parse_attr(STR("a=b=c"), &name, &value));
    same(name, "a");
    same(value, "b=c");
    assert_false(qrec_parse_attr(STR("=x"), &name, &value));
    assert_false(qrec_parse_attr(STR("x"), &name, &value));
}

TEST(names_are_postcats)
{
    assert_string_equal(qrec_name('S'), "sender");
    assert_string_equal(qrec_name('/'), "canceled_recipient");
    assert_string_equal(qrec_name('n'), "dsn_notify_flags");
    assert_string_equal(qrec_name('?'), "unknown_record_type");
}

RUN_TESTS(T(what_is_put_is_taken), T(lengths_beyond_the_limit_are_bad), T(long_lines_become_pieces),
          T(size_record_is_as_postfix_writes_it), T(times_and_attributes), T(names_are_postcats))
