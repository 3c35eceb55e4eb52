#include "base/str.h"
#include "mail/dsn.h"

#include "test.h"

TEST(codes_are_found_at_the_front)
{
    char code[10];
    assert_int_equal(dsn_prefix(STR("4.2.2 over quota"), code), 5);
    assert_string_equal(code, "4.2.2");
    assert_int_equal(dsn_prefix(STR("5.123.456"), code), 9);
    static const char *const bad[] = {"", "1.2.3", "4.2", "4..2", "4.2.2222", "4.2.2x", "5.1234.1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(dsn_prefix(strz(bad[i]), code), 0);
    assert_true(dsn_valid(STR("2.0.0")));
    assert_false(dsn_valid(STR("2.0.0 ")));
}

TEST(codes_follow_replies_and_exits)
{
    char code[10];
    bool listed;
    dsn_of_code(550, code);
    assert_string_equal(code, "5.0.0");
    dsn_of_code(452, code);
    assert_string_equal(code, "4.0.0");
    assert_int_equal(dsn_to_code("4.7.1"), 451);
    assert_int_equal(dsn_to_code("5.7.1"), 550);
    assert_null(dsn_of_exit(0, code, &listed));
    assert_non_null(dsn_of_exit(75, code, &listed));
    assert_string_equal(code, "4.3.0");
    dsn_of_exit(67, code, &listed);
    assert_string_equal(code, "5.1.1");
    dsn_of_exit(1, code, &listed);
    assert_false(listed);
}

TEST(notify_and_ret_are_as_the_standard_says)
{
    unsigned bits;
    enum dsn_ret ret;
    struct buf out = BUF(100);
    assert_true(dsn_notify_parse(STR("success,DELAY"), &bits));
    assert_int_equal(bits, DSN_SUCCESS | DSN_DELAY);
    dsn_notify_format(bits, &out);
    assert_string_equal(out.p, "SUCCESS,DELAY");
    assert_true(dsn_notify_parse(STR("NEVER"), &bits));
    assert_false(dsn_notify_parse(STR("NEVER,DELAY"), &bits));
    assert_false(dsn_notify_parse(STR(""), &bits));
    assert_true(dsn_notify_parse(STR("success, ,DELAY,"), &bits));
    assert_int_equal(bits, DSN_SUCCESS | DSN_DELAY);
    assert_false(dsn_notify_parse(STR(","), &bits));
    assert_false(dsn_notify_parse(STR("NEVER,x"), &bits));
    assert_true(dsn_ret_parse(STR("hdrs"), &ret));
    assert_false(dsn_ret_parse(STR("ALL"), &ret));
    assert_true(dsn_orcpt_valid(STR("rfc822;a+2Bb@c")));
    assert_false(dsn_orcpt_valid(STR("rfc822")));
    assert_false(dsn_orcpt_valid(STR(";x")));
    buf_free(&out);
}

RUN_TESTS(T(codes_are_found_at_the_front), T(codes_follow_replies_and_exits),
          T(notify_and_ret_are_as_the_standard_says))
