/*
 * The order in which the parts of an address, a domain, a host address are looked up; match lists.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/match.h"

#include "test.h"

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

static void prepare(void)
{
    msg_capture(sink);
    conf.recipient_delimiter = "+";
    conf.owner_request_special = true;
    conf.double_bounce_sender = "double-bounce";
    conf.parent_domain_matches_subdomains = "relay_domains";
    conf.pcre_match_limit = 100000;
    conf.pcre_heap_limit = 20000000;
}

static enum dict_answer is_local(const char *domain, struct why *why)
{
    if (strcmp(domain, "fail.test") == 0) {
        why_set(why, "4.3.0", "x");
        return DICT_FAILED;
    }
    return strcmp(domain, "local.test") == 0 ? DICT_FOUND : DICT_NONE;
}

static const char *find(const char *table, const char *address, unsigned parts)
{
    static char answer[300];
    struct maps *m = maps_open("test", table, DICT_FOLD);
    struct buf value = BUF(1000), ext = BUF(1000);
    struct why why = WHY;
    enum dict_answer a = addr_find(m, address, parts, is_local, &value, &ext, &why);

    snprintf(answer, sizeof answer, "%s%s", a == DICT_FAILED ? "fail" : value.p, ext.p);
    maps_close(&m);
    buf_free(&value);
    buf_free(&ext);
    why_free(&why);
    return answer;
}

TEST(addresses_are_looked_up_in_order)
{
    static const struct {
        const char *table, *address;
        unsigned parts;
        const char *answer;
    } t[] = {
        {"inline:{u+e@x.y=1,u@x.y=2,@x.y=5}", "U+e@X.y", ADDR_DEFAULT, "1"},
        {"inline:{u@x.y=2,@x.y=5}", "u+e@x.y", ADDR_DEFAULT, "2+e"},
        {"inline:{u=3,@x.y=5}", "u+e@x.y", ADDR_DEFAULT, "5"},
        {"inline:{u=3,u+e=4}", "u+e@local.test", ADDR_DEFAULT, "4"},
        {"inline:{u=3,@local.test=5}", "u+e@local.test", ADDR_DEFAULT, "3+e"},
        {"inline:{u=3}", "u@fail.test", ADDR_DEFAULT, "fail"},
        {"inline:{u@fail.test=3}", "u@fail.test", ADDR_DEFAULT, "3"},
        {"inline:{u=3}", "u", ADDR_DEFAULT, "3"},
        {"inline:{u=3}", "u+x", ADDR_DEFAULT, "3+x"},
        {"inline:{x.y=1}", "u@x.y", ADDR_FULL | ADDR_DOMAIN, "1"},
        {"inline:{y=1}", "u@x.y", ADDR_DOMAIN | ADDR_PARENTS, "1"},
        {"inline:{.y=1}", "u@x.y", ADDR_DOMAIN | ADDR_PARENTS, ""},
        {"inline:{.y=1}", "u@x.y", ADDR_DOMAIN | ADDR_DOT_PARENTS, "1"},
        {"inline:{y=1}", "u@x.y", ADDR_DOMAIN | ADDR_DOT_PARENTS, ""},
        {"inline:{u@=1}", "u+e@x.y", ADDR_FULL | ADDR_LOCALPART_AT, "1+e"},
        {"inline:{u+e@=1}", "u+e@x.y", ADDR_FULL | ADDR_LOCALPART_AT, "1"},
        {"inline:{\"a b\"@x.y=1}", "a b@x.y", ADDR_DEFAULT, "fail"},
        {"inline:{{\"a b\"@x.y=1}}", "a b@x.y", ADDR_DEFAULT, "1"},
        {"inline:{{a b@x.y=1}}", "a b@x.y", ADDR_DEFAULT, "1"},
        {"fail:x inline:{u@x.y=1}", "u@x.y", ADDR_DEFAULT, "fail"},
        {"inline:{u@x.y=1} fail:x", "u@x.y", ADDR_DEFAULT, "1"},
        {"hash:/nonexistent/x", "u@x.y", ADDR_DEFAULT, "fail"},
        {"", "u@x.y", ADDR_DEFAULT, ""},
    };

    prepare();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_string_equal(find(t[i].table, t[i].address, t[i].parts), t[i].answer);
}

TEST(tables_of_patterns_see_the_whole_address_only)
{
    char path[] = "/tmp/test_addr.XXXXXX", spec[100];

    prepare();
    close(mkstemp(path));
    assert_int_equal(file_replace(path, STR("/^@x.y$/ part\n/^u@x.y$/ noext\n"), 0644, NULL), 0);
    snprintf(spec, sizeof spec, "pcre:%s", path);
    assert_string_equal(find(spec, "u+e@x.y", ADDR_DEFAULT), "");
    assert_string_equal(find(spec, "u@x.y", ADDR_DEFAULT), "noext");
    unlink(path);
}

TEST(extensions_are_split_where_they_may_be)
{
    static const struct {
        const char *delimiters, *user;
        size_t n;
    } t[] = {
        {"+", "u+e", 1},
        {"+", "u+", 1},
        {"+", "+u", 2},
        {"", "u+e", 3},
        {"+-", "u-e+f", 1},
        {"-", "owner-list", 10},
        {"-", "list-request", 12},
        {"-", "a-b", 1},
        {"-", "double-bounce", 13},
        {"+", "MAILER-DAEMON", 13},
    };

    prepare();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        conf.recipient_delimiter = t[i].delimiters;
        assert_int_equal(addr_user_length(strz(t[i].user)), t[i].n);
    }
}

static const char *find_host(const char *table, const char *key, bool address, bool parents)
{
    static char answer[100];
    struct maps *m = maps_open("test", table, DICT_FOLD);
    struct buf value = BUF(1000);
    enum dict_answer a =
        address ? hostaddr_find(m, key, &value, NULL) : domain_find(m, key, parents, &value, NULL);

    snprintf(answer, sizeof answer, "%s", a == DICT_FAILED ? "fail" : value.p);
    maps_close(&m);
    buf_free(&value);
    return answer;
}

TEST(hosts_are_found_by_name_parent_and_network)
{
    prepare();
    assert_string_equal(find_host("inline:{b.c=1}", "a.b.c", false, true), "1");
    assert_string_equal(find_host("inline:{b.c=1}", "a.b.c", false, false), "");
    assert_string_equal(find_host("inline:{.c=1}", "a.b.c", false, false), "1");
    assert_string_equal(find_host("inline:{.2.3=1}", "0.1.2.3", false, false), "");
    assert_string_equal(find_host("inline:{2.3=1,3=2}", "0.1.2.3", false, true), "");
    assert_string_equal(find_host("inline:{2.3=1,0.1.2.3=2}", "0.1.2.3", false, true), "2");
    assert_string_equal(find_host("inline:{10.1=1}", "10.1.2.3", true, false), "1");
    assert_string_equal(find_host("inline:{10.1.2.3=2,10=1}", "10.1.2.3", true, false), "2");
    assert_string_equal(find_host("inline:{2001:db8=1}", "2001:db8::1", true, false), "1");
}

static const char *said(enum dict_answer a)
{
    return a == DICT_FOUND ? "yes" : a == DICT_NONE ? "no" : "fail";
}

TEST(match_lists_decide_by_the_first_item)
{
    static const struct {
        const char *parameter, *items, *name, *address, *string, *domain, *host;
    } t[] = {
        {"mydestination", "a.b, c.d", "C.d", "1.2.3.4", "yes", "yes", "yes"},
        {"mydestination", "!x.d, .d", "x.d", "1.2.3.4", "no", "no", "no"},
        {"mydestination", ".d", "x.d", "1.2.3.4", "no", "yes", "yes"},
        {"relay_domains", "d", "x.d", "1.2.3.4", "no", "yes", "yes"},
        {"relay_domains", ".d", "x.d", "1.2.3.4", "no", "no", "no"},
        {"relay_domains", "inline:{d=1}", "x.d", "1.2.3.4", "no", "yes", "yes"},
        {"mydestination", "inline:{d=1}", "x.d", "1.2.3.4", "no", "no", "no"},
        {"mynetworks", "10.0.0.0/8, [::1]/128", "x", "10.2.3.4", "no", "no", "yes"},
        {"mynetworks", "10.0.0.0/8, [::1]/128", "x", "::1", "no", "no", "yes"},
        {"mynetworks", "!10.1.0.0/16, 10.0.0.0/8", "x", "10.1.3.4", "no", "no", "no"},
        {"mynetworks", "10.0.0.0/33", "x", "10.1.3.4", "no", "no", "fail"},
        {"mynetworks", "/nonexistent", "x", "10.1.3.4", "fail", "fail", "fail"},
        {"mynetworks", "fail:x", "x", "10.1.3.4", "fail", "fail", "fail"},
        {"mynetworks", "", "x", "10.1.3.4", "no", "no", "no"},
    };

    prepare();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct match *m = match_open(t[i].parameter, t[i].items);
        assert_string_equal(said(match_string(m, t[i].name, NULL)), t[i].string);
        assert_string_equal(said(match_domain(m, t[i].name, NULL)), t[i].domain);
        assert_string_equal(said(match_host(m, t[i].name, t[i].address, NULL)), t[i].host);
        match_close(&m);
    }
}

TEST(a_file_gives_its_lines_as_items)
{
    char path[] = "/tmp/test_match.XXXXXX", items[100];

    prepare();
    close(mkstemp(path));
    assert_int_equal(file_replace(path, STR("# c\na.b\n!c.d e.f\n"), 0644, NULL), 0);
    snprintf(items, sizeof items, "%s x.y", path);
    struct match *m = match_open("mydestination", items);
    assert_int_equal(match_string(m, "a.b", NULL), DICT_FOUND);
    assert_int_equal(match_string(m, "c.d", NULL), DICT_NONE);
    assert_int_equal(match_string(m, "e.f", NULL), DICT_FOUND);
    assert_int_equal(match_string(m, "x.y", NULL), DICT_FOUND);
    match_close(&m);
    snprintf(items, sizeof items, "!%s x.y", path);
    m = match_open("mydestination", items);
    assert_int_equal(match_string(m, "a.b", NULL), DICT_NONE);
    assert_int_equal(match_string(m, "x.y", NULL), DICT_FOUND);
    match_close(&m);
    unlink(path);
}

RUN_TESTS(T(addresses_are_looked_up_in_order), T(tables_of_patterns_see_the_whole_address_only),
          T(extensions_are_split_where_they_may_be), T(hosts_are_found_by_name_parent_and_network),
          T(match_lists_decide_by_the_first_item), T(a_file_gives_its_lines_as_items))
