/*
 * The listing of the queue: what postqueue prints of it.
 */
#include "queue/listing.h"

#include "test.h"

#define REASON "connect to 127.0.0.1[127.0.0.1]:9: Connection refused"

/* Sent by the showq of Postfix 3.7. */
static const char list[] = "queue_name\0deferred\0queue_id\0"
                           "C394FA72230\0time\0"
                           "1795397121\0size\0"
                           "362\0forced_expire\0"
                           "0\0sender\0sender@x.test\0recipient\0"
                           "a+b@far.test\0reason\0" REASON "\0recipient\0"
                           "c@far.test\0reason\0" REASON "\0";

TEST(mailq_prints_as_postfix_does)
{
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(10000);
    struct listed m;

    setenv("TZ", "UTC", 1);
    assert_true(listing_parse((struct str){list, sizeof list}, mem, &m));
    listing_print_begin(false, &out);
    listing_print(&m, false, &out);
    assert_string_equal(out.p,
                        "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
                        "C394FA72230     362 Mon Nov 23 01:25:21  sender@x.test\n"
                        "                       (" REASON ")\n"
                        "                                         a+b@far.test\n"
                        "                                         c@far.test\n\n");
    buf_clear(&out);
    m.forced_expire = true;
    m.queue = "hold";
    m.nrcpts = 1;
    listing_print_begin(true, &out);
    listing_print(&m, true, &out);
    assert_string_equal(out.p,
                        "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                        "C394FA72230!#          362 Mon Nov 23 01:25:21 sender@x.test\n"
                        "                       (" REASON ")\n"
                        "                                               a+b@far.test\n\n");
    buf_free(&out);
    arena_free(&mem);
}

TEST(json_is_postfixs)
{
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(10000);
    struct listed_rcpt rcpt = {"a\"\\\x01@x", ""};
    struct listed m;

    assert_true(listing_parse((struct str){list, sizeof list}, mem, &m));
    listing_print_json(&m, &out);
    assert_string_equal(
        out.p,
        "{\"queue_name\": \"deferred\", \"queue_id\": \"C394FA72230\", \"arrival_time\": "
        "1795397121, \"message_size\": 362, \"forced_expire\": false, \"sender\": "
        "\"sender@x.test\", \"recipients\": [{\"address\": \"a+b@far.test\", \"delay_reason\": "
        "\"" REASON "\"}, {\"address\": \"c@far.test\", \"delay_reason\": \"" REASON "\"}]}\n");
    buf_clear(&out);
    m.rcpts = &rcpt;
    m.nrcpts = 1;
    listing_print_json(&m, &out);
    assert_non_null(strstr(out.p, "[{\"address\": \"a\\\"\\\\\\u0001@x\"}]}\n"));
    buf_free(&out);
    arena_free(&mem);
}

TEST(cut_off_lists_are_no_harm)
{
    struct listed m;

    for (size_t n = 0; n < sizeof list; n++) {
        struct arena *mem = arena_new(NULL);
        char *copy = malloc(n + 1);
        memcpy(copy, list, n);
        listing_parse((struct str){copy, n}, mem, &m);
        free(copy);
        arena_free(&mem);
    }
}

RUN_TESTS(T(mailq_prints_as_postfix_does), T(json_is_postfixs), T(cut_off_lists_are_no_harm))
