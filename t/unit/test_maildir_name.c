/*
 * Names of message files: round trips, sizes, what is odd, what is none.
 */
#include "base/str.h"
#include "store/mailbox.h"
#include "store/maildir_name.h"

#include "test.h"

TEST(names_are_taken_apart_and_put_together)
{
    static const struct {
        const char *name, *base;
        bool bare, odd;
        uint32_t flags;
        int size, vsize;
    } cases[] = {
        {"1.a.h", "1.a.h", true, false, 0, 0, 0},
        {"1.a.h:2,", "1.a.h", false, false, 0, 0, 0},
        {"1.a.h,S=10,W=12:2,FS", "1.a.h,S=10,W=12", false, false, MSG_FLAGGED | MSG_SEEN, 10, 12},
        {"1.a.h:2,DFPRST", "1.a.h", false, false, MSG_FLAGS, 0, 0},
        {"1.a.h:2,Sab", "1.a.h", false, false, MSG_SEEN, 0, 0},
        {"1.a.h:2,SF", "1.a.h:2,SF", false, true, MSG_FLAGGED | MSG_SEEN, 0, 0},
        {"1.a.h:2,SS", "1.a.h:2,SS", false, true, MSG_SEEN, 0, 0},
        {"1.a.h:1,S", "1.a.h:1,S", false, true, 0, 0, 0},
        {"1.a.h:2,SX", "1.a.h:2,SX", false, true, MSG_SEEN, 0, 0},
        {":2,S", ":2,S", false, true, MSG_SEEN, 0, 0},
        {"1,S=x", "1,S=x", true, false, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maildir_name n;
        struct buf out = BUF(300);
        assert_true(maildir_name_parse(strz(cases[i].name), &n));
        assert_true(str_eqz(n.base, cases[i].base));
        assert_int_equal(n.bare, cases[i].bare);
        assert_int_equal(n.odd, cases[i].odd);
        assert_int_equal(maildir_flags(n.letters), cases[i].flags);
        assert_int_equal(maildir_name_size(n.base), cases[i].size);
        assert_int_equal(maildir_name_vsize(n.base), cases[i].vsize);
        if (!n.odd) {
            maildir_name_format(n.base, n.bare, n.letters, &out);
            assert_string_equal(out.p, cases[i].name);
        }
        buf_free(&out);
    }
}

TEST(hidden_and_impossible_names_are_no_messages)
{
    struct maildir_name n;
    char longest[257] = "";

    assert_false(maildir_name_parse(STR(""), &n));
    assert_false(maildir_name_parse(STR(".hidden"), &n));
    assert_false(maildir_name_parse(STR("a/b"), &n));
    assert_false(maildir_name_parse(STR("a\nb"), &n));
    memset(longest, 'a', 256);
    assert_false(maildir_name_parse(strz(longest), &n));
}

TEST(letters_and_flags_correspond)
{
    for (uint32_t flags = 0; flags <= MSG_FLAGS; flags++) {
        uint32_t letters = maildir_letters(flags, 5);
        assert_int_equal(maildir_flags(letters), flags);
        assert_int_equal(maildir_keywords(letters), 5);
    }
}

RUN_TESTS(T(names_are_taken_apart_and_put_together), T(hidden_and_impossible_names_are_no_messages),
          T(letters_and_flags_correspond))
