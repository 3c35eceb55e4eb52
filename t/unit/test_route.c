/*
 * Classes, rewriting, resolving and recipients. t/compat/test_route.py compares them with Postfix
 * at length; here is what must never break.
 */
#include "route/recipient.h"
#include "route/rewrite.h"

#include "route_test.h"

static void configure(const char *more)
{
    load_conf(more);
    recipient_close();
    recipient_open();
}

static const char *listed(const char *address)
{
    static char answer[300];
    struct route r = ROUTE;
    struct why why = WHY;
    int reply = 0;

    if (resolve_address(RESOLVE_MAIL, "", address, &r, &why) < 0)
        snprintf(answer, sizeof answer, "resolve: %s %s", why.code, why_text(&why));
    else if (r.bad_address)
        snprintf(answer, sizeof answer, "bad");
    else {
        enum dict_answer a = recipient_find(&r, &reply, &why);
        snprintf(answer, sizeof answer, a == DICT_FOUND ? "yes" : "%d %s %s", reply, why.code,
                 why_text(&why));
    }
    route_free(&r);
    why_free(&why);
    return answer;
}

TEST(unknown_recipients_of_each_class_are_told)
{
    configure("");
    assert_string_equal(listed("alice@local.test"), "yes");
    assert_string_equal(listed("alice+x@local.test"), "yes");
    assert_string_equal(listed("Alice@LOCAL.test"), "yes");
    assert_string_equal(listed("alice@[127.0.0.1]"), "yes");
    assert_string_equal(listed("bob@local.test"),
                        "550 5.1.1 User unknown in local recipient table");
    assert_string_equal(listed("postmaster@local.test"), "yes");
    assert_string_equal(listed("alias@va.test"), "yes");
    assert_string_equal(listed("bob@va.test"), "550 5.1.1 User unknown in virtual alias table");
    assert_string_equal(listed("u+e@vm.test"), "yes");
    assert_string_equal(listed("v@vm.test"), "550 5.1.1 User unknown in virtual mailbox table");
    assert_string_equal(listed("u@r.test"), "yes");
    assert_string_equal(listed("v@r.test"), "550 5.1.1 User unknown in relay recipient table");
    assert_string_equal(listed("any@elsewhere.test"), "yes");
    assert_string_equal(listed("-x@elsewhere.test"), "bad");
    assert_string_equal(listed("x@1.2.3.4"), "bad");
}

TEST(what_nobody_can_deliver_to_is_not_valid)
{
    static const char *const bad[] = {"a@b..c",      "a@-b.c",        "a@.b",
                                      "a@1.2.3.4",   "a@[1.2.3]",     "-f@r.test",
                                      "a@[ipv6:zz]", "-f@local.test", "a@local.test@b..c"};
    static const char *const good[] = {"a@b_c.d",      "a@b.", "a@[1.2.3.4]",
                                       "a@[ipv6:::1]", "a%b",  "a-f@r.test"};

    configure("");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (resolve_is_valid(bad[i]))
            fail_msg("%s is taken", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!resolve_is_valid(good[i]))
            fail_msg("%s is not taken", good[i]);
    configure("allow_min_user = yes\n");
    assert_true(resolve_is_valid("-f@r.test"));
    configure("mydestination = fail:x\n");
    assert_true(resolve_is_valid("a@b.c"));
}

TEST(a_broken_table_defers_and_never_says_unknown)
{
    configure("local_recipient_maps = hash:/nonexistent/x\n");
    assert_string_equal(listed("bob@local.test"), "451 4.3.0 Temporary lookup failure");
    configure("virtual_alias_maps = fail:x\nvirtual_alias_domains = va.test\n");
    assert_string_equal(listed("alice@local.test"), "451 4.3.0 Temporary lookup failure");
    configure("mydestination = hash:/nonexistent/x\n");
    assert_string_equal(listed("alice@local.test"), "resolve: 4.3.0 Temporary lookup failure");
    configure("transport_maps = fail:x\n");
    assert_string_equal(listed("alice@local.test"), "resolve: 4.3.0 Temporary lookup failure");
}

TEST(a_domain_in_two_lists_is_told_once)
{
    configure("virtual_mailbox_domains = local.test, va.test\n");
    listed("alice@local.test");
    listed("alice@local.test");
    listed("alice@va.test");
    assert_string_equal(
        logged.p,
        "do not list domain local.test in BOTH mydestination and virtual_mailbox_domains\n"
        "do not list domain va.test in BOTH virtual_alias_domains and "
        "virtual_mailbox_domains\n");
}

TEST(error_transports_give_their_reason)
{
    configure("transport_maps = inline:{{x@o.test=error:5.7.1 no mail},{y@o.test=retry:wait},"
              "{z@o.test=error}}\nunknown_local_recipient_reject_code = 450\n");
    assert_string_equal(listed("x@o.test"), "550 5.7.1 no mail");
    assert_string_equal(listed("y@o.test"), "450 4.1.1 wait");
    assert_string_equal(listed("z@o.test"), "550 5.1.1 Address is undeliverable");
    assert_string_equal(listed("bob@local.test"),
                        "450 4.1.1 User unknown in local recipient table");
}

TEST(addresses_are_completed)
{
    static const struct {
        const char *in, *out;
    } t[] = {{"u", "u@mail.a.test"}, {"", ""},       {"u@h", "u@h"},    {"u@h.", "u@h"},
             {"h!u", "u@h"},         {"u%h", "u@h"}, {"@a:u@h", "u@h"}, {"u h", "u h@mail.a.test"}};

    configure("");
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf out = BUF(1000);
        rewrite_address(REWRITE_LOCAL, t[i].in, &out);
        assert_string_equal(out.p, t[i].out);
        buf_free(&out);
    }
}

static int end(void **state __attribute__((unused)))
{
    recipient_close();
    buf_free(&logged);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(unknown_recipients_of_each_class_are_told),    T(what_nobody_can_deliver_to_is_not_valid),
        T(a_broken_table_defers_and_never_says_unknown), T(a_domain_in_two_lists_is_told_once),
        T(error_transports_give_their_reason),           T(addresses_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
