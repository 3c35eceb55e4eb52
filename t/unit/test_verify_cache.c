#include "base/str.h"
#include "queue/verify_cache.h"

#include "test.h"

static const struct verify_limits limits = {.most = 3,
                                            .good_expire = 1000,
                                            .good_refresh = 100,
                                            .bad_expire = 500,
                                            .bad_refresh = 50,
                                            .keep_bad = true};
enum { NOW = 1000000 };

TEST(what_was_learned_is_known_until_it_expires)
{
    static const struct {
        enum verify_verdict verdict;
        int64_t age;
        bool known, probe;
    } table[] = {
        {VERIFY_OK, 0, true, false},     {VERIFY_OK, 100, true, false},
        {VERIFY_OK, 101, true, true},    {VERIFY_OK, 1000, true, true},
        {VERIFY_OK, 1001, false, true},  {VERIFY_NEVER, 50, true, false},
        {VERIFY_NEVER, 51, true, true},  {VERIFY_NEVER, 501, false, true},
        {VERIFY_LATER, 50, true, false}, {VERIFY_LATER, 501, false, true},
        {VERIFY_OK, -10, false, true}, /* a clock that was set back */
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct verify_cache *c = verify_cache_new(&limits);
        verify_cache_learn(c, "a@x", table[i].verdict, "why\nso", NOW);
        struct verify_entry *e = verify_cache_find(c, "a@x", NOW + table[i].age);
        assert_int_equal(e != NULL, table[i].known);
        if (e != NULL) {
            assert_int_equal(e->verdict, table[i].verdict);
            assert_string_equal(e->text, "why?so");
        }
        assert_int_equal(verify_cache_wants_probe(c, e, NOW + table[i].age), table[i].probe);
        verify_cache_free(&c);
        assert_null(c);
    }
}

TEST(a_probe_is_waited_for_until_it_counts_as_lost)
{
    struct verify_cache *c = verify_cache_new(&limits);

    verify_cache_probed(c, "a@x", NOW);
    assert_int_equal(verify_cache_in_flight(c), 1);
    struct verify_entry *e = verify_cache_find(c, "a@x", NOW + VERIFY_PROBE_LIFE);
    assert_int_equal(e->verdict, VERIFY_PENDING);
    assert_false(verify_cache_wants_probe(c, e, NOW + VERIFY_PROBE_LIFE));
    assert_null(verify_cache_find(c, "a@x", NOW + VERIFY_PROBE_LIFE + 1));
    assert_int_equal(verify_cache_in_flight(c), 0);
    verify_cache_probed(c, "a@x", NOW);
    verify_cache_learn(c, "a@x", VERIFY_LATER, "", NOW + 1);
    assert_int_equal(verify_cache_in_flight(c), 0);
    verify_cache_free(&c);
}

TEST(a_failed_probe_leaves_a_good_address_good)
{
    struct verify_cache *c = verify_cache_new(&limits);

    verify_cache_learn(c, "a@x", VERIFY_OK, "good", NOW);
    verify_cache_probed(c, "a@x", NOW + 200);
    verify_cache_learn(c, "a@x", VERIFY_NEVER, "bad", NOW + 201);
    assert_string_equal(verify_cache_find(c, "a@x", NOW + 202)->text, "good");
    assert_int_equal(verify_cache_in_flight(c), 0);
    verify_cache_probed(c, "a@x", NOW + 900); /* it expires while the probe is under way */
    assert_int_equal(verify_cache_find(c, "a@x", NOW + 1002)->verdict, VERIFY_PENDING);
    verify_cache_learn(c, "a@x", VERIFY_NEVER, "bad", NOW + 1003);
    assert_string_equal(verify_cache_find(c, "a@x", NOW + 1004)->text, "bad");
    verify_cache_free(&c);
}

TEST(without_a_negative_cache_failures_are_forgotten)
{
    struct verify_limits l = limits;
    l.keep_bad = false;
    struct verify_cache *c = verify_cache_new(&l);

    verify_cache_probed(c, "a@x", NOW);
    verify_cache_learn(c, "a@x", VERIFY_NEVER, "bad", NOW);
    assert_null(verify_cache_find(c, "a@x", NOW));
    assert_int_equal(verify_cache_in_flight(c), 0);
    verify_cache_free(&c);
}

TEST(those_of_which_nothing_was_heard_for_longest_make_room)
{
    struct verify_cache *c = verify_cache_new(&limits);

    verify_cache_probed(c, "a@x", NOW);
    verify_cache_learn(c, "b@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "c@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "b@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "d@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "e@x", VERIFY_OK, "", NOW);
    assert_int_equal(verify_cache_count(c), 3);
    assert_int_equal(verify_cache_in_flight(c), 0);
    assert_null(verify_cache_find(c, "a@x", NOW));
    assert_null(verify_cache_find(c, "c@x", NOW));
    assert_non_null(verify_cache_find(c, "b@x", NOW));
    assert_false(verify_cache_save(c, NOW + 2000, 10, NULL));
    assert_int_equal(verify_cache_count(c), 0);
    verify_cache_free(&c);
}

TEST(the_file_has_what_the_cache_has)
{
    struct verify_cache *c = verify_cache_new(&limits), *other = verify_cache_new(&limits);
    struct buf text = BUF(10000), again = BUF(10000);
    struct str rest, line;

    verify_cache_learn(c, "\"a b+\"@x", VERIFY_NEVER, "host said: 550 5.1.1 no: really", NOW);
    verify_cache_learn(c, "b@x", VERIFY_OK, "", NOW);
    assert_true(verify_cache_save(c, NOW, 1, &text));
    assert_false(verify_cache_save(c, NOW, 1, &text));
    rest = buf_str(&text);
    while (str_split(&rest, '\n', &line))
        assert_true(line.n == 0 || verify_cache_take_line(other, line));
    assert_false(verify_cache_save(other, NOW, 2, &again));
    assert_string_equal(text.p, again.p);
    assert_string_equal(verify_cache_find(other, "\"a b+\"@x", NOW)->text,
                        "host said: 550 5.1.1 no: really");
    buf_free(&text);
    buf_free(&again);
    verify_cache_free(&c);
    verify_cache_free(&other);
}

TEST(what_could_not_be_written_is_saved_anew)
{
    struct verify_cache *c = verify_cache_new(&limits);
    struct buf text = BUF(10000);

    verify_cache_learn(c, "a@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "b@x", VERIFY_OK, "", NOW);
    verify_cache_save_anew(c);
    assert_true(verify_cache_save(c, NOW, 1, &text)); /* and the disk is full */
    buf_clear(&text);
    verify_cache_save_anew(c);
    assert_false(verify_cache_save(c, NOW, 2, &text));
    assert_string_equal(text.p, "a@x 0:0:1000000:\nb@x 0:0:1000000:\n");
    buf_free(&text);
    verify_cache_free(&c);
}

TEST(the_cache_may_change_while_it_is_saved)
{
    struct verify_cache *c = verify_cache_new(&limits);
    struct buf text = BUF(10000);

    verify_cache_learn(c, "a@x", VERIFY_OK, "", NOW - 900);
    verify_cache_learn(c, "b@x", VERIFY_OK, "", NOW);
    verify_cache_learn(c, "c@x", VERIFY_OK, "", NOW);
    assert_true(verify_cache_save(c, NOW, 1, &text)); /* a; the mark stands at the begin */
    verify_cache_learn(c, "b@x", VERIFY_OK, "again", NOW + 1); /* moves to the end */
    verify_cache_learn(c, "d@x", VERIFY_OK, "", NOW + 1); /* a makes room */
    assert_int_equal(verify_cache_count(c), 3);
    assert_true(verify_cache_save(c, NOW + 1, 1, &text)); /* c */
    verify_cache_learn(c, "e@x", VERIFY_OK, "", NOW + 1); /* c makes room */
    assert_false(verify_cache_save(c, NOW + 1, 9, &text));
    assert_string_equal(text.p, "a@x 0:0:999100:\nc@x 0:0:1000000:\nb@x 0:0:1000001:again\n"
                                "d@x 0:0:1000001:\ne@x 0:0:1000001:\n");
    buf_clear(&text);
    assert_true(verify_cache_save(c, NOW + 1, 1, &text)); /* from the begin again */
    assert_string_equal(text.p, "b@x 0:0:1000001:again\n");
    buf_free(&text);
    verify_cache_free(&c); /* in the middle */
}

TEST(malformed_lines_are_left_out)
{
    static const char *const lines[] = {
        "",           "a@x",      "a@x ",        "a@x 0:1:2", "a@x 4:1:2:",  "a@x -1:1:2:",
        "a@x x:1:2:", " 0:1:2:x", "a+@x 0:1:2:", "a@x 0::2:", "a@x 0:1:-2:x"};
    struct verify_cache *c = verify_cache_new(&limits);

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_false(verify_cache_take_line(c, strz(lines[i])));
    assert_int_equal(verify_cache_count(c), 0);
    assert_true(verify_cache_take(c, "a@x", STR("0:0:1000000:250 2.1.5 Ok"))); /* Postfix's */
    assert_string_equal(verify_cache_find(c, "a@x", NOW)->text, "250 2.1.5 Ok");
    verify_cache_free(&c);
}

RUN_TESTS(T(what_was_learned_is_known_until_it_expires),
          T(a_probe_is_waited_for_until_it_counts_as_lost),
          T(a_failed_probe_leaves_a_good_address_good),
          T(without_a_negative_cache_failures_are_forgotten),
          T(those_of_which_nothing_was_heard_for_longest_make_room),
          T(the_file_has_what_the_cache_has), T(what_could_not_be_written_is_saved_anew),
          T(the_cache_may_change_while_it_is_saved), T(malformed_lines_are_left_out))
