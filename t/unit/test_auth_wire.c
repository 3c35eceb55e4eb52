/*
 * Lines of the authentication protocol: as Postfix and Dovecot send them, round trips, malformed.
 */
#include "auth/auth_wire.h"
#include "base/str.h"

#include "test.h"

#define Z(literal) ((struct str){(literal), sizeof(literal) - 1})

static bool parse(struct str text, struct buf *line, struct auth_msg *m)
{
    buf_set(line, text);
    return auth_msg_parse(line->p, line->n, m);
}

TEST(lines_of_the_field_are_taken_apart)
{
    struct buf line = BUF(1000);
    struct auth_msg m;

    assert_true(parse(STR("VERSION\t1\t1"), &line, &m));
    assert_int_equal(m.verb, AUTH_V_VERSION);
    assert_true(str_eqz(auth_msg_arg(&m, 1), "1"));
    assert_true(parse(STR("MECH\tCRAM-MD5\tdictionary\tactive"), &line, &m));
    assert_int_equal(m.verb, AUTH_V_MECH);
    assert_int_equal(m.n, 3);
    assert_true(parse(
        STR("AUTH\t7\tPLAIN\tservice=smtp\tnologin\tlip=::1\trip=1.2.3.4\tsecured\tresp=AGE="),
        &line, &m));
    assert_int_equal(m.verb, AUTH_V_AUTH);
    assert_int_equal(m.id, 7);
    assert_true(str_eqz(auth_msg_arg(&m, 0), "PLAIN"));
    assert_true(str_eqz(auth_msg_get(&m, "rip"), "1.2.3.4"));
    assert_true(str_eqz(auth_msg_get(&m, "resp"), "AGE="));
    assert_true(auth_msg_has(&m, "secured"));
    assert_false(auth_msg_has(&m, "secure"));
    assert_null(auth_msg_get(&m, "lport").p);
    assert_true(parse(STR("FAIL\t1\tuser=x\tcode=user_disabled\treason=a\001tb"), &line, &m));
    assert_true(str_eqz(auth_msg_get(&m, "reason"), "a\tb"));
    assert_true(parse(STR("SOMETHING\tnew"), &line, &m));
    assert_int_equal(m.verb, AUTH_V_UNKNOWN);
    assert_true(parse(STR(""), &line, &m));
    assert_int_equal(m.verb, AUTH_V_UNKNOWN);
    buf_free(&line);
}

TEST(malformed_lines_are_refused)
{
    static const struct str bad[] = {Z("AUTH"),           Z("AUTH\t"),         Z("AUTH\tx\tPLAIN"),
                                     Z("AUTH\t0\tPLAIN"), Z("OK\t-1"),         Z("OK\t4294967296"),
                                     Z("OK\t1\ta\001"),   Z("OK\t1\ta\001zb"), Z("CONT\t 1\t=")};
    struct buf line = BUF(1000);
    struct auth_msg m;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parse(bad[i], &line, &m));
    buf_free(&line);
    struct buf many = BUF(10000);
    buf_addz(&many, "OK\t1");
    for (int i = 0; i < AUTH_ARGS_MAX; i++)
        buf_addz(&many, "\tx");
    line = BUF(10000);
    assert_true(parse(buf_str(&many), &line, &m));
    buf_addz(&many, "\tx");
    assert_false(parse(buf_str(&many), &line, &m));
    buf_free(&line);
    buf_free(&many);
}

TEST(any_value_survives_the_way)
{
    struct buf line = BUF(2000);
    struct auth_msg m;
    char all[256];

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    auth_wire_begin_id(&line, AUTH_V_OK, 99);
    auth_wire_pair(&line, "user", (struct str){all, sizeof all});
    auth_wire_arg(&line, (struct str){all, sizeof all});
    auth_wire_argn(&line, -5);
    auth_wire_end(&line);
    assert_int_equal(line.p[line.n - 1], '\n');
    assert_null(memchr(line.p, '\n', line.n - 1));
    assert_true(auth_msg_parse(line.p, line.n - 1, &m));
    assert_int_equal(m.verb, AUTH_V_OK);
    assert_int_equal(m.id, 99);
    assert_true(str_eq(auth_msg_get(&m, "user"), (struct str){all, sizeof all}));
    assert_true(str_eq(auth_msg_arg(&m, 1), (struct str){all, sizeof all}));
    assert_true(str_eqz(auth_msg_arg(&m, 2), "-5"));
    buf_free(&line);
}

RUN_TESTS(T(lines_of_the_field_are_taken_apart), T(malformed_lines_are_refused),
          T(any_value_survives_the_way))
