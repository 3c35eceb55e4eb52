/*
 * pcre, regexp and cidr tables: rules in order, if and endif, negation, groups, and wrong lines.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "dict/rules.h"

#include "test.h"

static struct buf logged = {buf_none, 0, 0, 65536, false};

static void sink(const char *level __attribute__((unused)), const char *text)
{
    buf_addf(&logged, "%s\n", text);
}

static const char *ask(const char *type, const char *rules, const char *key)
{
    static char answer[500];
    char path[] = "/tmp/test_rules.XXXXXX", spec[100];
    struct buf value = BUF(1000);
    struct why why = WHY;

    conf.pcre_match_limit = 100000;
    conf.pcre_heap_limit = 20000000;
    buf_clear(&logged);
    msg_capture(sink);
    close(mkstemp(path));
    assert_int_equal(file_replace(path, strz(rules), 0644, &why), 0);
    snprintf(spec, sizeof spec, "%s:%s", type, path);
    struct dict *d = dict_open(spec, DICT_READ, DICT_FOLD, &why);
    assert_non_null(d);
    enum dict_answer a = dict_find(d, key, &value, &why);
    snprintf(answer, sizeof answer, "%s",
             a == DICT_FAILED ? "fail"
             : a == DICT_NONE ? "none"
                              : value.p);
    dict_close(&d);
    unlink(path);
    buf_free(&value);
    why_free(&why);
    return answer;
}

struct row {
    const char *rules, *key, *answer, *warning;
};

static void check(const char *type, const struct row *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(ask(type, t[i].rules, t[i].key), t[i].answer);
        if (t[i].warning != NULL)
            assert_non_null(strstr(logged.p, t[i].warning));
        else
            assert_string_equal(logged.p, "");
    }
}

/* What pcre and regexp have in common. */
static const struct row patterns[] = {
    {"/a/ one\n/b/ two\n", "xbx", "two", NULL},
    {"/a/ one\n/b/ two\n", "AB", "one", NULL},
    {"/a/i one\n", "A", "none", NULL},
    {"!/a/ one\n", "b", "one", NULL},
    {"/(.)b(c)?/ [$1]${2}$(1)$$1\n", "xb", "[x]x$1", NULL},
    {"/(.)/ $1x\n", "a", "none", "non-numeric replacement index \"1x\": skipping this rule"},
    {"/(.)/ $2\n", "a", "none", "out of range replacement index \"2\""},
    {"/(.)/ ${1\n", "a", "none", "truncated macro reference"},
    {"!/(.)/ $1\n", "a", "none", "negative match replacement text"},
    {"/a/\n", "a", "", "line 1: no replacement text: using empty string"},
    {"/a one\n/b/ two\n", "b", "two", "no closing regexp delimiter \"/\": skipping this rule"},
    {"what\n", "b", "none", "ignoring unrecognized request"},
    {"/a/Q one\n", "a", "none", "unknown regexp option \"Q\""},
    {"/(/ one\n", "a", "none", "skipping this rule"},
    {"if /a/\n/b/ in\nendif\n/b/ out\n", "ab", "in", NULL},
    {"if /a/\n/b/ in\nendif\n/b/ out\n", "b", "out", NULL},
    {"if !/a/\n/b/ in\nendif\n/b/ out\n", "b", "in", NULL},
    {"if /a/\nif /c/\n/b/ in2\nendif\n/b/ in\nendif\n/b/ out\n", "ab", "in", NULL},
    {"if /a/\n/b/ in\n", "ab", "in", "IF has no matching ENDIF"},
    {"endif\n/b/ x\n", "b", "x", "ignoring ENDIF without matching IF"},
    {"if /a/ text\n/b/ x\nendif\n", "b", "none",
     "ignoring extra text after IF statement: \"text\""},
    {"# no\n\n/a/ one\n  two\n", "a", "one  two", NULL},
    {"|a\\|b| x\n", "zz", "none", NULL},
    {"/a\\/b/ x\n", "a/b", "x", NULL},
};

TEST(pcre_rules)
{
    static const struct row own[] = {
        {"/A/E one\n", "a", "one", NULL},     {"/^b/ x\n", "a\nb", "none", NULL},
        {"/^b/m x\n", "a\nb", "x", NULL},     {"/a.b/ x\n", "a\nb", "x", NULL},
        {"/a.b/s x\n", "a\nb", "none", NULL}, {"/a b # c\n/x x\n", "ab", "none", "no closing"},
        {"/a b/x x\n", "ab", "x", NULL},
    };

    check("pcre", patterns, sizeof patterns / sizeof *patterns);
    check("pcre", own, sizeof own / sizeof *own);
}

TEST(regexp_rules)
{
    static const struct row own[] = {
        {"/a/!/b/ x\n", "ac", "x", NULL},   {"/a/!/b/ x\n", "ab", "none", NULL},
        {"/^b/ x\n", "a\nb", "none", NULL}, {"/^b/m x\n", "a\nb", "x", NULL},
        {"/a+/x x\n", "a", "none", NULL},   {"/a+/x x\n", "a+", "x", NULL},
    };

    check("regexp", patterns, sizeof patterns / sizeof *patterns);
    check("regexp", own, sizeof own / sizeof *own);
}

TEST(a_pattern_that_takes_too_long_fails)
{
    assert_string_equal(
        ask("pcre", "/^(a+)+$/ x\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), "fail");
}

TEST(cidr_rules)
{
    static const struct row t[] = {
        {"10.0.0.0/8 ten $1\n", "10.9.8.7", "ten $1", NULL},
        {"10.0.0.0/8 ten\n", "11.9.8.7", "none", NULL},
        {"10.0.0.0/8 ten\n", "name", "none", NULL},
        {"!10.0.0.0/8 other\n", "11.9.8.7", "other", NULL},
        {"!10.0.0.0/8 other\n", "name", "none", NULL},
        {"2001:db8::/32 doc\n", "2001:db8::1", "doc", NULL},
        {"[2001:db8::]/32 doc\n", "2001:DB8::1", "doc", NULL},
        {"10.1.2.3 host\n", "10.1.2.3", "host", NULL},
        {"if 10.0.0.0/8\n10.1.0.0/16 in\nendif\n0.0.0.0/0 all\n", "10.1.2.3", "in", NULL},
        {"if 10.0.0.0/8\n10.1.0.0/16 in\nendif\n0.0.0.0/0 all\n", "10.2.2.3", "all", NULL},
        {"10.0.0.0/33 bad\n10.0.0.0/8 ok\n", "10.2.2.3", "ok", "line 1"},
        {"10.0.0.1/8 bad\n10.0.0.0/8 ok\n", "10.2.2.3", "ok", "line 1"},
    };

    check("cidr", t, sizeof t / sizeof *t);
}

RUN_TESTS(T(pcre_rules), T(regexp_rules), T(a_pattern_that_takes_too_long_fails), T(cidr_rules))
