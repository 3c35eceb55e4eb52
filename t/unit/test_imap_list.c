/*
 * LIST of RFC 3501 and RFC 5258: what is asked for. Capabilities before and after login.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "imap_caps.h"
#include "imap_list.h"
#include "test.h"

static const char *parse(struct arena *mem, const char *text, struct list_request *l)
{
    struct imap_args a = {strz(text), mem};

    return list_parse(&a, '.', true, l);
}

TEST(list_options_are_understood)
{
    static const struct {
        const char *text;
        size_t patterns;
        bool extended;
        unsigned select, give;
    } cases[] = {
        {" \"\" *", 1, false, 0, LIST_GIVE_CHILDREN | LIST_GIVE_SPECIAL_USE},
        {" \"\" \"\"", 1, false, 0, LIST_GIVE_CHILDREN | LIST_GIVE_SPECIAL_USE},
        {" () \"\" *", 1, true, 0, 0},
        {" (SPECIAL-USE) \"\" \"*\"", 1, true, LIST_SPECIAL_USE, LIST_GIVE_SPECIAL_USE},
        {" ( subscribed  recursivematch ) \"\" %", 1, true, LIST_SUBSCRIBED | LIST_RECURSIVE,
         LIST_GIVE_SUBSCRIBED},
        {" \"\" (a \"b c\" d%) ", 3, true, 0, 0},
        {" \"\" (a \"\")", 1, true, 0, 0},
        {" \"\" * RETURN ()", 1, true, 0, 0},
        {" (REMOTE) x. {1}\r\n* RETURN (CHILDREN STATUS (MESSAGES UNSEEN) SPECIAL-USE )", 1, true,
         LIST_REMOTE, LIST_GIVE_CHILDREN | LIST_GIVE_STATUS | LIST_GIVE_SPECIAL_USE},
    };
    struct arena *mem = arena_new(NULL);
    struct list_request l;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(parse(mem, cases[i].text, &l));
        assert_int_equal(l.n, cases[i].patterns);
        assert_int_equal(l.extended, cases[i].extended);
        assert_int_equal(l.select, cases[i].select);
        assert_int_equal(l.give, cases[i].give);
    }
    arena_free(&mem);
}

TEST(what_list_does_not_know_is_refused)
{
    static const char *const bad[] = {"",
                                      " \"\"",
                                      " (BOGUS) \"\" *",
                                      " (RECURSIVEMATCH) \"\" *",
                                      " \"\" * RETURN",
                                      " \"\" * RETURN SPECIAL-USE",
                                      " \"\" * RETURN (BOGUS)",
                                      " \"\" * RETURN (STATUS)",
                                      " \"\" * RETURN (STATUS ())",
                                      " \"\" * RETURN (CHILDREN) x",
                                      " \"\" (a",
                                      " \"\" * x"};
    struct arena *mem = arena_new(NULL);
    struct list_request l;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(mem, bad[i], &l) == NULL)
            fail_msg("taken: %s", bad[i]);
    arena_free(&mem);
}

TEST(a_pattern_has_the_reference_in_front_and_inbox_in_capitals)
{
    struct arena *mem = arena_new(NULL);
    struct list_request l;

    assert_null(parse(mem, " Work. (% inbox iNbOx.% inboxes)", &l));
    assert_true(list_matches(&l, STR("Work.a"), '.') && !list_matches(&l, STR("Work.a.b"), '.'));
    assert_null(parse(mem, " \"\" (inbox iNbOx.% inboxes)", &l));
    assert_true(list_matches(&l, STR("INBOX"), '.') && list_matches(&l, STR("INBOX.x"), '.'));
    assert_true(list_matches(&l, STR("inboxes"), '.') && !list_matches(&l, STR("INBOXES"), '.'));
    arena_free(&mem);
}

/* What a pattern means, tried in every way: for short ones. */
static bool plainly_matches(const char *pattern, const char *name)
{
    if (*pattern == '\0')
        return *name == '\0';
    if (*pattern == '*' || *pattern == '%')
        return plainly_matches(pattern + 1, name) ||
               (*name != '\0' && (*pattern == '*' || *name != '.') &&
                plainly_matches(pattern, name + 1));
    return *pattern == *name && plainly_matches(pattern + 1, name + 1);
}

/* The n-th text of the letters, in some order. */
static const char *text_of(unsigned n, const char *letters, char *to)
{
    size_t i = 0, base = strlen(letters);

    for (; n > 0; n = (n - 1) / (unsigned)base)
        to[i++] = letters[(n - 1) % base];
    to[i] = '\0';
    return to;
}

TEST(every_short_pattern_matches_what_it_means)
{
    bool row[10];
    char pattern[10], name[10];
    struct str patterns[1];
    struct list_request l = {.patterns = patterns, .n = 1, .row = row};

    for (unsigned i = 0; i < 1365; i++) {
        patterns[0] = strz(text_of(i, "a.*%", pattern));
        for (unsigned k = 0; k < 363; k++)
            if (list_matches(&l, strz(text_of(k, "ab.", name)), '.') !=
                plainly_matches(pattern, name))
                fail_msg("%s and %s", pattern, name);
    }
}

TEST(no_pattern_takes_more_steps_than_its_length_and_the_names)
{
    struct arena *mem = arena_new(NULL);
    struct buf asked = BUF(1000), name = BUF(1000);
    struct list_request l;

    buf_addz(&asked, " \"\" ");
    for (int i = 0; i < 80; i++)
        buf_addz(&asked, "*%a");
    for (int i = 0; i < 250; i++)
        buf_addc(&name, 'a');
    assert_null(parse(mem, asked.p, &l));
    assert_true(list_matches(&l, buf_str(&name), '.'));
    buf_addc(&name, 'b');
    assert_false(list_matches(&l, buf_str(&name), '.'));
    assert_in_range(l.steps, 1, 2 * 2 * 252 * 241);
    buf_free(&asked);
    buf_free(&name);
    arena_free(&mem);
}

static void expect_caps(const char *setting, struct imap_caps_facts facts, const char *has,
                        const char *has_not)
{
    struct buf out = BUF(4000);

    conf.imap_capability = setting;
    imap_caps_put(&facts, &out);
    assert_true(buf_ok(&out));
    if (strstr(out.p, has) == NULL || strstr(out.p, has_not) != NULL)
        fail_msg("%s", out.p);
    buf_free(&out);
    conf.imap_capability = "";
}

TEST(capabilities_go_by_state_and_setting)
{
    struct imap_caps_facts before = {.may_start_tls = true}, after = {.logged_in = true};

    expect_caps("", before, "IMAP4rev1 SASL-IR LITERAL+", "MOVE");
    expect_caps("", before, "STARTTLS LOGINDISABLED", "MOVE");
    expect_caps("", after, "UNSELECT MOVE SPECIAL-USE LIST-EXTENDED", "LOGINDISABLED");
    expect_caps("+X-ONE X-TWO", after, "LIST-STATUS X-ONE X-TWO", "STARTTLS");
    expect_caps("+X-ONE", before, "IDLE X-ONE STARTTLS", "MOVE");
    expect_caps("IMAP4rev1 IDLE", after, "IMAP4rev1 IDLE", "MOVE");
    expect_caps("IMAP4rev1 IDLE", before, "IMAP4rev1 IDLE STARTTLS", "SASL-IR");
}

RUN_TESTS(T(list_options_are_understood), T(what_list_does_not_know_is_refused),
          T(a_pattern_has_the_reference_in_front_and_inbox_in_capitals),
          T(every_short_pattern_matches_what_it_means),
          T(no_pattern_takes_more_steps_than_its_length_and_the_names),
          T(capabilities_go_by_state_and_setting))
