#include "base/str.h"
#include "mail/verp.h"

#include "test.h"

TEST(a_sender_for_each_recipient)
{
    static const struct {
        const char *sender, *rcpt, *delimiters, *result;
    } cases[] = {
        {"list@here.test", "user@there.test", "+=", "list+user=there.test@here.test"},
        {"list-owner@here.test", "u+x@there.test", "-=", "list-owner-u+x=there.test@here.test"},
        {"list", "user@there.test", "+=", "list+user=there.test"},
        {"list@here.test", "user", "+=", "list+user@here.test"},
        {"a@b@here.test", "u@v@there.test", "=-", "a@b=u@v-there.test@here.test"},
        {"list@here.test", "user@", "+=", "list+user=@here.test"},
        {"list@here.test", "", "+=", "list+@here.test"},
        {"list@here.test", "a b@there.test", "+=", "list+a b=there.test@here.test"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(1000);
        verp_sender(strz(cases[i].sender), strz(cases[i].rcpt), cases[i].delimiters, &out);
        assert_string_equal(out.p, cases[i].result);
        buf_free(&out);
    }
}

TEST(two_of_the_allowed_characters)
{
    static const char *const good[] = {"+=", "--", "=-"};
    static const char *const bad[] = {"", "+", "+=+", "+.", ".+", "  "};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(verp_delimiters_ok(strz(good[i]), "-=+"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(verp_delimiters_ok(strz(bad[i]), "-=+"));
}

RUN_TESTS(T(a_sender_for_each_recipient), T(two_of_the_allowed_characters))
