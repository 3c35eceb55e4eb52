/* Which senders local_login_sender_maps lets a local user have. t/compat/test_login_sender.py asks
 * Postfix the same. */
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/msg.h"
#include "conf/conf.h"

#include "postdrop_sender.h"
#include "test.h"

static void configure(const char *delimiter)
{
    conf.recipient_delimiter = delimiter;
    conf.double_bounce_sender = "double-bounce";
    conf.empty_address_local_login_sender_maps_lookup_key = "<>";
}

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

TEST(a_sender_fits_a_pattern_or_not)
{
    static const struct {
        const char *patterns, *sender;
        bool allowed;
    } table[] = {
        {"", "bob", false},
        {" ,\t", "", false},
        {"*", "", true},
        {"*", "x@y.test", true},
        {"*@x.test", "a@x.test", false},
        {"b* bob", "bill", false},
        {"bob", "bob", true},
        {"bob", "BOB", true},
        {"bob", "bob@x.test", false},
        {"bob", "bob+ext", true},
        {"bob", "+ext", false},
        {"bob+ext", "bob+ext", false}, /* as in Postfix */
        {"a@x.test,bob@x.test", "bob+ext@X.test", true},
        {"a@x.test bob@x.test", "bob@y.test", false},
        {"@x.test", "any one@x.test", true},
        {"@x.test", "any@sub.x.test", false},
        {"@x.test", "a@y.test@x.test", true},
        {"@x.test", "a@x.test@y.test", false},
        {"@x.test", "x.test", false},
        {"@", "a@", false},
        {"<>", "", true},
        {"<>", "<>", false},
        {"bob", "", false},
        /* Of which cleanup makes another address. */
        {"bob", "bob+x%other.test", false},
        {"bob", "bob%other.test", false},
        {"bob", "bob+x!other", false},
        {"bob bob+x%other.test", "bob+x%other.test", true},
        {"@x.test", "@x.test:boss%other.test", false},
        {"@x.test", "a+b%other.test@x.test", true}, /* stays in the domain */
    };

    configure("+");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (postdrop_is_allowed(text(table[i].patterns), text(table[i].sender)) != table[i].allowed)
            fail_msg("%s: %s", table[i].patterns, table[i].sender);
    configure("");
    assert_false(postdrop_is_allowed(STR("bob"), STR("bob+ext")));
    assert_true(postdrop_is_allowed(STR("bob+ext"), STR("bob+ext")));
}

TEST(a_sender_that_is_too_long_fits_none)
{
    char *sender = calloc(1, 70001);

    configure("");
    memset(sender, 'a', 70000);
    assert_true(postdrop_is_allowed(STR("*"), (struct str){sender, 70000}));
    assert_false(postdrop_is_allowed(STR("*"), (struct str){sender, 70001}));
    free(sender);
}

static int asked(const char *maps, const char *sender, struct why *why)
{
    conf.local_login_sender_maps = maps;
    why_clear(why);
    return postdrop_may_send(text(sender), why);
}

static void no_log(const char *level, const char *line)
{
    (void)level;
    (void)line;
}

TEST(the_table_is_asked_for_the_login_name)
{
    const struct passwd *pw = getpwuid(getuid());
    struct buf maps = BUF(1000);
    struct why why = WHY;

    configure("+");
    msg_capture(no_log);
    assert_int_equal(asked("static:*", "any", &why), 0);
    assert_int_equal(asked("", "any", &why), -1);
    assert_string_equal(why.code, "5.7.1");
    assert_string_equal(why_text(&why), "not authorized to use sender='any'");
    if (pw != NULL)
        buf_addf(&maps, "inline:{{%s = one two}}", pw->pw_name);
    else
        buf_addf(&maps, "inline:{{uid:%ld = one two}}", (long)getuid());
    assert_int_equal(asked(maps.p, "two+x", &why), 0);
    assert_int_equal(asked(maps.p, "three", &why), -1);
    assert_string_equal(why.code, "5.7.1");
    assert_int_equal(asked("inline:{{nobody-has-this-name = *}}", "one", &why), -1);
    assert_string_equal(why.code, "5.7.1");
    assert_int_equal(asked("texthash:/nonexistent/file", "one", &why), -1);
    assert_string_equal(why.code, "4.3.0");
    buf_free(&maps);
    why_free(&why);
}

RUN_TESTS(T(a_sender_fits_a_pattern_or_not), T(a_sender_that_is_too_long_fits_none),
          T(the_table_is_asked_for_the_login_name))
