/* The parts of authd that hold state: delays of failed logins, tokens and tickets. */
#include <stdlib.h>

#include "../../master/authd.h"
#include "base/str.h"
#include "conf/conf.h"

#include "test.h"

TEST(failures_of_an_address_are_delayed_more_and_more)
{
    conf.auth_failure_delay = 2;
    conf.auth_failure_delay_max = 15;
    conf.auth_penalty_ipv6_prefix_length = 48;
    assert_int_equal(penalty_failed("192.0.2.1", 1000), 2000);
    assert_int_equal(penalty_failed("192.0.2.1", 2000), 4000);
    assert_int_equal(penalty_failed("192.0.2.2", 2000), 2000);
    assert_int_equal(penalty_failed("192.0.2.1", 3000), 8000);
    assert_int_equal(penalty_failed("192.0.2.1", 4000), 15000);
    penalty_ok("192.0.2.1");
    assert_int_equal(penalty_failed("192.0.2.1", 5000), 2000);
    assert_int_equal(penalty_failed("192.0.2.1", 5000 + 61 * 1000), 2000);
    assert_int_equal(penalty_failed("", 5000), 2000);
}

TEST(an_ipv6_network_fails_as_one_address)
{
    assert_int_equal(penalty_failed("2001:db8:1::1", 1000), 2000);
    assert_int_equal(penalty_failed("2001:db8:1:ffff:1234::99", 1000), 4000);
    assert_int_equal(penalty_failed("2001:db8:2::1", 1000), 2000);
    penalty_ok("2001:db8:1:5::7");
    assert_int_equal(penalty_failed("2001:db8:1::1", 1000), 2000);
}

static const char *redeem(enum token_kind kind, const struct buf *text, const char *service,
                          int64_t now)
{
    struct buf name = BUF(SASL_FIELD_MAX);
    const char *problem = token_redeem(kind, buf_str(text), strz(service), now, &name);

    if (problem == NULL)
        assert_string_equal(name.p, "al");
    buf_free(&name);
    return problem;
}

static void make(enum token_kind kind, struct buf *text)
{
    buf_clear(text);
    assert_true(token_make(kind, STR("al"), "imap", 1000, text));
}

TEST(a_token_is_redeemed_once_by_whom_it_is_for)
{
    struct buf text = BUF(TOKEN_MAX);

    conf.login_token_lifetime = 30;
    tokens_open(calloc(1, tokens_size()));
    make(TOKEN_OF_FRONT, &text);
    assert_null(redeem(TOKEN_OF_FRONT, &text, "imap", 2000));
    assert_string_equal(redeem(TOKEN_OF_FRONT, &text, "imap", 2000), "unknown, or used already");
    make(TOKEN_OF_FRONT, &text);
    assert_non_null(redeem(TOKEN_OF_BROKER, &text, "imap", 2000));
    assert_non_null(redeem(TOKEN_OF_FRONT, &text, "imap", 2000)); /* spent */
    make(TOKEN_OF_BROKER, &text);
    assert_non_null(redeem(TOKEN_OF_FRONT, &text, "imap", 2000));
    make(TOKEN_OF_BROKER, &text);
    assert_non_null(redeem(TOKEN_OF_BROKER, &text, "pop3", 2000));
    make(TOKEN_OF_FRONT, &text);
    assert_non_null(redeem(TOKEN_OF_FRONT, &text, "imap", 31000));
    buf_setz(&text, "zzzz");
    assert_non_null(redeem(TOKEN_OF_FRONT, &text, "imap", 2000));
    buf_free(&text);
}

static bool peek(enum token_kind kind, const struct buf *text, const char *service, int64_t now)
{
    struct buf name = BUF(SASL_FIELD_MAX);
    bool valid = token_peek(kind, buf_str(text), strz(service), now, &name);

    assert_string_equal(name.n > 0 ? name.p : "", valid ? "al" : "");
    buf_free(&name);
    return valid;
}

TEST(a_token_that_was_looked_at_is_as_it_was)
{
    struct buf text = BUF(TOKEN_MAX);

    make(TOKEN_OF_BROKER, &text);
    assert_true(peek(TOKEN_OF_BROKER, &text, "imap", 2000));
    assert_false(peek(TOKEN_OF_FRONT, &text, "imap", 2000));
    assert_false(peek(TOKEN_OF_BROKER, &text, "pop3", 2000));
    assert_false(peek(TOKEN_OF_BROKER, &text, "imap", 31000));
    assert_null(redeem(TOKEN_OF_BROKER, &text, "imap", 2000));
    assert_false(peek(TOKEN_OF_BROKER, &text, "imap", 2000));
    buf_free(&text);
}

TEST(a_token_holds_a_name_of_any_length_whole)
{
    static const size_t lengths[] = {1, 63, 64, 65, SASL_FIELD_MAX};
    char long_name[SASL_FIELD_MAX + 1];

    memset(long_name, 'n', sizeof long_name);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct buf text = BUF(TOKEN_MAX), name = BUF(SASL_FIELD_MAX);
        struct str given = {long_name, lengths[i]};
        assert_true(token_make(TOKEN_OF_FRONT, given, "imap", 1000, &text));
        assert_null(token_redeem(TOKEN_OF_FRONT, buf_str(&text), STR("imap"), 2000, &name));
        assert_true(str_eq(buf_str(&name), given));
        buf_free(&text);
        buf_free(&name);
    }
    struct buf text = BUF(TOKEN_MAX);
    assert_false(token_make(TOKEN_OF_FRONT, (struct str){long_name, SASL_FIELD_MAX + 1}, "imap",
                            1000, &text));
    buf_free(&text);
}

TEST(when_all_slots_are_taken_a_ticket_makes_room_and_a_token_does_not)
{
    enum { MORE_THAN_SLOTS = 5000, YOUNG = 3000 };
    struct buf first = BUF(TOKEN_MAX), young = BUF(TOKEN_MAX), text = BUF(TOKEN_MAX);
    int made = 0;

    make(TOKEN_OF_FRONT, &first);
    for (int i = 0; i < MORE_THAN_SLOTS; i++)
        make(TOKEN_OF_BROKER, i == MORE_THAN_SLOTS - YOUNG ? &young : &text);
    assert_null(redeem(TOKEN_OF_BROKER, &young, "imap", 2000)); /* the old ones had to go */
    assert_null(redeem(TOKEN_OF_BROKER, &text, "imap", 2000));
    assert_null(redeem(TOKEN_OF_FRONT, &first, "imap", 2000));
    for (bool room = true; room && made < MORE_THAN_SLOTS; made += room) {
        buf_clear(&text);
        room = token_make(TOKEN_OF_FRONT, STR("al"), "imap", 1000, &text);
    }
    assert_true(made < MORE_THAN_SLOTS);
    buf_clear(&text);
    assert_true(
        token_make(TOKEN_OF_FRONT, STR("al"), "imap", 31000, &text)); /* the others are over */
    buf_free(&first);
    buf_free(&young);
    buf_free(&text);
}

RUN_TESTS(T(failures_of_an_address_are_delayed_more_and_more),
          T(an_ipv6_network_fails_as_one_address), T(a_token_is_redeemed_once_by_whom_it_is_for),
          T(a_token_that_was_looked_at_is_as_it_was), T(a_token_holds_a_name_of_any_length_whole),
          T(when_all_slots_are_taken_a_ticket_makes_room_and_a_token_does_not))
