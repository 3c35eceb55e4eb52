/*
 * Delivery reports.
 */
#include "mail/dsn_words.h"

#include "test.h"

static const struct dsn_rcpt rcpt = {
    .address = "c@real.test",
    .orcpt = "rfc822;c@real.test",
    .action = "delayed",
    .status = "5.1.1",
    .diag_type = "smtp",
    .diag_text = "550 5.1.1 <c@real.test> unknown user and this goes on and on and on until the "
                 "line is full",
    .mta_type = "dns",
    .mta_name = "mx.real.test",
    .reason = "host mx.real.test said: 550 5.1.1 <c@real.test> unknown user",
};

static struct dsn_words words[DSN_REPORT_KINDS];

static struct dsn_report failed(void)
{
    dsn_words_builtin(words);
    return (struct dsn_report){.kind = DSN_REPORT_FAILED,
                               .words = &words[DSN_REPORT_FAILED],
                               .text = words[DSN_REPORT_FAILED].text,
                               .references = "",
                               .host = "mail.test",
                               .product = "Postfix",
                               .queue_id = "4D1F",
                               .sender = "s@x.test",
                               .to = "s@x.test",
                               .envid = "QQ",
                               .boundary = "4D1F.1/mail.test",
                               .now = 1795397238,
                               .arrival = 1795397138,
                               .whole_original = true};
}

static void make(const struct dsn_report *r, struct buf *out)
{
    dsn_report_begin(r, out);
    dsn_report_text(r, &rcpt, out);
    dsn_report_status(r, out);
    dsn_report_fields(r, &rcpt, out);
    dsn_report_original(r, out);
    buf_addz(out, "Subject: x\n\nbody\n");
    dsn_report_end(r, out);
}

TEST(a_failure_has_three_parts_and_the_fields_of_rfc_3464)
{
    static const char *const wanted[] = {
        "\nSubject: Undelivered Mail Returned to Sender\n",
        "\nAuto-Submitted: auto-replied\n",
        "multipart/report; report-type=delivery-status;\n\tboundary=\"4D1F.1/mail.test\"\n",
        "\n<c@real.test>: host mx.real.test said: 550 5.1.1 <c@real.test> unknown user\n",
        "\nReporting-MTA: dns; mail.test\nOriginal-Envelope-Id: QQ\nX-Postfix-Queue-ID: 4D1F\n"
        "X-Postfix-Sender: rfc822; s@x.test\nArrival-Date: ",
        "\n\nFinal-Recipient: rfc822; c@real.test\nOriginal-Recipient: rfc822;c@real.test\n"
        "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.real.test\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <c@real.test> unknown user and this goes on\n    and on",
        "\nContent-Type: message/rfc822\n",
        "\nReturn-Path: <s@x.test>\nSubject: x\n",
        "\n--4D1F.1/mail.test--\n"};
    struct dsn_report r = failed();
    struct buf out = BUF(100000);

    make(&r, &out);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strstr(out.p, wanted[i]) == NULL)
            fail_msg("not found: %s in %s", wanted[i], out.p);
    assert_null(strstr(out.p, "Will-Retry-Until"));
    buf_free(&out);
}

TEST(a_report_says_until_when_delivery_was_asked_for)
{
    struct dsn_report r = failed();
    struct buf out = BUF(100000);

    make(&r, &out);
    assert_null(strstr(out.p, "Deliver-By-Date"));
    buf_clear(&out);
    r.deliver_by = r.now;
    make(&r, &out);
    char *arrival = strstr(out.p, "\nArrival-Date: ");
    assert_non_null(arrival);
    assert_ptr_equal(strstr(out.p, "\nDeliver-By-Date: "), strchr(arrival + 1, '\n'));
    buf_free(&out);
}

TEST(delays_and_copies_say_what_they_are)
{
    struct dsn_report r = failed();
    struct buf out = BUF(100000);

    r.kind = DSN_REPORT_DELAYED;
    r.words = &words[DSN_REPORT_DELAYED];
    r.whole_original = false;
    r.retry_until = 1795397238;
    make(&r, &out);
    assert_non_null(strstr(out.p, "\nSubject: Delayed Mail (still being retried)\n"));
    assert_non_null(strstr(out.p, "\nAction: delayed\n"));
    assert_non_null(strstr(out.p, "\nWill-Retry-Until: "));
    assert_non_null(strstr(out.p, "\nContent-Type: text/rfc822-headers\n"));
    buf_clear(&out);
    r.kind = DSN_REPORT_FAILED;
    r.words = &words[DSN_REPORT_FAILED];
    r.references = "<1@x.test>";
    r.to_postmaster = true;
    make(&r, &out);
    assert_non_null(strstr(out.p, "\nSubject: Postmaster Copy: Undelivered Mail"));
    assert_non_null(strstr(out.p, "\nAuto-Submitted: auto-generated\n"));
    assert_non_null(strstr(out.p, "\nReferences: <1@x.test>\nIn-Reply-To: <1@x.test>\n"));
    buf_free(&out);
}

TEST(outside_text_forges_no_fields)
{
    struct dsn_report r = failed();
    struct dsn_rcpt bad = rcpt;
    struct buf out = BUF(100000);

    bad.address = "a\nAction: relayed\n@x";
    bad.diag_text = "550 \r\n--4D1F.1/mail.test--";
    bad.mta_name = "\xff\xfe";
    dsn_report_fields(&r, &bad, &out);
    assert_null(strstr(out.p, "\nAction: relayed"));
    assert_null(strstr(out.p, "\n--4D1F"));
    assert_null(strchr(out.p, '\xff'));
    buf_free(&out);
}

TEST(an_alias_that_led_to_the_address_is_named)
{
    struct dsn_report r = failed();
    struct dsn_rcpt from = rcpt;
    struct buf out = BUF(10000);

    from.reason = "no";
    from.original = "list@real.test";
    dsn_report_text(&r, &from, &out);
    assert_string_equal(out.p, "<c@real.test> (expanded from <list@real.test>): no\n\n");
    buf_clear(&out);
    from.original = "C@Real.test";
    dsn_report_text(&r, &from, &out);
    assert_string_equal(out.p, "<c@real.test>: no\n\n");
    buf_free(&out);
}

RUN_TESTS(T(a_failure_has_three_parts_and_the_fields_of_rfc_3464),
          T(a_report_says_until_when_delivery_was_asked_for),
          T(delays_and_copies_say_what_they_are), T(outside_text_forges_no_fields),
          T(an_alias_that_led_to_the_address_is_named))
