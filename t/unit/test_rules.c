/*
 * pcre, regexp and cidr tables: rules in order, if and endif, negation, groups, and wrong lines.
 */
#include <regex.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "dict/dict_pcre.h"
#include "dict/posix_pattern.h"
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
        {"/a/!/b/ x\n", "ac", "x", NULL},     {"/a/!/b/ x\n", "ab", "none", NULL},
        {"/^b/ x\n", "a\nb", "none", NULL},   {"/^b/m x\n", "a\nb", "x", NULL},
        {"/a+/x x\n", "a", "none", NULL},     {"/a+/x x\n", "a+", "x", NULL},
        {"!/a/!/b/ x\n", "c", "x", NULL},     {"!/a/!/b/ x\n", "b", "none", NULL},
        {"!/a/!/b/ x\n", "ab", "none", NULL}, {"!/a/!/b/ x\n", "a", "none", NULL},
        {"/a/! !/b/ x\n", "ab", "x", NULL},   {"/a/!!/b/ x\n", "a", "none", NULL},
        {"!/a/!!/b/ x\n", "b", "x", NULL},    {"!/a/!!/b/ x\n", "c", "none", NULL},
    };

    check("regexp", patterns, sizeof patterns / sizeof *patterns);
    check("regexp", own, sizeof own / sizeof *own);
}

TEST(a_pattern_that_takes_too_long_fails)
{
    assert_string_equal(
        ask("pcre", "/^(a+)+$/ x\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), "fail");
}

/* The C library's own matcher would need minutes. */
TEST(a_back_reference_that_takes_too_long_fails)
{
    char key[121] = "";

    memset(key, 'a', 120);
    assert_string_equal(ask("regexp", "/^(.*)(.*)(.*)\\1\\2\\3[xy]$/ x\n", key), "fail");
}

/* All words of these letters, the short ones first. */
static void next_word(char *word)
{
    static const char letters[] = "ab]\\- A\n";
    size_t i = 0;

    for (; word[i] != 0; i++) {
        const char *at = strchr(letters, word[i]);
        word[i] = at[1] != 0 ? at[1] : letters[0];
        if (at[1] != 0)
            return;
    }
    word[i] = letters[0];
    word[i + 1] = 0;
}

TEST(a_back_reference_finds_what_the_library_finds)
{
    static const char *const same[] = {
        "(a|b)\\1",        "^(.)(.)\\2\\1$", "([ab])-\\1",        "(a)(b)?\\2",     "([]a])\\1",
        "([^]a])\\1",      "([\\a])\\1",     "\\<(a|b)\\1\\>",    "(a*)-\\1$",      "(\\w+) \\1\\b",
        "(a|ab)\\1b",      "(.)\\1{2,}",     "^([[:alpha:]])\\1", "(a)\\1|(b)\\2-", "(a{,2})b\\1",
        "\\`(a|-)+\\1\\'", "(\\])\\1",       "^(a.?b)\\1",        "a(b*)\\1\\1",    "(.)\\1\\W",
    };
    char rule[100];

    conf.pcre_match_limit = 100000;
    conf.pcre_heap_limit = 20000000;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct buf value = BUF(1000);
        char word[8] = "";
        regex_t re;
        assert_int_equal(regcomp(&re, same[i], REG_EXTENDED | (i % 2 == 0 ? REG_ICASE : 0)), 0);
        snprintf(rule, sizeof rule, "regexp:{{/%s/%s yes}}", same[i], i % 2 == 0 ? "" : "i");
        struct dict *d = dict_open(rule, DICT_READ, 0, NULL);
        for (next_word(word); strlen(word) < 5; next_word(word)) {
            enum dict_answer a = dict_find(d, word, &value, NULL);
            bool right = regexec(&re, word, 0, NULL, 0) == 0;
            if (a != (right ? DICT_FOUND : DICT_NONE))
                fail_msg("%s on \"%s\": it should %smatch", rule, word, right ? "" : "not ");
        }
        regfree(&re);
        dict_close(&d);
        buf_free(&value);
    }
}

TEST(what_cannot_be_said_to_pcre_is_told)
{
    assert_string_equal(ask("regexp", "/(a)\\1{2}*/ x\n/a/ y\n", "aa"), "y");
    assert_non_null(strstr(logged.p, "line 1: back reference together with a quantifier"));
    assert_string_equal(ask("regexp", "/(a)\\1**|x^y/ x\n/a/ y\n", "aa"), "x");
    assert_string_equal(ask("regexp", "/\\(a\\)\\1/x x\n/a/ y\n", "aa"), "y");
    assert_non_null(strstr(logged.p, "line 1: back reference together with the option x"));
    assert_string_equal(ask("regexp", "/(.)\\1/ $1!\n", "xaay"), "a!");
    assert_string_equal(ask("regexp", "/(.)\\1/!/(x)\\1/ $1\n", "aaxx"), "none");
}

static int64_t cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The C library goes through the rest of the text for each "name=": it needs seconds. */
TEST(a_long_text_does_not_cost_its_square)
{
    struct buf key = BUF(200000);
    int64_t before = cpu_ms();

    while (key.n < 100000)
        buf_addz(&key, "name=");
    buf_addz(&key, ".ex\"");
    assert_string_equal(ask("regexp", "/name=.*\\.exe\"/ x\n", key.p), "none");
    assert_string_equal(ask("regexp", "/name=[^>]*\\.(bat|com|exe)\"/ x\n", key.p), "none");
    assert_string_equal(ask("regexp", "/name=.*\\.(ex)(\")/ $1$2\n", key.p), "ex\"");
    assert_true(cpu_ms() - before < 2000);
    buf_free(&key);
}

/* The C library looks for these groups without end. */
TEST(no_groups_are_looked_for_that_the_result_does_not_have)
{
    alarm(60);
    assert_string_equal(ask("regexp", "/((^|-)*)+/ x\n", "-_"), "x");
    assert_string_equal(ask("regexp", "if /((^|-)*)+/\n/_/ x\nendif\n", "-_"), "x");
    alarm(0);
}

/* Where only the C library can match, it gets no long text. */
TEST(a_pattern_without_limits_gets_no_long_key)
{
    static const char *const rules[] = {"/\\(b\\)a*$/x $1\n", "/(b)[[=a=]]*$/ $1\n"};
    struct buf key = BUF(10000);

    for (size_t i = 0; i < 2; i++) {
        buf_set(&key, STR("b"));
        while (key.n < 8192)
            buf_addc(&key, 'a');
        assert_string_equal(ask("regexp", rules[i], key.p), "b");
        buf_addc(&key, 'a');
        assert_string_equal(ask("regexp", rules[i], key.p), "fail");
    }
    buf_free(&key);
}

/* What people write in their tables: mail with a long header must not be refused for it. */
TEST(an_ordinary_pattern_takes_a_long_key)
{
    static const struct {
        const char *rule, *answer;
    } t[] = {
        {"/b[^ -~]/ x\n", "none"},   {"/A[!-~]{3}-$/ x\n", "x"}, {"/b[+-Z]*-$/ x\n", "x"},
        {"/a[A-z]{3}a-$/ x\n", "x"}, {"/^b[.][=]/ x\n", "none"}, {"/^[.b]+(a)/ $1\n", "a"},
        {"/^b.*?-$/ x\n", "x"},      {"/^b(a+?)$/ x\n", "none"}, {"/b\\d+/ x\n", "none"},
        {"/\\B\\-/ x\n", "none"},    {"/a)|-$/ x\n", "x"},       {"/(a|^)b(a)/ $2\n", "a"},
        {"/(-$|c)|d/ x\n", "x"},     {"/(a|$)d/ x\n", "none"},   {"/a(^a)*-/ x\n", "x"},
    };
    struct buf key = BUF(10000);

    buf_set(&key, STR("b"));
    while (key.n < 9000)
        buf_addc(&key, 'a');
    buf_addc(&key, '-');
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (strcmp(ask("regexp", t[i].rule, key.p), t[i].answer) != 0)
            fail_msg("%s: it should be %s", t[i].rule, t[i].answer);
    buf_free(&key);
}

/* PCRE2 gives up; a short key is then left to the C library. */
TEST(a_short_key_is_matched_where_pcre_gives_up)
{
    assert_string_equal(ask("regexp", "/^(a+)+$/ x\n!/^(a+)+$/ y\n",
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                        "y");
}

/* A number below n, always the same ones. */
static unsigned dice(unsigned n)
{
    static uint32_t state = 1;

    state = state * 1664525u + 1013904223u;
    return (state >> 16) % n;
}

static void add_pieces(struct buf *out, const char *const *pieces, unsigned n, unsigned most)
{
    buf_clear(out);
    for (unsigned i = dice(most) + 1; i > 0; i--)
        buf_addz(out, pieces[dice(n)]);
}

/* Also the places, and what the library says of groups if it begins where PCRE2 has found it. */
static void compare_texts(const regex_t *re, void *pcre, const char *pattern, int flags)
{
    static const char *const pieces[] = {"a",    "b",    "A",  "B", "x", "-", "_", ".",
                                         "\n",   " ",    "\\", "]", "[", "^", "$", "Z",
                                         "\xe4", "\xc4", "n",  "d", "1", "("};
    struct buf text = BUF(100);
    struct rules_hit hit;

    for (int i = 0; i < 20; i++) {
        regmatch_t all[10] = {0}, from[10] = {0};
        add_pieces(&text, pieces, sizeof pieces / sizeof *pieces, 6);
        bool yes = regexec(re, text.p, 10, all, 0) == 0;
        if ((pcre_match(pcre, buf_str(&text), &hit, NULL) == RULES_YES) != yes)
            fail_msg("%s with %x on \"%s\"", pattern, (unsigned)flags, text.p);
        if (!yes)
            continue;
        from[0] = (regmatch_t){(regoff_t)hit.at[0].start, (regoff_t)text.n};
        assert_int_equal(hit.at[0].start, all[0].rm_so);
        assert_int_equal(regexec(re, text.p, 10, from, REG_STARTEND), 0);
        assert_memory_equal(all, from, sizeof all);
    }
    buf_free(&text);
}

TEST(what_is_said_to_pcre_finds_what_the_library_finds)
{
    static const char *const pieces[] = {"a",           "b",       "A",     ".",
                                         "_",           "[ab]",    "[^a]",  "[+-Z]",
                                         "[A-Z]",       "[a-z]",   "[]a]",  "[^]a]",
                                         "[\\]",        "[a-]",    "[^\\]", "[[]",
                                         "[[:upper:]]", "[a[b]",   "\\w",   "\\W",
                                         "\\s",         "\\b",     "\\B",   "\\<",
                                         "\\>",         "\\`",     "\\'",   "\\.",
                                         "\\d",         "\\n",     "\\Q",   "^",
                                         "$",           "(",       ")",     "|",
                                         "*",           "+",       "?",     "{2}",
                                         "{,2}",        "{1,}",    "{0}",   "[^[:lower:]-]",
                                         "]",           "\n",      "[--/]", "\xe4",
                                         "[\xe4-\xf0]", "[^\xe4]", "(",     ")",
                                         "\\]",         "#",       "[.b]",  "[=]",
                                         "[ -~]",       "[+-z]",   "[A-z]", "[_-~]",
                                         "[^!-a]",      "*?",      "+?",    "[\\[-`]"};
    struct buf pattern = BUF(200), said = BUF(2000);
    unsigned compared = 0;
    size_t groups;

    pcre_get();
    for (int i = 0; i < 10000; i++) {
        regex_t re;
        bool newline = dice(2) == 0, any_case = dice(2) == 0;
        int flags = REG_EXTENDED | (newline ? REG_NEWLINE : 0) | (any_case ? REG_ICASE : 0);
        add_pieces(&pattern, pieces, sizeof pieces / sizeof *pieces, 7);
        if (regcomp(&re, pattern.p, flags) != 0)
            continue;
        buf_clear(&said);
        void *pcre = posix_to_pcre(buf_str(&pattern), newline, any_case, &said, NULL) != 0
                         ? NULL
                         : pcre_compile(buf_str(&said),
                                        PCRE_NO_GROUPS | (any_case ? (unsigned)PCRE_ANY_CASE : 0) |
                                            (newline ? (unsigned)PCRE_LINES : 0),
                                        &groups, NULL);
        if (pcre != NULL) {
            compare_texts(&re, pcre, pattern.p, flags);
            pcre_free(pcre);
            compared++;
        }
        regfree(&re);
    }
    pcre_put();
    assert_true(compared > 2000);
    buf_free(&pattern);
    buf_free(&said);
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

RUN_TESTS(T(pcre_rules), T(regexp_rules), T(a_pattern_that_takes_too_long_fails),
          T(a_back_reference_that_takes_too_long_fails),
          T(a_back_reference_finds_what_the_library_finds), T(what_cannot_be_said_to_pcre_is_told),
          T(a_long_text_does_not_cost_its_square), T(a_pattern_without_limits_gets_no_long_key),
          T(no_groups_are_looked_for_that_the_result_does_not_have),
          T(an_ordinary_pattern_takes_a_long_key), T(a_short_key_is_matched_where_pcre_gives_up),
          T(what_is_said_to_pcre_finds_what_the_library_finds), T(cidr_rules))
