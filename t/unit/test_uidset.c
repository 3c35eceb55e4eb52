/*
 * Sets of numbers: against a plain array of bits, and the text form.
 */
#include "base/str.h"
#include "store/uidset.h"

#include "test.h"

enum { N = 60 };

static void check(const struct uidset *s, const bool *bits)
{
    size_t cursor = 0, count = 0;
    uint32_t number = 0;

    for (uint32_t i = 1; i < N; i++) {
        assert_int_equal(uidset_has(s, i), bits[i]);
        count += bits[i];
        if (bits[i]) {
            assert_true(uidset_next(s, &cursor, &number));
            assert_int_equal(number, i);
        }
    }
    assert_false(uidset_next(s, &cursor, &number));
    assert_int_equal(uidset_count(s), count);
    for (size_t i = 0; i + 1 < s->n; i++)
        assert_true(s->at[i].high + 1 < s->at[i + 1].low);
}

TEST(random_changes_match_an_array)
{
    uint32_t seed = 1;

    for (int round = 0; round < 300; round++) {
        struct uidset s = UIDSET;
        bool bits[N] = {false};
        for (int step = 0; step < 25; step++) {
            seed = seed * 1103515245 + 12345;
            uint32_t low = (seed >> 8) % (N - 1) + 1, high = low + (seed >> 20) % 9;
            bool add = (seed >> 30) != 0;
            if (high >= N)
                high = N - 1;
            for (uint32_t i = low; i <= high; i++)
                bits[i] = add;
            if (add)
                uidset_add(&s, low, high);
            else
                uidset_drop(&s, low, high);
            check(&s, bits);
        }
        uidset_free(&s);
    }
}

TEST(sequence_sets_are_those_of_rfc_3501)
{
    static const struct {
        const char *text, *formatted;
    } cases[] = {
        {"1", "1"},
        {"*", "9"},
        {"1:*", "1:9"},
        {"3,1:2,7:5", "1:3,5:7"},
        {"*:12", "9:12"},
        {"5,5,5", "5"},
        {"0", NULL},
        {"", NULL},
        {"1,", NULL},
        {"1:", NULL},
        {":1", NULL},
        {"1:2:3", NULL},
        {"a", NULL},
        {"4294967296", NULL},
        {"01", NULL},
        {"1 2", NULL},
        {"4294967295", "4294967295"},
        {"1:4294967295,5", "1:4294967295"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct uidset s = UIDSET;
        struct buf out = BUF(100);
        bool good = uidset_parse(strz(cases[i].text), 9, 100, &s);
        assert_int_equal(good, cases[i].formatted != NULL);
        uidset_format(&s, &out);
        if (good)
            assert_string_equal(out.p, cases[i].formatted);
        buf_free(&out);
        uidset_free(&s);
    }
}

TEST(ranges_are_bounded_and_star_may_be_nothing)
{
    struct uidset s = UIDSET;

    assert_false(uidset_parse(STR("1,2,3"), 9, 2, &s));
    uidset_clear(&s);
    assert_true(uidset_parse(STR("*"), 0, 2, &s));
    assert_int_equal(s.n, 0);
    uidset_free(&s);
}

/* Put in one by one, each before all others, this would take minutes. */
TEST(a_set_may_have_any_order)
{
    enum { RANGES = 400000 };
    struct buf text = BUF(8 << 20);
    struct uidset s = UIDSET;

    for (unsigned n = RANGES; n > 0; n--)
        buf_addf(&text, "%u%s", 3 * n, n > 1 ? "," : "");
    assert_true(buf_ok(&text));
    assert_true(uidset_parse(buf_str(&text), 9, RANGES, &s));
    assert_int_equal(s.n, RANGES);
    assert_int_equal(s.at[0].low, 3);
    assert_int_equal(s.at[RANGES - 1].high, 3 * RANGES);
    uidset_clear(&s);
    assert_false(uidset_parse(buf_str(&text), 9, RANGES - 1, &s));
    buf_free(&text);
    uidset_free(&s);
}

RUN_TESTS(T(random_changes_match_an_array), T(sequence_sets_are_those_of_rfc_3501),
          T(ranges_are_bounded_and_star_may_be_nothing), T(a_set_may_have_any_order))
