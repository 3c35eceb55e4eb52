#include "base/str.h"

#include "postscreen_line.h"
#include "test.h"

static bool parses(const char *text, struct screen_stamps *out)
{
    char line[LINE_SIZE];
    struct str address;

    screen_line_empty(line);
    memcpy(line, text, strlen(text));
    return screen_line_parse((struct str){line, sizeof line}, &address, out);
}

TEST(a_line_holds_an_address_and_five_times)
{
    static const char *const bad[] = {
        "",
        "192.0.2.1",
        "192.0.2.1 ",
        "192.0.2.300 1;1;1;1;1",
        "host.test 1;1;1;1;1",
        "192.0.2.1 1;1;x;1;1",
        "192.0.2.1 1;-1;1;1;1",
        "192.0.2.1 1;1;1;1;100000000000",
        "192.0.2.1 1;1;1;1;1 more",
        "192.0.2.1 ;;;;",
    };
    struct screen_stamps s;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(parses(bad[i], &s));
    assert_true(parses("192.0.2.1 5;1;7;0;9", &s));
    assert_int_equal(s.until[PREGREET], 5);
    assert_int_equal(s.until[PIPELINING], 7);
    assert_int_equal(s.until[NON_SMTP], STAMP_NEW);
    assert_true(parses("2001:db8::1 5", &s)); /* of a Postfix that had fewer tests */
    assert_int_equal(s.until[BARE_NEWLINE], STAMP_NEW);
}

TEST(what_is_written_is_read_again)
{
    struct screen_stamps in = {{1796167717, 1, 1798673317, 0, 99999999999}}, out;
    char line[LINE_SIZE];
    struct str address;

    assert_true(screen_line_format(STR("2001:db8:1111:2222:3333:4444:5555:6666"), &in, line));
    assert_true(screen_line_parse((struct str){line, sizeof line}, &address, &out));
    assert_true(str_eqz(address, "2001:db8:1111:2222:3333:4444:5555:6666"));
    assert_memory_equal(&in, &out, sizeof in);
    assert_int_equal(line[LINE_SIZE - 1], '\n');
    line[LINE_SIZE - 1] = ' '; /* a line of another length is none */
    assert_false(screen_line_parse((struct str){line, sizeof line}, &address, &out));
    assert_false(screen_line_parse((struct str){line, sizeof line - 1}, &address, &out));
}

RUN_TESTS(T(a_line_holds_an_address_and_five_times), T(what_is_written_is_read_again))
