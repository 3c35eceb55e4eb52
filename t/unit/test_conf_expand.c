/*
 * The expression language of parameter values, and logical lines. The expected results are those
 * of Postfix's postconf -x.
 */
#include "base/str.h"
#include "conf/conf_expand.h"
#include "conf/conf_lines.h"

#include "test.h"

static const char *find(struct str name, void *arg)
{
    static const char *const table[][2] = {
        {"x", "y"},         {"ten", "10"},  {"empty", ""},    {"to_empty", "$empty"},
        {"loop", "a$loop"}, {"xx", "$x$x"}, {"e1", "$e2$e2"}, {"e2", "$e1$e1"}};
    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (str_eqz(name, table[i][0]))
            return table[i][1];
    return NULL;
}

TEST(expressions_give_what_postfix_gives)
{
    static const char *const cases[][2] = {
        {"a${x}b$x.$xx", "ayby.yy"},
        {"$(x)$$x${ x }", "y$xy"},
        {"${x?a:b}", "a:b"},
        {"${x?{a}:{b}}${empty?{a}:{b}}", "ab"},
        {"${x:b}${q:b}", "b"},
        {"X${x?{ a }:{ b }}X${q: }X", "X a X X"},
        {"${q:  {a} }X${x? {a} : b }", "aXa"},
        {"${to_empty?1}${to_empty:0}", "1"},
        {"${{$x} == {y} ? {yes} : {no}}", "yes"},
        {"${{$x} != {y}:{yes}}", "yes"},
        {"${{a} == {a}}${{a} == {b}}", "true"},
        {"${{ a } == {a}?{1}:{0}}", "0"},
        {"${{2} < {10}?{lt}:{ge}}${{-5} < {-10}?{lt}:{ge}}", "ltge"},
        {"${{10} == {010}?{1}:{0}}", "1"},
        {"${{3.10} >=level {3.6}?{1}:{0}}", "1"},
        {"${{05.01} ==level {5.1}?1}", "1"},
        {"${{3} !=level {3.0}?{1}:{0}}", "0"},
        {"${{a}=={b}?{$x}:{${x}-}}", "y-"},
        {"$(x?a(b)c)${x?{a{b}c}:{d}}${x?}}", "a(b)ca{b}c}"},
        {"a$$$$b$$", "a$$b$"},
    };
    struct buf out = BUF(1000);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct why why = WHY;
        buf_clear(&out);
        if (conf_expand_text(strz(cases[i][0]), EXPAND_RECURSE, find, NULL, &out, &why) < 0)
            fail_msg("%s: %s", cases[i][0], why_text(&why));
        assert_string_equal(out.p, cases[i][1]);
    }
    buf_free(&out);
}

TEST(what_is_malformed_is_refused)
{
    static const char *const cases[] = {
        "${x",
        "${x.y}",
        "${x!no}",
        "$",
        "$-a",
        "a$",
        "${x?{a}b}",
        "${x?{a}:{b}c}",
        "${x?{a} {b}}",
        "${{a}}",
        "${{a} = {a}?{1}}",
        "${}",
        "$()",
        "${x:{a}:}",
        "${x?{a}:{b}:{c}}",
        "${{a}==b?1}",
        "${{a}==level{1}?1}",
        "${{3 } <level {3}?1}",
        "${{3.} <level {3}?1}",
        "${{99999999999999999999} > {9}?1}",
        "$(x{)",
        "${$x}",
        "$loop",
        "$e1",
        "$(x?{a)",
    };
    struct buf out = BUF(1000);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (conf_expand_text(strz(cases[i]), EXPAND_RECURSE, find, NULL, &out, NULL) == 0)
            fail_msg("%s was accepted", cases[i]);
    buf_free(&out);
}

TEST(values_are_left_alone_without_recursion)
{
    struct buf out = BUF(10);

    assert_int_equal(conf_expand_text(STR("$loop"), 0, find, NULL, &out, NULL), 0);
    assert_string_equal(out.p, "a$loop");
    assert_int_equal(conf_expand_text(STR("$loop"), 0, find, NULL, &out, NULL), -1);
    buf_free(&out);
}

TEST(logical_lines_join_and_skip)
{
    struct conf_lines l = CONF_LINES(STR("# c\n\na = b\n  c\n# in between\n\t d  \n   \nx=1\n\n"
                                         "y\r\n  # tail\n z"));
    struct buf line = BUF(100);
    unsigned first, last;

    assert_true(conf_lines_next(&l, &line, &first, &last));
    assert_string_equal(line.p, "a = b  c\t d");
    assert_int_equal(first, 3);
    assert_int_equal(last, 6);
    assert_true(conf_lines_next(&l, &line, &first, &last));
    assert_string_equal(line.p, "x=1");
    assert_int_equal(first, 8);
    assert_int_equal(last, 8);
    assert_true(conf_lines_next(&l, &line, &first, &last));
    assert_string_equal(line.p, "y\r z");
    assert_int_equal(last, 12);
    assert_false(conf_lines_next(&l, &line, &first, &last));
    buf_free(&line);
}

TEST(settings_are_cut_at_the_first_equals)
{
    struct str name, value;

    assert_null(conf_split_setting(STR(" a\t= =b = c "), &name, &value));
    assert_true(str_eqz(name, "a") && str_eqz(value, "=b = c"));
    assert_null(conf_split_setting(STR("a="), &name, &value));
    assert_int_equal(value.n, 0);
    assert_non_null(conf_split_setting(STR("a b = c"), &name, &value));
    assert_non_null(conf_split_setting(STR("= c"), &name, &value));
    assert_non_null(conf_split_setting(STR("a"), &name, &value));
}

RUN_TESTS(T(expressions_give_what_postfix_gives), T(what_is_malformed_is_refused),
          T(values_are_left_alone_without_recursion), T(logical_lines_join_and_skip),
          T(settings_are_cut_at_the_first_equals))
