/*
 * Logs of what could not be delivered.
 */
#include "base/str.h"
#include "queue/bounce_log.h"

#include "test.h"

/* As Postfix 3.7 wrote it. */
static const char postfix_log[] =
    "\n<a+b@far.test>: connect to 127.0.0.1[127.0.0.1]:9: Connection refused\n"
    "recipient=a+b@far.test\noffset=616\ndsn_orig_rcpt=rfc822;a+b@far.test\nstatus=4.4.1\n"
    "action=delayed\nreason=connect to 127.0.0.1[127.0.0.1]:9: Connection refused\n\n"
    "\n<d+e@far.test>: connect to 127.0.0.1[127.0.0.1]:9: Connection refused\n"
    "recipient=d+e@far.test\noffset=693\ndsn_orig_rcpt=rfc822;orig@where.test\nnotify_flags=10\n"
    "status=4.4.1\naction=delayed\nreason=connect to 127.0.0.1[127.0.0.1]:9: Connection "
    "refused\n\n";

TEST(logs_of_postfix_are_read_and_written_the_same)
{
    struct arena *mem = arena_new(NULL);
    struct str rest = strz(postfix_log);
    struct bounce_record r;
    struct buf out = BUF(10000);

    assert_true(bounce_record_next(&rest, mem, &r));
    assert_string_equal(r.recipient, "a+b@far.test");
    assert_int_equal(r.at, 616);
    assert_string_equal(r.action, "delayed");
    assert_string_equal(r.mta_name, "");
    bounce_record_format(&r, &out);
    assert_true(bounce_record_next(&rest, mem, &r));
    assert_int_equal(r.dsn_notify, 10);
    assert_string_equal(r.dsn_orcpt, "rfc822;orig@where.test");
    bounce_record_format(&r, &out);
    assert_false(bounce_record_next(&rest, mem, &r));
    assert_string_equal(out.p, postfix_log);
    buf_free(&out);
    arena_free(&mem);
}

TEST(a_reason_stays_on_its_line)
{
    struct arena *mem = arena_new(NULL);
    struct bounce_record r = {.recipient = "a@x\nstatus=2.0.0",
                              .original = "",
                              .dsn_orcpt = "",
                              .status = "5.1.1",
                              .action = "failed",
                              .diag_type = "smtp",
                              .diag_text = "550 no",
                              .mta_type = "dns",
                              .mta_name = "mx.test",
                              .reason = "said:\n\nrecipient=other@x"};
    struct buf out = BUF(10000);
    struct bounce_record got;

    bounce_record_format(&r, &out);
    struct str rest = buf_str(&out);
    assert_true(bounce_record_next(&rest, mem, &got));
    assert_string_equal(got.recipient, "a@x?status=2.0.0");
    assert_string_equal(got.status, "5.1.1");
    assert_string_equal(got.reason, "said:??recipient=other@x");
    assert_string_equal(got.diag_text, "550 no");
    assert_false(bounce_record_next(&rest, mem, &got));
    buf_free(&out);
    arena_free(&mem);
}

TEST(damaged_records_are_skipped)
{
    struct arena *mem = arena_new(NULL);
    struct str rest = STR("garbage\n=x\noffset=-7\n\n\nrecipient=a@x\nstatus=4.0.0\n\nrecip");
    struct bounce_record r;

    assert_true(bounce_record_next(&rest, mem, &r));
    assert_string_equal(r.recipient, "a@x");
    assert_int_equal(r.at, 0);
    assert_false(bounce_record_next(&rest, mem, &r));
    arena_free(&mem);
}

/* Cut at each of its bytes by a power cut: nothing of it is true of the record behind it. With and
 * without the line for people. */
TEST(a_record_without_its_end_is_none)
{
    static const char whole[] = "\n<x@a.test>: no\nrecipient=x@a.test\noffset=600\n"
                                "dsn_orig_rcpt=rfc822;x@a.test\nnotify_flags=1\nstatus=5.1.1\n"
                                "action=failed\nreason=no\n\n";
    static const char *const next[] = {
        "\n<y@b.test>: no\nrecipient=y@b.test\nstatus=5.2.2\naction=failed\nreason=no\n\n",
        "\nrecipient=y@b.test\nstatus=5.2.2\naction=failed\nreason=no\n\n"};
    struct arena *mem = arena_new(NULL);
    struct bounce_record r;

    for (size_t cut = 0; cut < 2 * (sizeof whole - 1); cut++) {
        struct buf text = BUF(1000);
        buf_add(&text, (struct str){whole, cut / 2});
        struct str alone = buf_str(&text);
        assert_false(bounce_record_next(&alone, mem, &r));
        buf_addz(&text, next[cut % 2]);
        struct str both = buf_str(&text);
        assert_true(bounce_record_next(&both, mem, &r));
        assert_string_equal(r.recipient, "y@b.test");
        assert_int_equal(r.dsn_notify, 0);
        assert_int_equal(r.at, 0);
        assert_string_equal(r.dsn_orcpt, "");
        assert_false(bounce_record_next(&both, mem, &r));
        buf_free(&text);
    }
    arena_free(&mem);
}

TEST(records_travel_as_attributes)
{
    struct arena *mem = arena_new(NULL);
    struct bounce_record r = {.recipient = "a@x",
                              .original = "b@x",
                              .dsn_orcpt = "",
                              .at = 77,
                              .dsn_notify = 4,
                              .status = "5.1.1",
                              .action = "failed",
                              .diag_type = "",
                              .diag_text = "",
                              .mta_type = "",
                              .mta_name = "",
                              .reason = "no such user",
                              .report_to = "owner-list@x"};
    struct bounce_record got;
    struct attrs a = ATTRS(10000);

    bounce_record_to_attrs(&r, &a);
    assert_int_equal(bounce_record_of_attrs(&a, mem, &got, NULL), 0);
    assert_string_equal(got.recipient, "a@x");
    assert_string_equal(got.original, "b@x");
    assert_string_equal(got.report_to, "owner-list@x");
    assert_int_equal(got.at, 77);
    assert_int_equal(got.dsn_notify, 4);
    assert_string_equal(got.reason, "no such user");
    attrs_free(&a);
    arena_free(&mem);
}

RUN_TESTS(T(logs_of_postfix_are_read_and_written_the_same), T(a_reason_stays_on_its_line),
          T(damaged_records_are_skipped), T(a_record_without_its_end_is_none),
          T(records_travel_as_attributes))
