/*
 * Source texts: logical lines, map entries, alias entries, alias items. The alias values are what
 * Postfix's postalias makes of them.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/alias_text.h"
#include "dict/dict_make.h"

#include "test.h"

static void add_line(void *arg, struct str line, int number)
{
    buf_addf(arg, "%d[%.*s]", number, (int)line.n, line.p);
}

TEST(logical_lines_join_and_skip)
{
    static const struct {
        const char *text, *lines;
    } t[] = {
        {"a\nb\n", "1[a]2[b]"},
        {"a\n b\nc", "1[a b]3[c]"},
        {"a\n#x\n b\n", "1[a b]"},
        {"a\n\n \n b\n", "1[a b]"},
        {" a\nb\n", "1[ a]2[b]"},
        {"#a\n  #b\nc\n", "3[c]"},
        {"", ""},
        {"\n\n", ""},
        {"a\r\n", "1[a\r]"},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf out = BUF(1000);
        logical_lines(strz(t[i].text), add_line, &out);
        assert_string_equal(out.p, t[i].lines);
        buf_free(&out);
    }
}

static bool count_entry(void *arg, const char *key, const char *value, int number)
{
    size_t *sizes = arg;

    assert_in_range(number, 1, 3);
    sizes[number - 1] = strlen(key) + strlen(value);
    return true;
}

/* What is left out is mail that goes elsewhere, or that nobody refuses. */
TEST(no_line_is_too_long)
{
    enum { LONG = 20 << 20 };
    struct buf text = BUF(3 * LONG);
    size_t sizes[3] = {0};

    buf_addz(&text, "a: \"");
    for (int i = 0; i < LONG; i++)
        buf_addc(&text, '(');
    buf_addz(&text, "\"\n\"");
    for (int i = 0; i < LONG; i++)
        buf_addc(&text, '(');
    buf_addz(&text, "\": x\nc: d\n");
    assert_true(buf_ok(&text));
    for (enum source kind = SOURCE_MAP; kind <= SOURCE_ALIASES; kind++) {
        assert_true(source_read(kind, "file", buf_str(&text), count_entry, sizes));
        assert_true(sizes[0] > LONG && sizes[1] > LONG);
        assert_in_range(sizes[2], 2, 3);
    }
    buf_free(&text);
}

static void check(enum source kind, const char *line, const char *key, const char *value,
                  const char *why_said)
{
    struct buf k = BUF(1000), v = BUF(1000);
    struct why why = WHY;

    conf.smtputf8_enable = true;
    int status = source_entry(kind, strz(line), &k, &v, &why);
    if (why_said != NULL)
        assert_non_null(strstr(why_text(&why), why_said));
    else
        assert_string_equal(why_text(&why), "");
    assert_int_equal(status, key == NULL ? -1 : 0);
    if (key != NULL) {
        assert_string_equal(k.p, key);
        assert_string_equal(v.p, value);
    }
    buf_free(&k);
    buf_free(&v);
    why_free(&why);
}

TEST(map_entries)
{
    check(SOURCE_MAP, "k v", "k", "v", NULL);
    check(SOURCE_MAP, "k\t v w  ", "k", "v w", NULL);
    check(SOURCE_MAP, "\"a b\" v", "\"a b\"", "v", NULL);
    check(SOURCE_MAP, "\"a\\\" b\" v", "\"a\\\" b\"", "v", NULL);
    check(SOURCE_MAP, "\"a b v", NULL, NULL, "unbalanced '\"'");
    check(SOURCE_MAP, "k", NULL, NULL, "expected format: key whitespace value");
    check(SOURCE_MAP, "k: v", "k:", "v", "is this an alias file?");
    check(SOURCE_MAP, "k\xe9 v", NULL, NULL, "non-UTF-8 input");
}

TEST(alias_entries)
{
    static const struct {
        const char *value, *stored;
    } t[] = {
        {"alice,bob", "alice, bob"},
        {"b@c,  d", "b@c, d"},
        {"\"|/bin/cmd  a b\", /file , :include:/x/y", "\"|/bin/cmd  a b\", /file, :include:/x/y"},
        {"(comment) foo <foo@bar>, Joe <j@x.y> (more)",
         "(comment) foo <foo@bar>, Joe <j@x.y>(more)"},
        {"a . b", "a.b"},
        {"a b  c", "a b c"},
        {"\\name", "name"},
        {"c\\,d@e", "\"c,d\"@e"},
        {"\"a\\\"b\"@x", "\"a\\\"b\"@x"},
        {"\"open", "\"open\""},
        {"[a b", "[a b]"},
        {"a,,b,", "a, , b, "},
        {"x<a>", "x <a>"},
        {"<<a>>", "< <a>>"},
        {"a\\ b", "\"a b\""},
        {"|\"/bin/x y\" , b", "|\"/bin/x y\", b"},
    };
    char line[200];

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        snprintf(line, sizeof line, "name: %s", t[i].value);
        check(SOURCE_ALIASES, line, "name", t[i].stored, NULL);
    }
    check(SOURCE_ALIASES, "\"q k\": x", "q k", "x", NULL);
    check(SOURCE_ALIASES, "a:", NULL, NULL, "need name:value pair");
    check(SOURCE_ALIASES, "no colon", NULL, NULL, "need name:value pair");
    check(SOURCE_ALIASES, "a,b: x", NULL, NULL, "need name:value pair");
    check(SOURCE_ALIASES, ": x", NULL, NULL, "need name:value pair");
    check(SOURCE_ALIASES, "a@b: x", NULL, NULL, "name must be local");
    check(SOURCE_ALIASES, "\"a@b\": x", "a@b", "x", NULL);
}

TEST(items_of_an_alias)
{
    static const struct {
        const char *text, *items;
    } t[] = {
        {"a, b@c ,d", "[a][b@c][d]"},
        {"\"|cmd a, b\", x", "[|cmd a, b][x]"},
        {"|\"cmd a\"", "[|cmd a]"},
        {":include:/a/b, \"/file name\"", "[:include:/a/b][/file name]"},
        {"(c) a (d), , b", "[a][][b]"},
        {"Joe <joe@x.y>", "[Joe <joe@x.y>]"},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf item = BUF(1000), out = BUF(1000);
        struct str rest = strz(t[i].text);
        while (alias_item(&rest, &item))
            buf_addf(&out, "[%s]", item.p);
        assert_string_equal(out.p, t[i].items);
        buf_free(&item);
        buf_free(&out);
    }
}

TEST(a_zero_byte_in_an_alias_is_a_byte_like_any_other)
{
    static const char text[] = "a\0b, \0, \\\0c";
    struct str rest = {text, sizeof text - 1};
    struct buf item = BUF(1000);
    size_t n = 0;

    while (alias_item(&rest, &item) && n < 10)
        assert_true(item.n == (n == 0 ? 3 : n == 1 ? 1 : 2)), n++;
    assert_int_equal(n, 3);
    buf_free(&item);
}

TEST(an_operator_counts_outside_of_quotes_comments_and_literals)
{
    static const struct {
        const char *text, *found;
    } t[] = {
        {"a, b: c;", ": c;"}, {"\"a:b\"; x", "; x"}, {"(a;\")[x:y] a\\:b ;", ";"},
        {"(a:b", ""},         {"a, b", ""},          {"", ""},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_true(str_eqz(alias_find(strz(t[i].text), ":;"), t[i].found));
}

RUN_TESTS(T(logical_lines_join_and_skip), T(no_line_is_too_long), T(map_entries), T(alias_entries),
          T(items_of_an_alias), T(a_zero_byte_in_an_alias_is_a_byte_like_any_other),
          T(an_operator_counts_outside_of_quotes_comments_and_literals))
