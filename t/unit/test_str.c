/*
 * Slices, numbers, errors, arenas.
 */
#include <errno.h>

#include "base/arena.h"
#include "base/num.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/why.h"

#include "test.h"

TEST(split_keeps_empty_fields_and_word_skips_them)
{
    struct str rest = STR("a,,b"), field;
    int n = 0;
    while (str_split(&rest, ',', &field))
        n++;
    assert_int_equal(n, 3);
    rest = STR(" ,a ,, b");
    n = 0;
    while (str_word(&rest, ", ", &field))
        n++;
    assert_int_equal(n, 2);
}

TEST(a_braced_group_is_one_word)
{
    struct str rest = STR("a, inline:{ b=c, {d = e} }, f"), word;
    assert_true(str_word_braces(&rest, ", ", &word));
    assert_true(str_word_braces(&rest, ", ", &word));
    assert_true(str_eqz(word, "inline:{ b=c, {d = e} }"));
    assert_true(str_word_braces(&rest, ", ", &word));
    assert_true(str_eqz(word, "f"));
}

TEST(searching_finds_first_and_last)
{
    struct str s = STR("Content-Type: TEXT");
    assert_int_equal(str_find(s, 't'), 3);
    assert_int_equal(str_rfind(s, 'T'), 17);
    assert_int_equal(str_isearch(s, STR("text")), 14);
    assert_int_equal(str_search(s, STR("text")), -1);
    assert_true(str_istarts(s, STR("content-")) && str_iends(s, STR("Text")));
    assert_true(str_eqz(str_trim(STR(" \t a b\r\n")), "a b"));
}

TEST(numbers_are_whole_in_range_and_do_not_overflow)
{
    int64_t n = 7;
    assert_false(num_parse(STR(""), 0, 9, &n));
    assert_false(num_parse(STR("1 "), 0, 9, &n));
    assert_false(num_parse(STR("+1"), 0, 9, &n));
    assert_false(num_parse(STR("10"), 0, 9, &n));
    assert_false(num_parse(STR("99999999999999999999"), 0, INT64_MAX, &n));
    assert_int_equal(n, 7);
    assert_true(num_parse(STR("-5"), -9, 9, &n));
    assert_int_equal(n, -5);
    assert_true(num_parse_time(STR("5d"), 's', 0, INT64_MAX, &n));
    assert_int_equal(n, 432000);
    assert_true(num_parse_time(STR("2"), 'h', 0, INT64_MAX, &n));
    assert_int_equal(n, 7200);
    assert_false(num_parse_time(STR("5x"), 's', 0, INT64_MAX, &n));
    assert_false(num_parse_time(STR("9223372036854775807w"), 's', 0, INT64_MAX, &n));
}

TEST(context_of_an_error_goes_in_front_and_text_is_clean)
{
    struct why why = WHY;
    errno = ENOENT;
    assert_int_equal(why_errno(&why, "4.3.0", "open \"a\nb\""), -1);
    why_in(&why, "alias_maps");
    assert_string_equal(why_text(&why), "alias_maps: open \"a?b\": No such file or directory");
    assert_string_equal(why.code, "4.3.0");
    assert_true(why_later(&why));
    assert_int_equal(why_set(NULL, "5.0.0", "nobody asks"), -1);
    why_free(&why);
}

TEST(long_error_text_is_cut_not_lost)
{
    struct why why = WHY;
    why_set(&why, "5.0.0", "%06000d", 5);
    assert_int_equal(why.text.n, WHY_MOST);
    assert_string_equal(why_text(&why) + WHY_MOST - 5, "00...");
    for (int i = 0; i < 3; i++) { /* no character is cut in two */
        why_set(&why, "5.0.0", "%.*s", i, "aa");
        for (int k = 0; k < WHY_MOST; k++)
            why_in(&why, "\u00e4\u00f6");
        assert_true(str_ends(buf_str(&why.text), STR("...")));
        assert_true(utf8_valid(buf_str(&why.text)));
        why_set(&why, "5.0.0", "%0*d\u00e4", WHY_MOST - 4 + i, 5);
        assert_true(utf8_valid(buf_str(&why.text)));
    }
    why_free(&why);
}

TEST(a_child_arena_goes_with_its_parent)
{
    struct arena *a = arena_new(NULL), *b = arena_new(a), *c = arena_new(a);
    assert_string_equal(arena_printf(b, "%s-%d", "x", 5), "x-5");
    char *big = arena_alloc(c, 1 << 20);
    assert_int_equal(big[12345], 0);
    arena_free(&b);
    for (int i = 0; i < 1000; i++)
        arena_strz(a, STR("some words in the arena"));
    assert_true(arena_used(a) >= 24000);
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    arena_strz(arena_new(a), STR("a secret in a child"));
    arena_strz(a, STR("a secret"));
    arena_wipe(a);
    assert_int_equal(arena_used(a), 0);
    assert_string_equal(arena_strz(a, STR("again")), "again");
    arena_free(&a);
}

TEST(braces_go_only_as_a_pair_around_all)
{
    static const struct {
        const char *text, *inside;
    } cases[] = {{"{a b}", "a b"}, {"{ {a} }", "{a}"}, {"{}", ""},    {"", NULL},
                 {"a", NULL},      {"{", NULL},        {"{a", NULL},  {"a}", NULL},
                 {"}{", NULL},     {"{a}{b}", NULL},   {"{a}b", NULL}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str s = strz(cases[i].text);
        assert_int_equal(str_unbrace(&s), cases[i].inside != NULL);
        assert_true(str_eqz(s, cases[i].inside != NULL ? cases[i].inside : cases[i].text));
    }
}

TEST(lists_are_separated_by_commas_and_white_space)
{
    assert_true(str_listed("a, b\tc\r\n d", "d"));
    assert_false(str_listed("a, b", "B"));
    assert_false(str_listed("ab", "a"));
    assert_false(str_listed("a,,b", ""));
    assert_false(str_listed("", "a"));
    assert_true(str_has_word("x,y", STR("y")));
    assert_true(str_ilisted("a, B", STR("b")));
}

TEST(words_of_a_list_become_bits_and_the_first_unknown_one_is_told)
{
    static const struct str_flag names[] = {{"one", 1}, {"two", 2}, {"both", 3}, {0}};
    struct str unknown = STR("");
    unsigned bits = 9;

    assert_true(str_flags("", names, &bits, &unknown));
    assert_int_equal(bits, 0);
    assert_true(str_flags("TWO,\tone", names, &bits, &unknown));
    assert_int_equal(bits, 3);
    assert_false(str_flags("one three four", names, &bits, &unknown));
    assert_int_equal(bits, 1);
    assert_true(str_eqz(unknown, "three"));
}

RUN_TESTS(T(lists_are_separated_by_commas_and_white_space),
          T(words_of_a_list_become_bits_and_the_first_unknown_one_is_told),
          T(braces_go_only_as_a_pair_around_all), T(split_keeps_empty_fields_and_word_skips_them),
          T(a_braced_group_is_one_word), T(searching_finds_first_and_last),
          T(numbers_are_whole_in_range_and_do_not_overflow),
          T(context_of_an_error_goes_in_front_and_text_is_clean),
          T(long_error_text_is_cut_not_lost), T(a_child_arena_goes_with_its_parent))
