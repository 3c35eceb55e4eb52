#include "base/str.h"
#include "mail/policy.h"

#include "test.h"

TEST(request_is_as_the_protocol_wants_it)
{
    struct buf request = BUF(200);
    policy_put(&request, "request", "smtpd_access_policy");
    policy_put(&request, "sender", NULL);
    policy_put_number(&request, "size", 12);
    policy_end(&request);
    assert_string_equal(request.p, "request=smtpd_access_policy\nsender=\nsize=12\n\n");
    buf_free(&request);
}

TEST(value_makes_no_second_attribute)
{
    struct buf request = BUF(200);
    policy_put(&request, "sender", "a\naction=ok\r\n\n\x7f\tb=\xc3\xb6");
    assert_string_equal(request.p, "sender=a?action=ok????\?b=\xc3\xb6\n");
    buf_free(&request);
}

/* What comes of these lines; the text of a reply's action or of what is wrong. */
static enum policy_line replied(const char *lines, char text[200])
{
    struct policy_reply r = POLICY_REPLY(60);
    struct str rest = strz(lines), line;
    struct why why = WHY;
    enum policy_line what = POLICY_MORE;

    while (what == POLICY_MORE && str_split(&rest, '\n', &line))
        what = policy_reply_line(&r, line, &why);
    snprintf(text, 200, "%s", what == POLICY_WRONG ? why_text(&why) : r.action.p);
    policy_reply_free(&r);
    why_free(&why);
    return what;
}

TEST(reply_is_its_first_action)
{
    static const struct {
        const char *lines;
        enum policy_line what;
        const char *text;
    } cases[] = {
        {"action=dunno\n\n", POLICY_DONE, "dunno"},
        {"action=550 5.7.1 a=b\tc\n\n", POLICY_DONE, "550 5.7.1 a=b\tc"},
        {"x=y\naction=ok\naction=reject\nz=\n\n", POLICY_DONE, "ok"},
        {"action=\n\n", POLICY_DONE, ""},
        {"action=ok", POLICY_MORE, "ok"},
        {"Action=ok\n\n", POLICY_WRONG, "the reply has no action"},
        {"\n\n", POLICY_WRONG, "the reply has no action"},
        {"action ok\n\n", POLICY_WRONG, "a line of the reply is not name=value"},
        {"=ok\n\n", POLICY_WRONG, "a line of the reply is not name=value"},
        {"action=prepend a: b\rc: d\n\n", POLICY_WRONG, "the reply has a control character"},
        {"a=1\nb=2\nc=3\nd=4\ne=5\nf=6\ng=7\nh=8\ni=9\nj=10\nk=11\nl=12\nm=13\nn=14\no=15\np=16\n",
         POLICY_WRONG, "the reply is too long"},
        {"action=0123456789012345678901234567890123456789012345678901234567890\n\n", POLICY_WRONG,
         "the reply is too long"},
    };
    char text[200];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(replied(cases[i].lines, text), cases[i].what);
        assert_string_equal(text, cases[i].text);
    }
}

TEST(reply_with_a_zero_byte_is_none)
{
    struct policy_reply r = POLICY_REPLY(60);
    struct why why = WHY;
    assert_int_equal(policy_reply_line(&r, STR("action=ok\0 550"), &why), POLICY_WRONG);
    policy_reply_free(&r);
    why_free(&why);
}

TEST(reply_can_be_cleared_for_the_next_one)
{
    struct policy_reply r = POLICY_REPLY(60);
    assert_int_equal(policy_reply_line(&r, STR("action=ok"), NULL), POLICY_MORE);
    policy_reply_clear(&r);
    assert_int_equal(policy_reply_line(&r, STR(""), NULL), POLICY_WRONG);
    policy_reply_clear(&r);
    assert_int_equal(policy_reply_line(&r, STR("action=reject"), NULL), POLICY_MORE);
    assert_int_equal(policy_reply_line(&r, STR(""), NULL), POLICY_DONE);
    assert_string_equal(r.action.p, "reject");
    policy_reply_free(&r);
}

RUN_TESTS(T(request_is_as_the_protocol_wants_it), T(value_makes_no_second_attribute),
          T(reply_is_its_first_action), T(reply_with_a_zero_byte_is_none),
          T(reply_can_be_cleared_for_the_next_one))
