/*
 * Deliveries as attributes; delivery statuses; the times in log lines.
 */
#include "conf/conf.h"
#include "ipc/proto.h"
#include "queue/delivery.h"
#include "queue/outcome.h"

#include "test.h"

TEST(a_delivery_arrives_as_it_was_sent)
{
    struct rcpt rcpts[] = {
        {.at = 100,
         .address = "a@x.test",
         .original = "b@x.test",
         .dsn_orcpt = "rfc822;b@x.test",
         .dsn_notify = 5},
        {.at = 0, .address = "c@x.test", .original = "", .dsn_orcpt = ""},
    };
    struct delivery d = {.queue = Q_DEFERRED,
                         .queue_id = "ABCDEF123",
                         .nexthop = "[mx]:25",
                         .sender = "",
                         .encoding = "8bit",
                         .verp = "+=",
                         .dsn_envid = "QQ",
                         .release_request = "for;60",
                         .release_s = 1795397182,
                         .priority = -9,
                         .by = {.s = 1795397300, .returns = true, .traced = true},
                         .dsn_ret = DSN_RET_HDRS,
                         .flags = DELIVERY_REPORT,
                         .sendopts = SENDOPT_UTF8 | SENDOPT_REQUIRETLS,
                         .content_size = 12345,
                         .data_offset = 678,
                         .arrival_us = 1795397122236751,
                         .created_s = 1795397122,
                         .active_us = 1795397122300000,
                         .client_name = "c",
                         .client_addr = "::1",
                         .client_port = "1",
                         .client_proto = "ESMTP",
                         .client_helo = "h",
                         .sasl_method = "m",
                         .sasl_username = "u",
                         .sasl_sender = "s",
                         .rewrite_context = "local",
                         .log_ident = "L",
                         .filter = "smtp:x",
                         .redirect = "r",
                         .warn_at_s = 17,
                         .warn_record = 99,
                         .rcpts = rcpts,
                         .nrcpts = 2};
    struct attrs a = ATTRS(DELIVERY_MAX);
    struct arena *mem = arena_new(NULL);
    struct delivery got;
    struct why why = WHY;

    delivery_encode(&d, &a);
    assert_int_equal(delivery_decode(&a, 2, mem, &got, &why), 0);
    assert_int_equal(got.queue, Q_DEFERRED);
    assert_string_equal(got.queue_id, "ABCDEF123");
    assert_string_equal(got.nexthop, "[mx]:25");
    assert_string_equal(got.verp, "+=");
    assert_string_equal(got.release_request, "for;60");
    assert_int_equal(got.release_s, 1795397182);
    assert_int_equal(got.priority, -9);
    assert_int_equal(got.by.s, 1795397300);
    assert_true(got.by.returns && got.by.traced);
    assert_string_equal(got.sender, "");
    assert_int_equal(got.dsn_ret, DSN_RET_HDRS);
    assert_int_equal(got.flags, DELIVERY_REPORT);
    assert_int_equal(got.sendopts, SENDOPT_UTF8 | SENDOPT_REQUIRETLS);
    assert_true(got.arrival_us == d.arrival_us && got.active_us == d.active_us);
    assert_int_equal(got.warn_record, 99);
    assert_string_equal(got.redirect, "r");
    assert_int_equal(got.nrcpts, 2);
    assert_int_equal(got.rcpts[0].at, 100);
    assert_int_equal(got.rcpts[0].dsn_notify, 5);
    assert_string_equal(got.rcpts[0].original, "b@x.test");
    assert_int_equal(got.rcpts[1].at, 0);
    assert_string_equal(got.rcpts[1].address, "c@x.test");
    assert_string_equal(got.rcpts[1].original, "");
    /* One too many. */
    assert_int_equal(delivery_decode(&a, 1, mem, &got, &why), -1);
    attrs_free(&a);
    arena_free(&mem);
    why_free(&why);
}

TEST(malformed_requests_are_refused)
{
    static const struct {
        const char *name, *value;
    } bad[] = {{"size", "many"},  {"ret_flags", "9"},   {"queue_name", "nowhere"},
               {"rcpt_at", "-1"}, {"mt_priority", "0"}, {"mt_priority", "20"}};
    struct arena *mem = arena_new(NULL);
    struct delivery got;
    struct why why = WHY;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct attrs a = ATTRS(1000);
        attrs_putz(&a, A_QUEUE_ID, "ABCDEF");
        attrs_putz(&a, bad[i].name, bad[i].value);
        assert_int_equal(delivery_decode(&a, 10, mem, &got, &why), -1);
        attrs_free(&a);
    }
    static const char *const ids[] = {"",          "ABC",      "../../tmp/x",
                                      "ABCDEF/..", "ABCDEF.1", "/etc/shadow"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct attrs a = ATTRS(1000);
        attrs_putz(&a, A_QUEUE_ID, ids[i]);
        assert_int_equal(delivery_decode(&a, 10, mem, &got, &why), -1);
        attrs_free(&a);
    }
    struct attrs none = ATTRS(1000);
    assert_int_equal(delivery_decode(&none, 10, mem, &got, &why), -1);
    attrs_free(&none);
    arena_free(&mem);
    why_free(&why);
}

TEST(statuses_and_dead_sites_are_answered)
{
    struct delivery_result r, got;
    struct attrs a = ATTRS(1000);
    struct why why = WHY;

    delivery_result_start(&r, 3);
    assert_string_equal(r.statuses.p, "lll");
    r.statuses.p[1] = RCPT_DELIVERED;
    why_set(&why, "4.4.1", "connect to mx: refused");
    delivery_site_failed(&r, &why);
    delivery_answer(&a, &r);
    assert_int_equal(delivery_read_answer(&a, &got, 3), 0);
    assert_string_equal(got.statuses.p, "ldl");
    assert_true(got.site_failed);
    assert_string_equal(got.why.code, "4.4.1");
    delivery_result_free(&got);
    /* An answer about another number of recipients says nothing. */
    assert_int_equal(delivery_read_answer(&a, &got, 2), -1);
    delivery_result_free(&got);
    delivery_result_free(&r);
    attrs_free(&a);
    why_free(&why);
}

TEST(delays_are_written_as_postfix_does)
{
    static const struct {
        int64_t us;
        const char *text;
    } known[] = {{0, "0"},          {1, "0"},           {12345, "0.01"},  {104000, "0.1"},
                 {180000, "0.18"},  {1234567, "1.2"},   {2300000, "2.3"}, {12345678, "12"},
                 {99900000, "100"}, {118070000, "118"}, {-5, "0"}};

    conf.delay_logging_resolution_limit = 2;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct buf b = BUF(50);
        outcome_put_delay(&b, known[i].us);
        assert_string_equal(b.p, known[i].text);
        buf_free(&b);
    }
}

TEST(statuses_of_the_parts_join)
{
    assert_int_equal(outcome_join(RCPT_DELIVERED, RCPT_DEFERRED), RCPT_DEFERRED);
    assert_int_equal(outcome_join(RCPT_BOUNCED, RCPT_DELIVERED), RCPT_BOUNCED);
    assert_int_equal(outcome_join(RCPT_DELIVERED, RCPT_TRACED), RCPT_TRACED);
    assert_int_equal(outcome_join(RCPT_DELIVERED, RCPT_DELIVERED), RCPT_DELIVERED);
}

RUN_TESTS(T(a_delivery_arrives_as_it_was_sent), T(malformed_requests_are_refused),
          T(statuses_and_dead_sites_are_answered), T(delays_are_written_as_postfix_does),
          T(statuses_of_the_parts_join))
