#include "base/str.h"
#include "mail/msgid.h"

#include "test.h"

TEST(references_are_listed)
{
    struct str rest = STR("<a@b>\r\n\t<c@d> junk <> < e@f > <\"x>y\"@z> <open"), id;
    static const char *const want[] = {"a@b", "c@d", "e@f", "\"x>y\"@z"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(msgid_next(&rest, &id));
        assert_true(str_eqz(id, want[i]));
    }
    assert_false(msgid_next(&rest, &id));
}

TEST(an_unpaired_quote_hides_nothing)
{
    struct str rest = STR("<\"bad@b> <good@d>"), id;
    assert_true(msgid_next(&rest, &id));
    assert_true(str_eqz(id, "good@d"));
}

TEST(an_identifier_is_made)
{
    struct buf out = BUF(200);
    msgid_format(880127706, "ABC123", "mx.example.com", &out);
    assert_string_equal(out.p, "<19971121155506.ABC123@mx.example.com>");
    buf_free(&out);
}

RUN_TESTS(T(references_are_listed), T(an_unpaired_quote_hides_nothing), T(an_identifier_is_made))
