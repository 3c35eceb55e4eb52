/* A tiny name server (a task on a loopback port) answers from a table. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "net/dns.h"
#include "net/dns_wire.h"
#include "net/peer.h"
#include "net/sock.h"

#include "mini.h"
#include "test.h"

struct zone_line {
    const char *name;
    enum dns_type type;
    unsigned pref;
    const char *data; /* address, name, or text */
};

static const struct zone_line zone[] = {
    {"a.test", DNS_A, 0, "192.0.2.1"},
    {"a.test", DNS_A, 0, "192.0.2.2"},
    {"a.test", DNS_AAAA, 0, "2001:db8::1"},
    {"alias.test", DNS_CNAME, 0, "alias2.test"},
    {"alias2.test", DNS_CNAME, 0, "a.test"},
    {"loop.test", DNS_CNAME, 0, "loop.test"},
    {"mx.test", DNS_MX, 20, "b.test"},
    {"mx.test", DNS_MX, 10, "a.test"},
    {"mx.test", DNS_MX, 30, "c.test"},
    {"b.test", DNS_A, 0, "192.0.2.9"},
    {"c.test", DNS_A, 0, "192.0.2.10"},
    {"null.test", DNS_MX, 0, ""},
    {"dead.test", DNS_MX, 10, "servfail.test"},
    {"half.test", DNS_MX, 10, "servfail.test"},
    {"half.test", DNS_MX, 20, "b.test"},
    {"gone.test", DNS_MX, 10, "nx.test"},
    {"txt.test", DNS_TXT, 0, "v=spf1 -all"},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, 0, "a.test"},
    {"9.2.0.192.in-addr.arpa", DNS_PTR, 0, "a.test"},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, 0, "1.2.3.4"},
};
enum { MANY = 1200, LINES = sizeof zone / sizeof zone[0] };

static struct {
    int fd;
    int asked; /* queries seen */
    bool silent, no_edns;
    struct task *task;
    struct addr at;
} server;

static void put_name(struct buf *out, const char *name)
{
    struct str rest = strz(name), label;

    while (rest.n > 0 && str_split(&rest, '.', &label)) {
        buf_addc(out, (char)label.n);
        buf_add(out, label);
    }
    buf_addc(out, 0);
}

static void put16(struct buf *out, unsigned n)
{
    buf_addc(out, (char)(n >> 8));
    buf_addc(out, (char)n);
}

static void put_record(struct buf *out, const struct zone_line *l, unsigned ttl)
{
    struct buf data = BUF(600);
    struct addr a;

    put_name(out, l->name);
    put16(out, l->type);
    put16(out, 1);
    put16(out, 0);
    put16(out, ttl);
    if (l->type == DNS_A || l->type == DNS_AAAA) {
        assert_true(addr_parse(strz(l->data), &a));
        buf_add(&data, (struct str){(char *)a.ip, l->type == DNS_A ? 4 : 16});
    } else if (l->type == DNS_TXT) {
        buf_addc(&data, 3);
        buf_add(&data, str_upto(strz(l->data), 3));
        buf_addc(&data, (char)(strlen(l->data) - 3));
        buf_add(&data, str_from(strz(l->data), 3));
    } else {
        if (l->type == DNS_MX)
            put16(&data, l->pref);
        put_name(&data, l->data);
    }
    put16(out, (unsigned)data.n);
    buf_add(out, buf_str(&data));
    buf_free(&data);
}

/* The answer to name and type: what the zone has, CNAMEs followed. */
static unsigned find(const char *name, unsigned type, struct buf *out, bool *known)
{
    unsigned n = 0;

    for (int i = 0; i < LINES; i++) {
        if (strcasecmp(zone[i].name, name) != 0)
            continue;
        *known = true;
        if (zone[i].type == type || zone[i].type == DNS_CNAME) {
            put_record(out, &zone[i], 60);
            n++;
        }
        if (zone[i].type == DNS_CNAME && strcmp(zone[i].data, name) != 0)
            n += find(zone[i].data, type, out, known);
    }
    return n;
}

static void get_question(const unsigned char *p, ssize_t n, char name[300], unsigned *type,
                         size_t *end)
{
    size_t at = 12, len = 0;

    while (p[at] != 0 && at < (size_t)n) {
        if (len > 0)
            name[len++] = '.';
        memcpy(name + len, p + at + 1, p[at]);
        len += p[at];
        at += p[at] + 1u;
    }
    name[len] = 0;
    *type = p[at + 1] * 256u + p[at + 2];
    *end = at + 5;
}

static void answer(const unsigned char *p, ssize_t n, struct buf *out)
{
    static const struct zone_line soa = {"test", 6, 0, ""};
    struct buf records = BUF(3000);
    char name[300];
    unsigned type, rcode = 0, count;
    bool known = false;
    size_t end;

    get_question(p, n, name, &type, &end);
    count = find(name, type, &records, &known);
    if (strcmp(name, "servfail.test") == 0)
        rcode = 2;
    else if (server.no_edns && p[11] > 0)
        rcode = 1;
    else if (!known)
        rcode = 3;
    buf_add(out, (struct str){(const char *)p, 2});
    put16(out, 0x8180 | 0x20 | rcode);
    put16(out, 1);
    put16(out, count);
    put16(out, count == 0);
    put16(out, 0);
    buf_add(out, (struct str){(const char *)p + 12, end - 12});
    buf_add(out, buf_str(&records));
    if (count == 0) { /* SOA: root names, serial and so on, minimum 30 */
        put_name(out, soa.name);
        put16(out, 6);
        put16(out, 1);
        put16(out, 0);
        put16(out, 3000);
        put16(out, 22);
        for (int i = 0; i < 10; i++)
            put16(out, 0);
        put16(out, 30);
    }
    buf_free(&records);
}

static void serve(void *arg)
{
    unsigned char p[600];
    struct sockaddr_storage from;

    (void)arg;
    for (;;) {
        struct buf out = BUF(4000);
        socklen_t len = sizeof from;
        if (task_wait_fd(server.fd, POLLIN, 0) != WAIT_READY)
            break;
        ssize_t n = recvfrom(server.fd, p, sizeof p, 0, (struct sockaddr *)&from, &len);
        server.asked++;
        if (n > 12 && !server.silent) {
            answer(p, n, &out);
            sendto(server.fd, out.p, out.n, 0, (struct sockaddr *)&from, len);
        }
        buf_free(&out);
    }
    task_close(server.fd);
}

typedef void dns_test(struct arena *mem);

static void run_one(void *arg)
{
    struct arena *mem = arena_new(NULL);

    (*(dns_test **)arg)(mem);
    arena_free(&mem);
    task_cancel(server.task);
}

/* attempt_ms: a busy machine must not need a second attempt where none is wanted. */
static void with_server_for(int attempt_ms, dns_test *test)
{
    char text[ADDR_TEXT + 20], at[ADDR_TEXT], hosts[] = "/tmp/test_dns.XXXXXX";
    struct dns_settings settings = {.servers = text, .timeout_ms = attempt_ms, .tries = 2};
    int fd = mkstemp(hosts);

    assert_true(addr_parse(STR("127.0.0.1"), &server.at));
    server.asked = 0;
    server.silent = server.no_edns = false;
    server.fd = sock_datagram(&server.at, NULL);
    assert_true(sock_local(server.fd, &server.at));
    snprintf(text, sizeof text, "%s:%u", addr_text(&server.at, at), server.at.port);
    dprintf(fd, "# comment\n192.0.2.77\tnative.test nat # x\n::1 localhost\n127.0.0.1 localhost\n");
    for (int i = 0; i < MANY; i++) { /* a third of one family, and those stand last */
        if (i * 3 < MANY * 2)
            dprintf(fd, "2001:db8::%x many.test%s\n", i, i * 3 < MANY ? " some.test" : "");
        else
            dprintf(fd, "10.0.%d.%d many.test\n", i / 256, i % 256);
        if (i * 3 >= MANY && i * 3 < MANY * 2)
            dprintf(fd, "10.1.%d.%d some.test\n", i / 256, i % 256);
    }
    close(fd);
    settings.hosts_file = hosts;
    assert_int_equal(dns_setup(&settings, NULL), 0);
    unlink(hosts);
    server.task = task_start("server", serve, NULL);
    mini_run(run_one, &test);
    dns_shutdown();
}

static void with_server(dns_test *test)
{
    with_server_for(1000, test);
}

static void basic(struct arena *mem)
{
    struct dns_answer a;
    struct why why = WHY;

    assert_int_equal(dns_ask("A.test.", DNS_A, mem, 0, &a, &why), DNS_OK);
    assert_int_equal(a.n, 2);
    assert_true(a.ad);
    assert_int_equal(a.records[0].ttl, 60);
    assert_int_equal(dns_ask("alias.test", DNS_AAAA, mem, 0, &a, &why), DNS_OK);
    assert_int_equal(a.n, 1);
    assert_string_equal(a.canonical, "a.test");
    assert_int_equal(dns_ask("txt.test", DNS_TXT, mem, 0, &a, &why), DNS_OK);
    assert_true(str_eqz(a.records[0].data, "v=spf1 -all"));
    assert_int_equal(dns_ask("txt.test", DNS_A, mem, 0, &a, &why), DNS_NO_DATA);
    assert_string_equal(why_text(&why),
                        "Host or domain name not found. Name service error for name=txt.test "
                        "type=A: Host found but no data record of requested type");
    assert_string_equal(why.code, "5.4.4");
    assert_int_equal(dns_ask("nx.test", DNS_MX, mem, 0, &a, &why), DNS_NO_NAME);
    assert_string_equal(why.code, "5.4.4");
    assert_int_equal(dns_ask("servfail.test", DNS_A, mem, 0, &a, &why), DNS_FAILED);
    assert_string_equal(why.code, "4.4.3");
    assert_int_equal(dns_ask("loop.test", DNS_A, mem, 0, &a, &why), DNS_FAILED);
    assert_int_equal(dns_ask("bad..name", DNS_A, mem, 0, &a, &why), DNS_NO_NAME);
    assert_int_equal(dns_ask("", DNS_A, mem, 0, &a, &why), DNS_NO_NAME);
    why_free(&why);
}

TEST(questions_have_three_results)
{
    with_server(basic);
}

static void cached(struct arena *mem)
{
    struct dns_answer a;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(dns_ask("a.test", DNS_A, mem, 0, &a, NULL), DNS_OK);
        assert_int_equal(dns_ask("nx.test", DNS_A, mem, 0, &a, NULL), DNS_NO_NAME);
    }
    assert_int_equal(server.asked, 2);
    int before = server.asked;
    assert_int_equal(dns_ask("servfail.test", DNS_A, mem, 0, &a, NULL), DNS_FAILED);
    assert_true(server.asked > before);
    before = server.asked;
    assert_int_equal(dns_ask("servfail.test", DNS_A, mem, 0, &a, NULL), DNS_FAILED);
    assert_true(server.asked > before); /* failures are not kept */
}

TEST(answers_are_kept_failures_are_not)
{
    with_server(cached);
}

static void many(struct arena *mem)
{
    struct dns_how how = {.native = true, .families = DNS_ALL, .first = DNS_INET};
    struct dns_hosts hosts;

    assert_int_equal(dns_addresses("many.test", &how, mem, 0, &hosts, NULL), DNS_OK);
    assert_int_equal(hosts.n, 1000);
    assert_int_equal(dns_addresses("some.test", &how, mem, 0, &hosts, NULL), DNS_OK);
    assert_int_equal(hosts.n, MANY / 3 * 2);
    for (size_t i = 0; i < hosts.n; i++)
        assert_int_equal(hosts.at[i].addr.family, i % 2 == 0 ? AF_INET : AF_INET6);
    how.first = DNS_INET6;
    assert_int_equal(dns_addresses("a.test", &how, mem, 0, &hosts, NULL), DNS_NO_DATA);
    how.dns = true;
    assert_int_equal(dns_addresses("a.test", &how, mem, 0, &hosts, NULL), DNS_OK);
    assert_int_equal(hosts.n, 3);
    assert_int_equal(hosts.at[0].addr.family, AF_INET6);
    assert_int_equal(hosts.at[1].addr.ip[3], 1);
    assert_int_equal(hosts.at[2].addr.ip[3], 2);
}

TEST(many_addresses_are_cut_and_take_turns)
{
    with_server(many);
}

static void silent(struct arena *mem)
{
    struct dns_answer a;
    int64_t began = task_now();

    server.silent = true;
    assert_int_equal(dns_ask("a.test", DNS_A, mem, task_now() + 30, &a, NULL), DNS_FAILED);
    assert_in_range(task_now() - began, 30, 3900); /* the deadline */
}

static void silent_for_long(struct arena *mem)
{
    struct dns_answer a;
    int64_t began = task_now();

    server.silent = true;
    assert_int_equal(dns_ask("b.test", DNS_A, mem, 0, &a, NULL), DNS_FAILED);
    assert_in_range(task_now() - began, 150, 19 * 1000); /* its own time-outs */
}

TEST(a_silent_server_is_given_up)
{
    with_server_for(2000, silent);
    with_server_for(100, silent_for_long);
}

static void old_server(struct arena *mem)
{
    struct dns_answer a;

    server.no_edns = true;
    assert_int_equal(dns_ask("a.test", DNS_A, mem, 0, &a, NULL), DNS_OK);
}

TEST(a_server_without_edns_is_asked_again)
{
    with_server(old_server);
}

static const struct dns_how all = {
    .families = DNS_ALL, .first = DNS_INET6, .native = true, .dns = true, .shuffle = true};

static void add_host(struct buf *text, const struct dns_hosts *hosts)
{
    char addr[ADDR_TEXT];

    buf_clear(text);
    for (size_t i = 0; i < hosts->n; i++)
        buf_addf(text, "%s[%s] ", hosts->at[i].name, addr_text(&hosts->at[i].addr, addr));
}

static bool self_is_b(const char *host, const struct addr *addr)
{
    (void)addr;
    return strcmp(host, "b.test") == 0;
}

static bool self_is_all(const char *host, const struct addr *addr)
{
    (void)addr;
    return host[0] != 0;
}

static void mail_hosts(struct arena *mem)
{
    struct buf text = BUF(1000);
    struct dns_hosts h;
    struct why why = WHY;

    assert_int_equal(dns_mail_hosts("mx.test", &all, NULL, mem, 0, &h, &why), DNS_OK);
    add_host(&text, &h);
    assert_int_equal(h.n, 5);
    assert_true(h.has_mx && !h.has_self);
    assert_non_null(strstr(text.p, "a.test[2001:db8::1] a.test[192.0.2."));
    assert_non_null(strstr(text.p, "] b.test[192.0.2.9] c.test[192.0.2.10] "));
    assert_int_equal(dns_mail_hosts("mx.test", &all, self_is_b, mem, 0, &h, &why), DNS_OK);
    assert_int_equal(h.n, 3); /* only those better than itself */
    assert_true(h.has_self);
    assert_int_equal(dns_mail_hosts("mx.test", &all, self_is_all, mem, 0, &h, &why), DNS_NO_DATA);
    assert_string_equal(why_text(&why), "mail for mx.test loops back to myself");
    assert_string_equal(why.code, "5.4.6");
    assert_true(h.has_self);
    assert_int_equal(dns_mail_hosts("null.test", &all, NULL, mem, 0, &h, &why), DNS_NO_DATA);
    assert_string_equal(why.code, "5.1.0");
    assert_int_equal(dns_mail_hosts("a.test", &all, NULL, mem, 0, &h, &why), DNS_OK);
    assert_int_equal(h.n, 3); /* no MX: the address */
    assert_false(h.has_mx);
    assert_int_equal(dns_mail_hosts("dead.test", &all, NULL, mem, 0, &h, &why), DNS_FAILED);
    assert_string_equal(why.code, "4.4.3");
    assert_int_equal(dns_mail_hosts("half.test", &all, NULL, mem, 0, &h, &why), DNS_OK);
    assert_int_equal(h.n, 1);
    assert_int_equal(dns_mail_hosts("gone.test", &all, NULL, mem, 0, &h, &why), DNS_NO_DATA);
    assert_string_equal(why.code, "5.4.4");
    assert_int_equal(dns_mail_hosts("nx.test", &all, NULL, mem, 0, &h, &why), DNS_NO_DATA);
    assert_string_equal(why_text(&why), "Host or domain name not found. Name service error for "
                                        "name=nx.test type=AAAA: Host not found");
    struct dns_how few = all;
    few.limit = 2;
    assert_int_equal(dns_mail_hosts("mx.test", &few, NULL, mem, 0, &h, &why), DNS_OK);
    assert_int_equal(h.n, 2);
    why_free(&why);
    buf_free(&text);
}

TEST(mail_hosts_are_in_order)
{
    with_server(mail_hosts);
}

static void addresses(struct arena *mem)
{
    struct dns_hosts h;
    struct dns_how how = {.families = DNS_INET, .native = true};

    assert_int_equal(dns_addresses("NAT", &how, mem, 0, &h, NULL), DNS_OK);
    assert_int_equal(h.n, 1);
    assert_int_equal(dns_addresses("a.test", &how, mem, 0, &h, NULL), DNS_NO_DATA);
    assert_int_equal(server.asked, 0);
    assert_int_equal(dns_addresses("192.0.2.200", &how, mem, 0, &h, NULL), DNS_OK);
    assert_int_equal(dns_addresses("::1", &how, mem, 0, &h, NULL), DNS_NO_DATA);
    how.dns = true;
    assert_int_equal(dns_addresses("alias.test", &how, mem, 0, &h, NULL), DNS_OK);
    assert_int_equal(h.n, 2);
    assert_string_equal(h.at[0].name, "a.test");
    assert_string_equal(h.at[0].asked, "alias.test");
}

TEST(addresses_come_from_the_hosts_file_and_the_dns)
{
    with_server(addresses);
}

static enum peer_name name_of(const char *addr, struct arena *mem, struct peer *p)
{
    struct addr a, none = {0};

    assert_true(addr_parse(strz(addr), &a));
    peer_set(p, &a, &none);
    peer_find_name(p, mem, task_now() + 2000);
    return p->name_status;
}

static void peers(struct arena *mem)
{
    struct peer p;

    assert_int_equal(name_of("192.0.2.1", mem, &p), PEER_NAME_OK);
    assert_string_equal(p.name, "a.test");
    /* The name's addresses do not include this one: only the PTR says so. */
    assert_int_equal(name_of("192.0.2.9", mem, &p), PEER_NAME_NONE);
    assert_string_equal(p.name, "unknown");
    assert_string_equal(p.reverse_name, "a.test");
    assert_int_equal(name_of("192.0.2.10", mem, &p), PEER_NAME_NONE); /* a number as a name */
    assert_string_equal(p.reverse_name, "unknown");
    assert_int_equal(name_of("192.0.2.3", mem, &p), PEER_NAME_NONE);
    assert_int_equal(name_of("127.0.0.1", mem, &p), PEER_NAME_OK);
    assert_string_equal(p.name, "localhost");
    server.silent = true;
    assert_int_equal(name_of("192.0.2.4", mem, &p), PEER_NAME_FAILED);
}

TEST(peer_names_are_verified)
{
    with_server(peers);
}

static void asker(void *arg)
{
    struct arena *mem = arena_new(NULL);
    struct dns_answer a;

    assert_int_equal(dns_ask("a.test", DNS_A, mem, 0, &a, NULL), DNS_OK);
    (*(int *)arg)++;
    arena_free(&mem);
}

static void together(struct arena *mem)
{
    int done = 0;
    struct dns_answer a;

    for (int i = 0; i < 10; i++)
        task_start("asker", asker, &done);
    while (done < 10)
        task_sleep(task_now() + 1);
    assert_int_equal(server.asked, 1);
    assert_int_equal(dns_ask("a.test", DNS_A, mem, 0, &a, NULL), DNS_OK);
}

TEST(equal_questions_are_asked_once)
{
    with_server(together);
}

TEST(names_that_cannot_be_asked_for_are_refused)
{
    char label[70], longer[300] = "";

    memset(label, 'a', 64);
    label[64] = 0;
    assert_false(dns_wire_name_ok(label));
    assert_true(dns_wire_name_ok(label + 1));
    for (int i = 0; i < 130; i++)
        memcpy(longer + 2 * i, "a.", 3);
    assert_false(dns_wire_name_ok(longer));
    assert_false(dns_wire_name_ok(".a"));
    assert_false(dns_wire_name_ok("a b"));
    assert_true(dns_wire_name_ok("a."));
}

RUN_TESTS(T(questions_have_three_results), T(answers_are_kept_failures_are_not),
          T(many_addresses_are_cut_and_take_turns), T(a_silent_server_is_given_up),
          T(a_server_without_edns_is_asked_again), T(mail_hosts_are_in_order),
          T(addresses_come_from_the_hosts_file_and_the_dns), T(peer_names_are_verified),
          T(equal_questions_are_asked_once), T(names_that_cannot_be_asked_for_are_refused))
