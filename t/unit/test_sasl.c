/*
 * SASL mechanisms: the examples of their RFCs, both sides against each other, what must be refused.
 */
#include "auth/sasl.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/str.h"

#include "test.h"

#define Z(literal) ((struct str){(literal), sizeof(literal) - 1})

static struct sasl_server begin(const char *mech)
{
    struct sasl_server s;
    sasl_server_begin(&s, sasl_find(strz(mech)), "host.example");
    return s;
}

/* RFC 4616 4 */
TEST(plain_takes_the_rfc_examples)
{
    struct buf out = BUF(1000);
    struct sasl_server s = begin("PLAIN");

    assert_int_equal(sasl_server_step(&s, true, Z("\0tim\0tanstaaftanstaaf"), &out), SASL_PASSWORD);
    assert_string_equal(s.user.p, "tim");
    assert_string_equal(s.password.p, "tanstaaftanstaaf");
    assert_int_equal(s.authz.n, 0);
    sasl_server_end(&s);

    s = begin("plain");
    assert_int_equal(sasl_server_step(&s, false, STR(""), &out), SASL_MORE);
    assert_int_equal(out.n, 0);
    assert_int_equal(sasl_server_step(&s, true, Z("Ursel\0Kurt\0xipj3plmq"), &out), SASL_PASSWORD);
    assert_string_equal(s.authz.p, "Ursel");
    assert_string_equal(s.user.p, "Kurt");
    sasl_server_end(&s);
    buf_free(&out);
}

TEST(plain_refuses_what_is_malformed)
{
    static const struct str bad[] = {Z(""),         Z("tim"),        Z("\0tim"),
                                     Z("\0\0pass"), Z("a\0b\0c\0d"), Z("\0")};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = BUF(1000);
        struct sasl_server s = begin("PLAIN");
        assert_int_equal(sasl_server_step(&s, true, bad[i], &out), SASL_BAD);
        sasl_server_end(&s);
        buf_free(&out);
    }
    char long_one[3000];
    memset(long_one, 'x', sizeof long_one);
    long_one[0] = long_one[5] = '\0';
    struct buf out = BUF(1000);
    struct sasl_server s = begin("PLAIN");
    assert_int_equal(sasl_server_step(&s, true, (struct str){long_one, sizeof long_one}, &out),
                     SASL_BAD);
    sasl_server_end(&s);
    buf_free(&out);
}

TEST(login_asks_for_name_and_password)
{
    struct buf out = BUF(1000);
    struct sasl_server s = begin("LOGIN");

    assert_int_equal(sasl_server_step(&s, false, STR(""), &out), SASL_MORE);
    assert_string_equal(out.p, "Username:");
    assert_int_equal(sasl_server_step(&s, true, STR("tim"), &out), SASL_MORE);
    assert_string_equal(out.p, "Password:");
    assert_int_equal(sasl_server_step(&s, true, STR("secret"), &out), SASL_PASSWORD);
    assert_string_equal(s.user.p, "tim");
    assert_string_equal(s.password.p, "secret");
    sasl_server_end(&s);
    s = begin("LOGIN"); /* the name as initial response */
    assert_int_equal(sasl_server_step(&s, true, STR("tim"), &out), SASL_MORE);
    assert_string_equal(out.p, "Password:");
    sasl_server_end(&s);
    buf_free(&out);
}

/* RFC 2195 2, with our own challenge put aside for the RFC's */
TEST(cram_md5_proves_without_showing)
{
    struct buf out = BUF(1000), answer = BUF(1000);
    struct sasl_server s = begin("CRAM-MD5");
    struct sasl_client c;

    assert_int_equal(sasl_server_step(&s, false, STR(""), &out), SASL_MORE);
    assert_true(str_ends(buf_str(&out), STR("@host.example>")));
    buf_setz(&s.challenge, "<1896.697170952@postoffice.reston.mci.net>");
    sasl_client_begin(&c, s.mech, STR("tim"), STR("tanstaaftanstaaf"));
    assert_int_equal(sasl_client_step(&c, buf_str(&s.challenge), &answer), SASL_OK);
    assert_string_equal(answer.p, "tim b913a602c7eda7a495b4e6e7334d3890");
    assert_int_equal(sasl_server_step(&s, true, buf_str(&answer), &out), SASL_SECRET);
    assert_string_equal(s.user.p, "tim");
    assert_int_equal(sasl_server_secret(&s, STR("{PLAIN}other"), "PLAIN"), SASL_BAD);
    assert_int_equal(sasl_server_secret(&s, STR("{PLAIN}tanstaaftanstaaf"), "PLAIN"), SASL_OK);
    sasl_server_end(&s);
    s = begin("CRAM-MD5"); /* no initial response in a mechanism where the server speaks first */
    assert_int_equal(sasl_server_step(&s, true, STR("tim 00"), &out), SASL_BAD);
    sasl_server_end(&s);
    buf_free(&out);
    buf_free(&answer);
}

/* RFC 1939 7 */
TEST(apop_is_bound_to_the_greeting)
{
    struct buf out = BUF(1000), in = BUF(1000);
    struct sasl_server s = begin("APOP");

    buf_add(&in, STR("<1896.697170952@dbc.mtview.ca.us>"));
    buf_add(&in, Z("\0mrose\0"));
    assert_true(decode_hex(&in, STR("c4c9334bac560ecc979e58001b3e22fb")));
    s.stamp = "1896.";
    assert_int_equal(sasl_server_step(&s, true, buf_str(&in), &out), SASL_SECRET);
    assert_string_equal(s.user.p, "mrose");
    assert_int_equal(sasl_server_secret(&s, STR("tanstaaf"), "PLAIN"), SASL_OK);
    assert_int_equal(sasl_server_secret(&s, STR("tanstaaf2"), "PLAIN"), SASL_BAD);
    sasl_server_end(&s);
    s = begin("APOP"); /* a stamp of another connection */
    s.stamp = "1897.";
    assert_int_equal(sasl_server_step(&s, true, buf_str(&in), &out), SASL_BAD);
    sasl_server_end(&s);
    buf_free(&out);
    buf_free(&in);
}

TEST(the_client_takes_the_strongest_that_is_allowed)
{
    static const struct {
        const char *offered, *options, *picked;
    } cases[] = {
        {"LOGIN PLAIN CRAM-MD5", "noanonymous", "CRAM-MD5"},
        {"LOGIN,PLAIN", "", "PLAIN"},
        {"LOGIN", "noanonymous", "LOGIN"},
        {"PLAIN LOGIN", "noplaintext", NULL},
        {"PLAIN CRAM-MD5", "noplaintext, noanonymous", "CRAM-MD5"},
        {"GSSAPI APOP", "", NULL},
        {"", "", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned forbid, require;
        assert_int_equal(sasl_options(strz(cases[i].options), &forbid, &require, NULL), 0);
        const struct sasl_mech *m = sasl_client_pick(strz(cases[i].offered), forbid);
        if (cases[i].picked == NULL)
            assert_null(m);
        else
            assert_string_equal(m->name, cases[i].picked);
    }
    unsigned forbid, require;
    assert_int_equal(sasl_options(STR("noplaintxt"), &forbid, &require, NULL), -1);
    assert_int_equal(sasl_options(STR("mutual_auth"), &forbid, &require, NULL), 0);
    assert_int_equal(require, AUTH_MUTUAL);
}

TEST(client_and_server_agree)
{
    for (size_t i = 0; sasl_each(i) != NULL; i++) {
        const struct sasl_mech *m = sasl_each(i);
        if (m->client == NULL)
            continue;
        struct buf out = BUF(1000), answer = BUF(1000);
        struct sasl_server s = begin(m->name);
        struct sasl_client c;
        enum sasl_step step = SASL_MORE;
        sasl_client_begin(&c, m, STR("user"), STR("pass"));
        if (!m->client_first)
            step = sasl_server_step(&s, false, STR(""), &out);
        for (int turn = 0; step == SASL_MORE && turn < 5; turn++) {
            assert_int_not_equal(sasl_client_step(&c, buf_str(&out), &answer), SASL_BAD);
            step = sasl_server_step(&s, true, buf_str(&answer), &out);
        }
        assert_int_equal(step, m->secret != NULL ? SASL_SECRET : SASL_PASSWORD);
        assert_string_equal(s.user.p, "user");
        sasl_server_end(&s);
        buf_free(&out);
        buf_free(&answer);
    }
}

TEST(an_answer_that_does_not_fit_is_none)
{
    static const char *const names[] = {"PLAIN", "CRAM-MD5"};

    for (size_t i = 0; i < 2; i++) {
        struct buf out = BUF(20);
        struct sasl_client c;
        sasl_client_begin(&c, sasl_client_pick(strz(names[i]), 0),
                          STR("a name that is longer than that"), STR("pass"));
        assert_int_equal(sasl_client_step(&c, STR("<challenge>"), &out), SASL_BAD);
        buf_free(&out);
    }
}

RUN_TESTS(T(an_answer_that_does_not_fit_is_none), T(plain_takes_the_rfc_examples),
          T(plain_refuses_what_is_malformed), T(login_asks_for_name_and_password),
          T(cram_md5_proves_without_showing), T(apop_is_bound_to_the_greeting),
          T(the_client_takes_the_strongest_that_is_allowed), T(client_and_server_agree))
