#include "base/str.h"
#include "net/addr.h"

#include "test.h"

static const struct {
    const char *in, *out; /* null: refused */
} parse_cases[] = {
    {"127.0.0.1", "127.0.0.1"},
    {"::1", "::1"},
    {"2001:DB8:0:0::1", "2001:db8::1"},
    {"::ffff:192.0.2.1", "192.0.2.1"}, /* mapped: it is IPv4 */
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"01.2.3.4", NULL},
    {"1.2.3.256", NULL},
    {"localhost", NULL},
    {"", NULL},
    {":::", NULL},
    {"[::1]", NULL},
    {"fe80::1%nonexistent9", NULL},
    {"1.2.3.4%1", NULL},
};

TEST(addresses_parse_and_print)
{
    char text[ADDR_TEXT];
    struct addr a;

    for (size_t i = 0; i < sizeof parse_cases / sizeof parse_cases[0]; i++) {
        bool ok = addr_parse(strz(parse_cases[i].in), &a);
        assert_int_equal(ok, parse_cases[i].out != NULL);
        if (ok)
            assert_string_equal(addr_text(&a, text), parse_cases[i].out);
    }
    assert_true(addr_parse(STR("fe80::1%7"), &a));
    assert_int_equal(a.scope, 7);
    assert_false(addr_parse((struct str){"1.2.3.4\0", 8}, &a));
}

TEST(literals_are_those_of_rfc5321)
{
    char text[ADDR_TEXT];
    struct addr a;

    assert_true(addr_parse_literal(STR("[192.0.2.1]"), &a));
    assert_string_equal(addr_literal(&a, text), "[192.0.2.1]");
    assert_true(addr_parse_literal(STR("[ipv6:2001:db8::9]"), &a));
    assert_string_equal(addr_literal(&a, text), "[IPv6:2001:db8::9]");
    assert_false(addr_parse_literal(STR("[2001:db8::9]"), &a));
    assert_false(addr_parse_literal(STR("[IPv6:1.2.3.4]"), &a));
    assert_false(addr_parse_literal(STR("192.0.2.1"), &a));
    assert_false(addr_parse_literal(STR("[]"), &a));
}

TEST(sockaddr_round_trip)
{
    static const char *const all[] = {"192.0.2.7", "2001:db8::7"};

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_storage sa;
        struct addr a, b;
        assert_true(addr_parse(strz(all[i]), &a));
        a.port = 2525;
        socklen_t len = addr_to_sockaddr(&a, &sa);
        addr_from_sockaddr(&b, (struct sockaddr *)&sa, len);
        assert_true(addr_same_host(&a, &b));
        assert_int_equal(b.port, 2525);
    }
}

TEST(reverse_names)
{
    struct buf name = BUF(200);
    struct addr a;

    addr_parse(STR("192.0.2.10"), &a);
    addr_reverse(&a, NULL, &name);
    assert_string_equal(name.p, "10.2.0.192.in-addr.arpa");
    buf_clear(&name);
    addr_reverse(&a, "zen.example", &name);
    assert_string_equal(name.p, "10.2.0.192.zen.example");
    buf_clear(&name);
    addr_parse(STR("2001:db8::567:89ab"), &a); /* RFC 3596 2.5 has its like */
    addr_reverse(&a, NULL, &name);
    assert_string_equal(name.p,
                        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    buf_free(&name);
}

static const struct {
    const char *prefix, *addr;
    int has; /* -1: the prefix is refused */
} prefix_cases[] = {
    {"10.0.0.0/8", "10.255.1.1", 1},
    {"10.0.0.0/8", "11.0.0.1", 0},
    {"10.0.0.0/8", "::1", 0},
    {"0.0.0.0/0", "1.2.3.4", 1},
    {"192.168.1.5", "192.168.1.5", 1},
    {"192.168.1.5", "192.168.1.6", 0},
    {"192.168.1.4/30", "192.168.1.7", 1},
    {"192.168.1.4/30", "192.168.1.8", 0},
    {"2001:db8::/33", "2001:db8:7fff::", 1},
    {"2001:db8::/33", "2001:db8:8000::", 0},
    {"[2001:db8::]/32", "2001:db8::5", 1},
    {"[::1]/128", "::1", 1},
    {"[2001:db8::/33]", "2001:db8:7fff::", 1},
    {"[2001:db8::/33]", "2001:db8:8000::", 0},
    {"[10.0.0.0/8]", "10.255.1.1", 1},
    {"[10.0.0.0]", "10.0.0.0", 1},
    {"[[::1]/128]", "", -1},
    {"[::1/128]/128", "", -1},
    {"[::1", "", -1},
    {"[]", "", -1},
    {"[/8]", "", -1},
    /* Debian's debconf writes it; clients of such an address count as IPv4 */
    {"[::ffff:127.0.0.0]/104", "127.0.0.1", 0},
    {"[::ffff:127.0.0.0]/104", "::1", 0},
    {"::ffff:0:0/96", "10.0.0.1", 0},
    {"::/0", "::ffff:10.0.0.1", 0},
    {"::/0", "2001:db8::1", 1},
    {"[::ffff:127.0.0.1]/128", "127.0.0.1", 0},
    {"[::ffff:127.0.0.1]/103", "", -1},
    {"[::ffff:127.0.0.0]/129", "", -1},
    {"10.1.0.0/8", "", -1},
    {"10.0.0.0/33", "", -1},
    {"10.0.0.0/", "", -1},
    {"10.0.0/8", "", -1},
    {"x", "", -1},
};

TEST(prefixes_match)
{
    for (size_t i = 0; i < sizeof prefix_cases / sizeof prefix_cases[0]; i++) {
        struct prefix p;
        struct addr a;
        struct why why = WHY;
        int r = prefix_parse(strz(prefix_cases[i].prefix), &p, &why);
        assert_int_equal(r, prefix_cases[i].has < 0 ? -1 : 0);
        if (r == 0) {
            assert_true(addr_parse(strz(prefix_cases[i].addr), &a));
            assert_int_equal(prefix_has(&p, &a), prefix_cases[i].has);
        }
        why_free(&why);
    }
}

static const struct {
    const char *in, *host, *port;
    bool bracketed, ok;
} host_cases[] = {
    {"example.com", "example.com", "", false, true},
    {"example.com:25", "example.com", "25", false, true},
    {"[example.com]", "example.com", "", true, true},
    {"[example.com]:smtp", "example.com", "smtp", true, true},
    {"[::1]:2525", "::1", "2525", true, true},
    {"", "", "", false, false},
    {":25", "", "", false, false},
    {"a:", "", "", false, false},
    {"a:b:c", "", "", false, false},
    {"[]", "", "", false, false},
    {"[a", "", "", false, false},
    {"[a]b", "", "", false, false},
    {"[a]:", "", "", false, false},
};

TEST(host_and_port)
{
    for (size_t i = 0; i < sizeof host_cases / sizeof host_cases[0]; i++) {
        struct hostport h;
        assert_int_equal(hostport_parse(strz(host_cases[i].in), &h), host_cases[i].ok);
        if (!host_cases[i].ok)
            continue;
        assert_true(str_eqz(h.host, host_cases[i].host));
        assert_true(str_eqz(h.port, host_cases[i].port));
        assert_int_equal(h.bracketed, host_cases[i].bracketed);
    }
}

TEST(ports_by_number_and_name)
{
    in_port_t port;

    assert_true(port_parse(STR("2525"), &port));
    assert_int_equal(port, 2525);
    assert_true(port_parse(STR("submission"), &port));
    assert_int_equal(port, 587);
    assert_false(port_parse(STR("65536"), &port));
    assert_false(port_parse(STR(""), &port));
    assert_false(port_parse(STR("nosuchservice"), &port));
}

TEST(loopback)
{
    struct addr a;

    assert_true(addr_parse(STR("127.1.2.3"), &a) && addr_is_loopback(&a));
    assert_true(addr_parse(STR("::1"), &a) && addr_is_loopback(&a));
    assert_true(addr_parse(STR("128.0.0.1"), &a) && !addr_is_loopback(&a));
}

RUN_TESTS(T(addresses_parse_and_print), T(literals_are_those_of_rfc5321), T(sockaddr_round_trip),
          T(reverse_names), T(prefixes_match), T(host_and_port), T(ports_by_number_and_name),
          T(loopback))
