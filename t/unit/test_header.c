#include "base/str.h"
#include "mail/header.h"

#include "test.h"

TEST(fields_are_parted)
{
    struct str name, value;
    assert_true(header_split(STR("Subject: hello\n world\n"), &name, &value));
    assert_true(str_eqz(name, "Subject") && str_eqz(value, "hello\n world"));
    assert_true(header_split(STR("X:"), &name, &value));
    assert_true(str_eqz(value, ""));
    assert_true(header_split(STR("Date : x"), &name, &value));
    assert_true(str_eqz(name, "Date"));
    assert_false(header_split(STR(": x"), &name, &value));
    assert_false(header_split(STR("From me today"), &name, &value));
    assert_false(header_split(STR("> a: b"), &name, &value));
    assert_false(header_split(STR("a b: c"), &name, &value));
    assert_false(header_split(STR("\xc3\xa9: c"), &name, &value));
    assert_false(header_split(STR(""), &name, &value));
}

TEST(folding_and_unfolding)
{
    struct buf out = BUF(1000), flat = BUF(1000);
    header_fold(STR("To"), STR("aaaa@example.com, bbbb@example.com, cccc@example.com"), 40, &out);
    assert_string_equal(out.p, "To: aaaa@example.com, bbbb@example.com,\n\tcccc@example.com");
    header_unfold(STR("a\r\n b\n\tc"), &flat);
    assert_string_equal(flat.p, "a b\tc");
    buf_clear(&out);
    header_fold(STR("X"), STR("abcdefghijkl mn"), 5, &out);
    assert_string_equal(out.p, "X: abcdefghijkl\n\tmn");
    buf_free(&out);
    buf_free(&flat);
}

TEST(a_field_is_found_in_a_block)
{
    struct str block = STR("A: 1\r\nb: 2\r\n x\r\nA: 3\r\n\r\nA: 4\r\n"), value;
    size_t at = 0;
    assert_true(header_find(block, "a", &at, &value));
    assert_true(str_eqz(value, "1"));
    assert_true(header_find(block, "a", &at, &value));
    assert_true(str_eqz(value, "3"));
    assert_false(header_find(block, "a", &at, &value));
    at = 0;
    assert_true(header_find(block, "B", &at, &value));
    assert_true(str_eqz(value, "2\r\n x"));
}

RUN_TESTS(T(fields_are_parted), T(folding_and_unfolding), T(a_field_is_found_in_a_block))
