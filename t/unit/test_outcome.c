/*
 * What becomes of a recipient: the log line, the record, the mark; with the bounce services there
 * or not.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/msg.h"
#include "ipc/proto.h"
#include "net/stream.h"
#include "queue/outcome.h"

#include "queue_test.h"
#include "unix_server.h"

/* TASK_TEST(name) { ... }: the body runs in a task. */
#define TASK_TEST(name)                                                                            \
    static void name##_body(void *arg __attribute__((unused)));                                    \
    static void name(void **state __attribute__((unused)))                                         \
    {                                                                                              \
        task_start(#name, name##_body, NULL);                                                      \
        task_loop();                                                                               \
    }                                                                                              \
    static void name##_body(void *arg __attribute__((unused)))

static struct {
    struct unix_server at;
    struct task *task;
    bool refuse; /* what is asked fails */
    struct buf asked; /* "failed <a@x> 5.1.1\n" of each record */
    char log[4000];
} server;

static void sink(const char *level, const char *text)
{
    (void)level;
    size_t n = strlen(server.log);
    snprintf(server.log + n, sizeof server.log - n, "%s\n", text);
}

static void serve(void *arg)
{
    struct stream *s = attrs_stream((int)(intptr_t)arg);
    struct attrs ask = ATTRS(100000), answer = ATTRS(1000);
    struct why why = WHY;

    while (attrs_recv(s, &ask, NULL) == 0) {
        if (server.refuse)
            why_set(&why, "4.3.0", "disk full");
        else
            buf_addf(&server.asked, "%s <%s> %s\n", attrs_opt(&ask, "action", ""),
                     attrs_opt(&ask, A_RECIPIENT, ""), attrs_opt(&ask, "status", ""));
        attrs_clear(&answer);
        attrs_put_why(&answer, &why);
        attrs_send(s, &answer, NULL);
        why_clear(&why);
    }
    why_free(&why);
    attrs_free(&ask);
    attrs_free(&answer);
    stream_free(&s);
}

/* The three services are one here. */
static void begin(bool refuse)
{
    static const char *const names[] = {"private/bounce", "private/defer", "private/trace"};

    conf.bounce_service_name = "bounce";
    conf.defer_service_name = "defer";
    conf.trace_service_name = "trace";
    conf.ipc_timeout = 20;
    conf.ipc_connections = 10;
    conf.ipc_idle = conf.ipc_ttl = 100;
    conf.delay_logging_resolution_limit = 2;
    conf.soft_bounce = conf.confirm_delay_cleared = false;
    server.refuse = refuse;
    server.asked = BUF(100000);
    server.log[0] = 0;
    msg_capture(sink);
    server.task = unix_server_start(&server.at, "outcome", serve);
    mkdir("private", 0700);
    for (size_t i = 0; i < 3; i++) {
        unlink(names[i]);
        assert_int_equal(symlink(server.at.path, names[i]), 0);
    }
}

static void end(void)
{
    msg_capture(NULL);
    buf_free(&server.asked);
    unlink(server.at.path);
    task_cancel_all();
}

static struct rcpt rcpt = {.address = "a@x.test", .original = "list@x.test", .dsn_orcpt = ""};
static struct delivery d = {.queue_id = "ID", .sender = "s@x.test", .rcpts = &rcpt, .nrcpts = 1};

/* code "": it was delivered. The letter of what became of it. */
static char end_recipient(unsigned flags, unsigned notify, const char *code, const char *text)
{
    struct delivery_result result;
    struct why why = WHY;

    d.flags = flags;
    rcpt.dsn_notify = notify;
    d.arrival_us = d.active_us = clock_wall_us();
    delivery_result_start(&result, 1);
    struct outcome o = {.d = &d, .relay = "none", .begin_us = d.active_us, .result = &result};
    if (*code == 0) {
        outcome_sent(&o, 0, "2.0.0", text);
    } else {
        why_set(&why, code, "%s", text);
        outcome_failed(&o, 0, &why);
    }
    char letter = result.statuses.p[0];
    delivery_result_free(&result);
    why_free(&why);
    return letter;
}

static const struct {
    unsigned flags, notify;
    const char *code;
    char status; /* when the services answer */
    const char *records, *logged;
    char status_refused; /* when they do not: never lost, never forgotten */
    const char *logged_refused;
} cases[] = {
    {0, 0, "", 'd', "", "dsn=2.0.0, status=sent (text)", 'd', "status=sent (text)"},
    {0, 0, "4.2.2", 'l', "delayed <a@x.test> 4.2.2\n", "dsn=4.2.2, status=deferred (text)", 'l',
     "defer service failure: disk full"},
    {0, DSN_SUCCESS, "", 't', "delivered <a@x.test> 2.0.0\n", "status=sent", 'l',
     "status=deferred (trace service failed)"},
    {DELIVERY_REPORT, 0, "", 't', "delivered <a@x.test> 2.0.0\n", "status=sent", 'l',
     "status=deferred (trace service failed)"},
    {0, 0, "5.1.1", 'b', "failed <a@x.test> 5.1.1\n", "dsn=5.1.1, status=bounced (text)", 'l',
     "dsn=4.1.1, status=deferred (bounce failed)"},
    {DELIVERY_REPORT, 0, "5.1.1", 'b', "failed <a@x.test> 5.1.1\nfailed <a@x.test> 5.1.1\n",
     "status=bounced", 'l', "status=deferred (bounce failed)"},
    {DELIVERY_REPORT, 0, "4.2.2", 'l', "delayed <a@x.test> 4.2.2\ndelayed <a@x.test> 4.2.2\n",
     "status=deferred", 'l', "status=deferred (text)"},
    {DELIVERY_TRACE_ONLY, 0, "5.1.1", 't', "undeliverable <a@x.test> 5.1.1\n",
     "status=undeliverable", 'l', "status=undeliverable"},
    {DELIVERY_TRACE_ONLY, 0, "", 't', "deliverable <a@x.test> 2.0.0\n", "status=deliverable", 'l',
     "status=deliverable"},
};

static void check(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

TASK_TEST(each_end_has_its_line_and_its_record)
{
    begin(false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(end_recipient(cases[i].flags, cases[i].notify, cases[i].code, "text"),
                         cases[i].status);
        assert_string_equal(server.asked.p, cases[i].records);
        check(server.log, "ID: to=<a@x.test>, orig_to=<list@x.test>, relay=none, delay=");
        check(server.log, cases[i].logged);
        buf_clear(&server.asked);
        server.log[0] = 0;
    }
    end();
}

/* RFC 2852 4.1.4 */
TASK_TEST(a_relay_that_is_told_has_a_record_unless_it_is_forbidden)
{
    static const struct {
        unsigned notify;
        const char *action, *records;
    } told[] = {
        {0, "relayed", "relayed <a@x.test> 2.0.0\n"},
        {DSN_FAILURE, "", "relayed <a@x.test> 2.0.0\n"},
        {DSN_SUCCESS, "", "relayed <a@x.test> 2.0.0\n"},
        {DSN_NEVER, "relayed", ""},
    };
    begin(false);
    d.flags = 0;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        struct delivery_result result;
        delivery_result_start(&result, 1);
        struct outcome o = {.d = &d,
                            .relay = "mx",
                            .action = told[i].action,
                            .tells_relay = true,
                            .result = &result};
        rcpt.dsn_notify = told[i].notify;
        outcome_sent(&o, 0, "2.0.0", "text");
        assert_string_equal(server.asked.p != NULL ? server.asked.p : "", told[i].records);
        assert_int_equal(result.statuses.p[0], *told[i].records != 0 ? 't' : 'd');
        buf_clear(&server.asked);
        delivery_result_free(&result);
    }
    end();
}

TASK_TEST(what_cannot_be_recorded_is_never_lost)
{
    begin(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(end_recipient(cases[i].flags, cases[i].notify, cases[i].code, "text"),
                         cases[i].status_refused);
        check(server.log, cases[i].logged_refused);
        server.log[0] = 0;
    }
    end();
}

TASK_TEST(soft_bounces_are_put_off)
{
    begin(false);
    conf.soft_bounce = true;
    assert_int_equal(end_recipient(0, 0, "5.1.1", "text"), 'l');
    assert_string_equal(server.asked.p, "delayed <a@x.test> 4.1.1\n");
    check(server.log, "dsn=4.1.1, status=SOFTBOUNCE (text)");
    end();
}

static void without_a_file_each_recipient_has_its_line(void **state)
{
    struct rcpt two[] = {rcpt, rcpt};
    struct delivery both = d;
    struct delivery_result result;
    struct why why = WHY;

    (void)state;
    two[1].address = "b@x.test";
    both.rcpts = two;
    both.nrcpts = 2;
    server.log[0] = 0;
    msg_capture(sink);
    delivery_result_start(&result, 2);
    struct outcome o = {.d = &both, .relay = "none", .begin_us = 1, .result = &result};
    why_set(&why, "5.3.0", "that is no queue file");
    outcome_no_file(&o, &why);
    check(server.log, "to=<a@x.test>");
    check(server.log, "to=<b@x.test>");
    check(server.log, "dsn=4.3.0, status=deferred (that is no queue file)");
    assert_string_equal(result.statuses.p, "ll");
    msg_capture(NULL);
    delivery_result_free(&result);
    why_free(&why);
}

TASK_TEST(a_long_address_leaves_room_for_what_became_of_it)
{
    char *address = malloc(5001);

    begin(false);
    memset(address, 'a', 5000);
    address[5000] = 0;
    rcpt.address = address;
    assert_int_equal(end_recipient(0, 0, "5.1.1", "text"), 'b');
    assert_true(strlen(server.log) < 2000);
    check(server.log, "aaa...>, orig_to=<list@x.test>");
    check(server.log, "status=bounced (text)");
    assert_true(server.asked.n > 5000);
    rcpt.address = "a@x.test";
    free(address);
    end();
}

static void stopping_task(void *arg)
{
    char *letters = arg;

    while (!task_is_cancelled())
        task_park(0);
    letters[0] = end_recipient(0, 0, "4.4.2", "lost connection");
    letters[1] = end_recipient(0, 0, "5.1.1", "text");
    letters[2] = end_recipient(0, 0, "", "text");
}

TASK_TEST(a_stop_is_no_reason_to_put_mail_off)
{
    char letters[4] = "";

    begin(false);
    struct task *t = task_start("stopping", stopping_task, letters);
    task_yield();
    task_cancel(t);
    while (letters[2] == 0)
        task_yield();
    assert_string_equal(letters, "lld");
    assert_string_equal(server.asked.p, "");
    assert_null(strstr(server.log, "deferred"));
    check(server.log, "status=sent");
    end();
}

TEST(delays_are_written_as_postfix_does)
{
    static const struct {
        int64_t us;
        const char *text;
    } t[] = {{0, "0"},          {-5, "0"},          {1000, "0"},         {10000, "0.01"},
             {34000, "0.03"},   {123456, "0.12"},   {1234567, "1.2"},    {17000000, "17"},
             {99900000, "100"}, {100900000, "100"}, {1000000000, "1000"}};

    conf.delay_logging_resolution_limit = 2;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf out = BUF(100);
        outcome_put_delay(&out, t[i].us);
        assert_string_equal(out.p, t[i].text);
        buf_free(&out);
    }
}

TEST(the_worst_end_counts_for_all)
{
    assert_int_equal(outcome_join(RCPT_DELIVERED, RCPT_DELIVERED), RCPT_DELIVERED);
    assert_int_equal(outcome_join(RCPT_DELIVERED, RCPT_TRACED), RCPT_TRACED);
    assert_int_equal(outcome_join(RCPT_BOUNCED, RCPT_TRACED), RCPT_BOUNCED);
    assert_int_equal(outcome_join(RCPT_BOUNCED, RCPT_DEFERRED), RCPT_DEFERRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_end_has_its_line_and_its_record),
        T(a_relay_that_is_told_has_a_record_unless_it_is_forbidden),
        T(what_cannot_be_recorded_is_never_lost),
        T(soft_bounces_are_put_off),
        T(a_long_address_leaves_room_for_what_became_of_it),
        T(a_stop_is_no_reason_to_put_mail_off),
        T(without_a_file_each_recipient_has_its_line),
        T(delays_are_written_as_postfix_does),
        T(the_worst_end_counts_for_all),
    };
    return cmocka_run_group_tests(tests, enter_queue, leave_queue);
}
