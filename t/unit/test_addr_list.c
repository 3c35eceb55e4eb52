#include "base/str.h"
#include "mail/addr_list.h"

#include "test.h"

/* name|route|local|domain;... with "name{" and "}" for groups */
static void describe(const struct addr_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct addr *a = &list->at[i];
        if (a->kind == ADDR_GROUP)
            buf_addf(out, "%.*s{", (int)a->name.n, a->name.p);
        else if (a->kind == ADDR_GROUP_END)
            buf_addz(out, "}");
        else
            buf_addf(out, "%.*s|%.*s|%.*s|%.*s[%.*s];", (int)a->name.n, a->name.p, (int)a->route.n,
                     a->route.p, (int)a->local.n, a->local.p, (int)a->domain.n, a->domain.p,
                     (int)a->spec.n, a->spec.p);
    }
}

static void assert_described(const struct addr_list *list, const char *want)
{
    struct buf out = BUF(10000);

    describe(list, &out);
    assert_string_equal(out.n > 0 ? out.p : "", want);
    buf_free(&out);
}

TEST(lists_of_the_standard_and_of_the_world)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"John Doe <jdoe@machine.example>",
         "John Doe||jdoe|machine.example[jdoe@machine.example];"},
        {"\"Joe Q. Public\" <john.q.public@example.com>",
         "Joe Q. Public||john.q.public|example.com[john.q.public@example.com];"},
        {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         "Mary Smith||mary|x.test[mary@x.test];||jdoe|example.org[jdoe@example.org];Who?||one|y."
         "test[one@y.test];"},
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "A Group{Ed Jones||c|a.test[c@a.test];||joe|where.test[joe@where.test];John||jdoe|one."
         "test[jdoe@one.test];}"},
        {"Undisclosed recipients:;", "Undisclosed recipients{}"},
        {"a@x>, > b@y, >", "||a|x[a@x];||b|y[b@y];"},
        {"A <<a@x>>, <<<b>>> <c@y>", "A||a|x[a@x];||b|[b];||c|y[c@y];"},
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
         "Pete||pete|silly.test[pete(his account)@silly.test];"},
        {"jdoe@test   . example", "||jdoe|test.example[jdoe@test   . example];"},
        {"Joe Q. Public <john.q.public@example.com>",
         "Joe Q. Public||john.q.public|example.com[john.q.public@example.com];"},
        {"Mary Smith <@node.test:mary@example.net>, , jdoe@test",
         "Mary Smith|@node.test|mary|example.net[mary@example.net];||jdoe|test[jdoe@test];"},
        {"a@b@c, a.x@b@c (x)", "||a@b|c[a@b@c];x||a.x@b|c[a.x@b@c];"},
        {"user@host (Full Name)", "Full Name||user|host[user@host];"},
        {"alice", "||alice|[alice];"},
        {"<>", "|||[];"},
        {"\"a b\"@c", "||a b|c[\"a b\"@c];"},
        {"u@[1.2.3.4]", "||u|[1.2.3.4][u@[1.2.3.4]];"},
        {"<a@b> <c@d>", "||a|b[a@b];||c|d[c@d];"},
        /* without a comma, as Postfix reads it */
        {"John Doe jdoe@x", "||John|[John];||Doe|[Doe];||jdoe|x[jdoe@x];"},
        {"a@x b@x", "||a|x[a@x];||b|x[b@x];"},
        {"a b  c", "||a|[a];||b|[b];||c|[c];"},
        {"a@x (A) \"b c\"@x\n d", "A||a|x[a@x];||b c|x[\"b c\"@x];||d|[d];"},
        {"a @ x b . c @ y d!e f % g", "||a|x[a @ x];||b.c|y[b . c @ y];||d!e|[d!e];||f%g|[f % g];"},
        {"Joe Q. Public <j@x> k@x l@x", "Joe Q. Public||j|x[j@x];||k|x[k@x];||l|x[l@x];"},
        {"a@[1.2.3.4] b@[::1]", "||a|[1.2.3.4][a@[1.2.3.4]];||b|[::1][b@[::1]];"},
        {"=?utf-8?q?Jos=C3=A9?= <j@x>", "=?utf-8?q?Jos=C3=A9?=||j|x[j@x];"},
        {"", ""},
        {"(only a comment)", ""},
        {"a: b@c, d@e", "a{||b|c[b@c];||d|e[d@e];}"},
        {"a: b@c, d: e@f;, g@h", "a{||b|c[b@c];}d{||e|f[e@f];}||g|h[g@h];"},
        {"a: b@c, two words: e@f; ;", "a{||b|c[b@c];}two words{||e|f[e@f];}"},
        {"a:: b@c;", "a{||b|c[b@c];}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *mem = arena_new(NULL);
        struct addr_list list;
        addr_list_parse(mem, strz(cases[i].text), 1000, &list);
        assert_described(&list, cases[i].want);
        arena_free(&mem);
    }
}

TEST(in_an_alias_a_colon_without_its_semicolon_joins)
{
    static const struct {
        const char *text;
        bool ends;
        const char *want;
    } cases[] = {
        {":include:/list", false, "||:include:/list|[:include:/list];"},
        {":include:/list a", false, "||:include:/list|[:include:/list];||a|[a];"},
        {"a :include: /list b", false, "||a:include:/list|[a :include: /list];||b|[b];"},
        {"\"|c; d\" \":include:/list\"", false,
         "|||c; d|[\"|c; d\"];||:include:/list|[\":include:/list\"];"},
        {"error: a", false, "||error:a|[error: a];"},
        {"error:", false, "||error:|[error:];"},
        {"friends: a", true, "friends{||a|[a];}"},
        {"friends: a b;", false, "friends{||a|[a];||b|[b];}"},
        {":include:/list friends: a;", true, ": include: /list friends{||a|[a];}"},
        {"a: b; c: d", false, "a{||b|[b];}||c:d|[c: d];"},
        {"A <@x,@y:b@c> d:e", false, "A|@x,@y|b|c[b@c];||d:e|[d:e];"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *mem = arena_new(NULL);
        struct addr_list list;
        addr_list_parse_entry(mem, strz(cases[i].text), cases[i].ends, &list);
        assert_described(&list, cases[i].want);
        arena_free(&mem);
    }
}

TEST(printing_can_be_read_again)
{
    static const char *const cases[] = {"John Doe <jdoe@machine.example>",
                                        "\"Joe Q. Public\" <j@example.com>, jdoe@test",
                                        "A Group: c@a.test, joe@where.test;, x@y",
                                        "\"a b\"@c",
                                        "<>",
                                        "Nobody: ;"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *mem = arena_new(NULL);
        struct addr_list list;
        struct buf out = BUF(1000);
        addr_list_parse(mem, strz(cases[i]), 1000, &list);
        addr_list_print(&list, &out);
        assert_string_equal(out.p, cases[i]);
        buf_free(&out);
        arena_free(&mem);
    }
}

TEST(tokens_are_bounded)
{
    struct arena *mem = arena_new(NULL);
    struct addr_list list;
    addr_list_parse(mem, STR("a@b, c@d, e@f"), 5, &list);
    assert_true(list.cut);
    addr_list_parse(mem, STR("a@b"), 3, &list);
    assert_false(list.cut);
    arena_free(&mem);
}

RUN_TESTS(T(lists_of_the_standard_and_of_the_world),
          T(in_an_alias_a_colon_without_its_semicolon_joins), T(printing_can_be_read_again),
          T(tokens_are_bounded))
