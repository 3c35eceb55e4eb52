/*
 * Address classes, and transport_maps.
 */
#include "route/classes.h"
#include "route/transport.h"

#include "route_test.h"

static void configure(const char *more)
{
    load_conf(more);
    classes_close();
    classes_open();
}

static int class_number(const char *domain)
{
    enum class c = CLASS_DEFAULT;
    struct why why = WHY;
    enum dict_answer a = class_of(domain, &c, &why);

    why_free(&why);
    return a == DICT_FAILED ? -1 : (int)c;
}

TEST(each_domain_has_its_class)
{
    configure("");
    assert_int_equal(class_number("local.test"), CLASS_LOCAL);
    assert_int_equal(class_number("[127.0.0.1]"), CLASS_LOCAL);
    assert_int_equal(class_number("va.test"), CLASS_VIRTUAL_ALIAS);
    assert_int_equal(class_number("vm.test"), CLASS_VIRTUAL_MAILBOX);
    assert_int_equal(class_number("R.TEST"), CLASS_RELAY);
    assert_int_equal(class_number("elsewhere.test"), CLASS_DEFAULT);
    assert_int_equal(class_number("[192.0.2.1]"), CLASS_DEFAULT);
}

TEST(a_list_that_cannot_be_asked_makes_no_class)
{
    configure("relay_domains = fail:x\n");
    assert_int_equal(class_number("local.test"), CLASS_LOCAL);
    assert_int_equal(class_number("elsewhere.test"), -1);
}

TEST(a_domain_of_two_lists_is_warned_about)
{
    configure("virtual_alias_domains = local.test\n");
    assert_int_equal(class_number("local.test"), CLASS_LOCAL);
    assert_non_null(strstr(logged.p, "local.test"));
    assert_non_null(strstr(logged.p, "mydestination"));
}

TEST(myorigin_has_users_though_it_is_not_delivered_here)
{
    struct why why = WHY;

    configure("myorigin = origin.test\n");
    assert_int_equal(domain_has_users("origin.test", &why), DICT_FOUND);
    assert_int_equal(domain_is_local("origin.test", &why), DICT_NONE);
    why_free(&why);
}

static const char *transport_of(const char *table, const char *recipient, const char *domain)
{
    static char answer[300];
    struct maps *m = maps_open("transport_maps", table, DICT_FOLD);
    struct buf transport = BUF(200), nexthop = BUF(200);
    struct why why = WHY;

    buf_addz(&transport, "smtp");
    buf_addz(&nexthop, "hop.test");
    enum dict_answer a = transport_find(m, recipient, domain, &transport, &nexthop, &why);
    snprintf(answer, sizeof answer, a == DICT_FAILED ? "failed" : "%s:%s", transport.p, nexthop.p);
    maps_close(&m);
    buf_free(&transport);
    buf_free(&nexthop);
    why_free(&why);
    return answer;
}

TEST(the_address_is_looked_up_before_the_domain_its_parents_and_the_star)
{
    const char *table =
        "inline:{ {u@d.x.test = one:1} {d.x.test = two:2} {.x.test = three:3} {* = four:4} }";

    configure("parent_domain_matches_subdomains =\n");
    assert_string_equal(transport_of(table, "u@d.x.test", "d.x.test"), "one:1");
    assert_string_equal(transport_of(table, "u+ext@d.x.test", "d.x.test"), "one:1");
    assert_string_equal(transport_of(table, "v@d.x.test", "d.x.test"), "two:2");
    assert_string_equal(transport_of(table, "v@e.x.test", "e.x.test"), "three:3");
    assert_string_equal(transport_of(table, "v@x.test", "x.test"), "four:4");
}

TEST(parents_have_no_dot_where_the_parameter_says_so)
{
    configure("parent_domain_matches_subdomains = transport_maps\n");
    assert_string_equal(transport_of("inline:{x.test=t:h}", "u@d.x.test", "d.x.test"), "t:h");
}

TEST(what_is_found_changes_transport_next_hop_or_both)
{
    configure("");
    assert_string_equal(transport_of("inline:{d.test=lmtp:}", "u@d.test", "d.test"), "lmtp:d.test");
    assert_string_equal(transport_of("inline:{d.test=:[mx.test]}", "u@d.test", "d.test"),
                        "smtp:[mx.test]");
    assert_string_equal(transport_of("inline:{d.test=:}", "u@d.test", "d.test"), "smtp:hop.test");
    assert_string_equal(transport_of("inline:{other.test=a:b}", "u@d.test", "d.test"),
                        "smtp:hop.test");
    assert_string_equal(transport_of("fail:x", "u@d.test", "d.test"), "failed");
}

RUN_TESTS(T(each_domain_has_its_class), T(a_list_that_cannot_be_asked_makes_no_class),
          T(a_domain_of_two_lists_is_warned_about),
          T(myorigin_has_users_though_it_is_not_delivered_here),
          T(the_address_is_looked_up_before_the_domain_its_parents_and_the_star),
          T(parents_have_no_dot_where_the_parameter_says_so),
          T(what_is_found_changes_transport_next_hop_or_both))
