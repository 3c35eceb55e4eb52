/* What a filter of DNS answers is told of each record, and what becomes of the answer. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/dns_ask.h"
#include "task/task.h"

#include "mini.h"
#include "test.h"

static struct {
    struct buf lines; /* what it was told */
    const char *drops, *fails; /* parts of lines */
    int64_t takes_ms;
} asked = {.lines = BUF_TEXT(200000)};

static int filter(const char *record, struct why *why)
{
    int64_t until = clock_ms() + asked.takes_ms;

    buf_addf(&asked.lines, "%s\n", record);
    while (clock_ms() < until)
        ;
    if (asked.fails != NULL && strstr(record, asked.fails) != NULL)
        return why_set(why, "4.7.0", "no such table");
    return asked.drops != NULL && strstr(record, asked.drops) != NULL;
}

static enum dns_status filtered(struct dns_record *records, size_t n, struct dns_answer *answer,
                                struct why *why)
{
    *answer =
        (struct dns_answer){.status = DNS_OK, .canonical = "a.test", .records = records, .n = n};
    buf_clear(&asked.lines);
    return dns_filter(answer, "q.test", why);
}

static void see_lines(void *arg)
{
    struct dns_record records[] = {
        {.type = DNS_A, .ttl = 60, .owner = "a.test"},
        {.type = DNS_AAAA, .ttl = 0, .owner = "a.test"},
        {.type = DNS_MX, .ttl = 4294967295, .owner = "a.test", .pref = 10, .name = "mx.a.test"},
        {.type = DNS_MX, .ttl = 1, .owner = "null.test", .name = ""},
        {.type = DNS_SRV,
         .ttl = 1,
         .owner = "s.test",
         .pref = 1,
         .weight = 2,
         .port = 25,
         .name = "h"},
        {.type = DNS_TXT, .ttl = 1, .owner = "t.test", .data = STR("v=x y")},
        {.type = DNS_TLSA, .ttl = 1, .owner = "t.test", .data = STR("\x03\x01\x01\xab\x00")},
        {.type = DNS_TLSA, .ttl = 1, .owner = "t.test", .data = STR("\x03")},
        {.type = DNS_NS, .ttl = 1, .owner = "n.test", .name = "ns.test"},
        {.type = DNS_CNAME, .ttl = 1, .owner = "c.test"},
        {.type = 99, .ttl = 1, .owner = "o.test"},
    };
    struct dns_answer a;

    (void)arg;
    assert_true(addr_parse(STR("192.0.2.1"), &records[0].addr));
    assert_true(addr_parse(STR("2001:db8::1"), &records[1].addr));
    assert_int_equal(filtered(records, sizeof records / sizeof *records, &a, NULL), DNS_OK);
    assert_int_equal(a.n, sizeof records / sizeof *records);
    assert_string_equal(asked.lines.p, "a.test. 60 IN A 192.0.2.1\n"
                                       "a.test. 0 IN AAAA 2001:db8::1\n"
                                       "a.test. 4294967295 IN MX 10 mx.a.test.\n"
                                       "null.test. 1 IN MX 0 .\n"
                                       "s.test. 1 IN SRV 1 2 25 h.\n"
                                       "t.test. 1 IN TXT v=x y\n"
                                       "t.test. 1 IN TLSA 3 1 1 AB00\n"
                                       "t.test. 1 IN TLSA \n"
                                       "n.test. 1 IN NS ns.test.\n"
                                       "c.test. 1 IN CNAME .\n"
                                       "o.test. 1 IN record .\n");
}

static void see_verdicts(void *arg)
{
    const struct dns_record all[] = {
        {.type = DNS_MX, .owner = "q.test", .pref = 10, .name = "one"},
        {.type = DNS_MX, .owner = "q.test", .pref = 20, .name = "two"},
        {.type = DNS_MX, .owner = "q.test", .pref = 30, .name = "one"},
    };
    static const struct {
        const char *drops, *fails;
        enum dns_status status;
        size_t left;
        const char *code, *text, *log;
    } table[] = {
        {NULL, NULL, DNS_OK, 3, "", "", ""},
        {" two.", NULL, DNS_OK, 2, "", "", "info: ignoring DNS RR: q.test. 0 IN MX 20 two.\n"},
        {" one.", NULL, DNS_OK, 1, "", "",
         "info: ignoring DNS RR: q.test. 0 IN MX 10 one.\n"
         "info: ignoring DNS RR: q.test. 0 IN MX 30 one.\n"},
        {"MX", NULL, DNS_FAILED, 0, "4.7.0",
         "Error looking up name=q.test type=MX: DNS reply filter drops all results",
         "info: ignoring DNS RR: q.test. 0 IN MX 10 one.\n"
         "info: ignoring DNS RR: q.test. 0 IN MX 20 two.\n"
         "info: ignoring DNS RR: q.test. 0 IN MX 30 one.\n"},
        {NULL, " two.", DNS_FAILED, 0, "4.4.3",
         "Error looking up name=q.test type=MX: Invalid DNS reply filter syntax",
         "warning: no such table\n"},
    };

    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct dns_record records[3];
        struct dns_answer a;
        struct why why = WHY;
        memcpy(records, all, sizeof all);
        asked.drops = table[i].drops;
        asked.fails = table[i].fails;
        mini_log_start();
        assert_int_equal(filtered(records, 3, &a, &why), table[i].status);
        assert_string_equal(mini_log(), table[i].log);
        mini_log_end();
        assert_int_equal(a.status, table[i].status);
        assert_int_equal(a.n, table[i].left);
        assert_int_equal(a.filtered, table[i].drops != NULL && table[i].left == 0);
        assert_string_equal(why.code, table[i].code);
        assert_string_equal(why_text(&why), table[i].text);
        if (a.n == 1)
            assert_int_equal(a.records[0].pref, 20);
        why_free(&why);
    }
    asked.drops = asked.fails = NULL;
}

static void see_too_long(void *arg)
{
    char *bytes = calloc(1, 65000);
    struct dns_record record = {
        .type = DNS_TLSA, .owner = "t.test", .data = (struct str){bytes, 65000}};
    struct dns_answer a;
    struct why why = WHY;

    (void)arg;
    mini_log_start();
    assert_int_equal(filtered(&record, 1, &a, &why), DNS_FAILED);
    assert_string_equal(mini_log(), "warning: a record is too long\n");
    mini_log_end();
    assert_string_equal(why.code, "4.4.3");
    assert_string_equal(asked.lines.p, "");
    why_free(&why);
    free(bytes);
}

static void count_turns(void *arg)
{
    while (!task_is_cancelled()) {
        ++*(int *)arg;
        task_yield();
    }
}

static void see_turns(void *arg)
{
    struct dns_record records[100];
    struct dns_answer a;
    int turns = 0;
    struct task *other = task_start("other", count_turns, &turns);

    (void)arg;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        records[i] = (struct dns_record){.type = DNS_NS, .owner = "a.test", .name = "b.test"};
    asked.takes_ms = 2;
    assert_int_equal(filtered(records, 100, &a, NULL), DNS_OK);
    asked.takes_ms = 0;
    task_cancel(other);
    assert_true(turns >= 3);
}

static void without(void *arg)
{
    struct dns_record record = {.type = DNS_NS, .owner = "a.test", .name = "b.test"};
    struct dns_answer a = {.status = DNS_NO_NAME};

    (void)arg;
    assert_int_equal(dns_filter(&a, "q.test", NULL), DNS_NO_NAME);
    dns_set_filter(NULL);
    assert_int_equal(filtered(&record, 1, &a, NULL), DNS_OK);
    assert_string_equal(asked.lines.p, "");
}

static void with_filter(task_fn *test)
{
    dns_set_filter(filter);
    mini_run(test, NULL);
    buf_free(&asked.lines);
}

TEST(it_is_told_of_each_record_as_a_line_of_a_zone)
{
    with_filter(see_lines);
}

TEST(records_are_left_out_and_of_a_filter_that_fails_all)
{
    with_filter(see_verdicts);
}

TEST(a_record_that_is_too_long_fails)
{
    with_filter(see_too_long);
}

TEST(others_come_first_when_it_takes_long)
{
    with_filter(see_turns);
}

TEST(nothing_is_asked_without_records_or_filter)
{
    with_filter(without);
}

RUN_TESTS(T(it_is_told_of_each_record_as_a_line_of_a_zone),
          T(records_are_left_out_and_of_a_filter_that_fails_all),
          T(a_record_that_is_too_long_fails), T(others_come_first_when_it_takes_long),
          T(nothing_is_asked_without_records_or_filter))
