/*
 * Queue ids.
 */
#include "base/str.h"
#include "queue/qid.h"

#include "test.h"

/* Made by Postfix 3.7: the inode of the file, and the directory it was hashed to. */
TEST(long_ids_of_postfix_are_understood)
{
    static const struct {
        const char *id, *hash;
        uint64_t inode;
    } known[] = {
        {"4jXpc50T3Kz1bYR8", "1/", 10953992},
        {"4jXpc46RRWz1bYQs", "D/", 10953978},
        {"4jXpc474gcz1bYPf", "F/", 10953916},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct buf hash = BUF(100);
        uint64_t inode;
        struct str id = strz(known[i].id);
        assert_true(qid_valid(id));
        assert_true(qid_is_long(id));
        assert_true(qid_inode(id, &inode));
        assert_int_equal(inode, known[i].inode);
        qid_hash(id, 1, &hash);
        assert_string_equal(hash.p, known[i].hash);
        buf_free(&hash);
    }
}

TEST(ids_are_made_in_both_forms)
{
    struct buf id = BUF(QID_MAX), hash = BUF(100);
    uint64_t inode;

    qid_short(&id, 1795397122236751, 0xA7223C);
    assert_string_equal(id.p, "39CCFA7223C");
    assert_false(qid_is_long(buf_str(&id)));
    assert_true(qid_inode(buf_str(&id), &inode));
    assert_int_equal(inode, 0xA7223C);
    qid_hash(buf_str(&id), 3, &hash);
    assert_string_equal(hash.p, "3/9/C/");

    /* The seconds of 4jXpc5 and the microseconds of 0T3K. */
    qid_long(&id, (int64_t)1795398181 * 1000000 + 67773, 10953992);
    assert_string_equal(id.p, "4jXpc50T3Kz1bYR8");
    buf_free(&id);
    buf_free(&hash);
}

TEST(other_names_are_no_ids)
{
    static const char *const bad[] = {"",
                                      "ABCDE",
                                      "ABC.123",
                                      "../etc",
                                      "A B C D",
                                      "ABC/DEF",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(qid_valid(strz(bad[i])));
}

RUN_TESTS(T(long_ids_of_postfix_are_understood), T(ids_are_made_in_both_forms),
          T(other_names_are_no_ids))
