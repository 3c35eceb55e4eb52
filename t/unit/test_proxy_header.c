#include "base/str.h"
#include "net/proxy_header.h"
#include "net/stream.h"

#include "mini.h"
#include "test.h"

#define V2   "\r\n\r\n\0\r\nQUIT\n"
#define FOUR "\1\2\3\4\177\0\0\1\0\143\0\31"
#define SIX  "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\143\0\31"

TEST(both_versions_name_both_ends)
{
    static const struct {
        struct str bytes;
        const char *client, *server;
    } good[] = {
        {STR("PROXY TCP4 1.2.3.4 127.0.0.1 99 25\r\n"), "1.2.3.4", "127.0.0.1"},
        {STR("PROXY TCP4 1.2.3.4 127.0.0.1 99 25\n"), "1.2.3.4", "127.0.0.1"},
        {STR("PROXY tcp4 1.2.3.4 127.0.0.1 99 25\r\n"), "1.2.3.4", "127.0.0.1"}, /* as Postfix */
        {STR("PROXY TCP6 2001:db8::1 ::1 99 25\r\n"), "2001:db8::1", "::1"},
        {STR("PROXY TCP6 ::ffff:1.2.3.4 ::1 99 25\r\n"), "1.2.3.4", "::1"},
        {STR(V2 "\x21\x11\0\x0c" FOUR), "1.2.3.4", "127.0.0.1"},
        {STR(V2 "\x21\x11\0\x0f" FOUR "\4\0\0"), "1.2.3.4", "127.0.0.1"},
        {STR(V2 "\x21\x21\0\x24" SIX), "2001:db8::1", "::1"},
    };
    struct why why = WHY;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct proxy_header h;
        char text[ADDR_TEXT];
        size_t used;
        for (size_t n = 0; n < good[i].bytes.n; n++) /* the beginning is not enough */
            assert_int_equal(proxy_header_parse(str_upto(good[i].bytes, n), &h, &used, &why), 0);
        assert_int_equal(proxy_header_parse(good[i].bytes, &h, &used, &why), 1);
        assert_int_equal(used, good[i].bytes.n);
        assert_false(h.local);
        assert_string_equal(addr_text(&h.client, text), good[i].client);
        assert_string_equal(addr_text(&h.server, text), good[i].server);
        assert_int_equal(h.client.port, 99);
        assert_int_equal(h.server.port, 25);
    }
    why_free(&why);
}

TEST(a_health_check_speaks_for_the_proxy)
{
    struct proxy_header h;
    struct why why = WHY;
    size_t used;

    assert_int_equal(proxy_header_parse(STR(V2 "\x20\0\0\0"), &h, &used, &why), 1);
    assert_true(h.local);
    assert_int_equal(proxy_header_parse(STR(V2 "\x20\x11\0\x0c" FOUR), &h, &used, &why), 1);
    assert_true(h.local && used == 28);
    why_free(&why);
}

TEST(a_client_of_whom_nothing_is_known_is_refused)
{
    static const struct {
        struct str bytes;
        const char *what;
    } bad[] = {
        {STR("EHLO x\r\n"), "bad or missing protocol header"},
        {STR("PROXY UNKNOWN\r\n"), "bad or missing protocol type"},
        {STR("PROXY UNKNOWN 1.2.3.4 127.0.0.1 99 25\r\n"), "bad or missing protocol type"},
        {STR("PROXY \r\n"), "missing protocol type"},
        {STR("PROXY TCP4 ::1 127.0.0.1 99 25\r\n"), "bad or missing client address"},
        {STR("PROXY TCP4 1.2.3.4 127.0.0 99 25\r\n"), "bad or missing server address"},
        {STR("PROXY TCP4 1.2.3.4 127.0.0.1 70000 25\r\n"), "bad or missing client port"},
        {STR("PROXY TCP4 1.2.3.4 127.0.0.1 99\r\n"), "bad or missing server port"},
        {STR(V2 "\x22\x11\0\x0c" FOUR), "bad command in proxy header"},
        {STR(V2 "\x31\x11\0\x0c" FOUR), "unrecognized protocol version"},
        {STR(V2 "\x21\x12\0\x0c" FOUR), "unsupported network protocol"},
        {STR(V2 "\x21\x31\0\x0c" FOUR), "unsupported network protocol"},
        {STR(V2 "\x21\0\0\0"), "unsupported network protocol"},
        {STR(V2 "\x21\x11\0\x0b" FOUR), "short address field"},
        {STR(V2 "\x21\x21\0\x23" SIX), "short address field"},
        {STR(V2 "\x20\0\xff\xff"), "the header is too long"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct proxy_header h;
        struct why why = WHY;
        size_t used;
        assert_int_equal(proxy_header_parse(bad[i].bytes, &h, &used, &why), -1);
        assert_string_equal(why_text(&why), bad[i].what);
        why_free(&why);
    }
}

TEST(a_line_without_end_is_refused)
{
    char line[200] = "PROXY TCP4 ";
    struct proxy_header h;
    struct why why = WHY;
    size_t used;

    memset(line + 11, '1', sizeof line - 11);
    assert_int_equal(proxy_header_parse((struct str){line, 106}, &h, &used, &why), 0);
    assert_int_equal(proxy_header_parse((struct str){line, 107}, &h, &used, &why), -1);
    why_free(&why);
}

static void read_one(struct stream *s, void *arg)
{
    struct proxy_header h;
    struct why why = WHY;
    struct buf line = BUF(100);
    char text[ADDR_TEXT];

    (void)arg;
    if (proxy_header_read(s, task_now() + 1000, &h, &why) < 0) {
        stream_putf(s, "%s\r\n", why_text(&why));
    } else {
        assert_int_equal(stream_ahead(s), 0); /* what follows may be a TLS handshake */
        stream_line(s, &line);
        stream_putf(s, "%s: %s\r\n", addr_text(&h.client, text), line.p);
    }
    buf_free(&line);
    why_free(&why);
}

TEST(nothing_behind_the_header_is_read_with_it)
{
    static const struct {
        struct str input;
        const char *output;
    } cases[] = {
        {STR("PROXY TCP4 1.2.3.4 127.0.0.1 99 25\r\nEHLO x\r\n"), "1.2.3.4: EHLO x\r\n"},
        {STR(V2 "\x21\x11\0\x0c" FOUR "EHLO x\r\n"), "1.2.3.4: EHLO x\r\n"},
        {STR("PROXY TCP4 1.2.3.4"), "EOF\r\n"},
        {STR("EHLO x\r\n"), "bad or missing protocol header\r\n"},
    };
    struct buf out = BUF(1000);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mini_talk(read_one, NULL, cases[i].input, &out);
        assert_string_equal(out.p, cases[i].output);
    }
    buf_free(&out);
}

TEST(a_header_may_come_in_pieces_but_in_time)
{
    mini_dialogue(read_one, NULL,
                  "C! PRO\nC! XY TCP4 1.2.3.4 127\nC: .0.0.1 99 25\nC: NOOP\nS: 1.2.3.4: NOOP\n");
    mini_dialogue(read_one, NULL, "C! PROXY TCP4\nS: timeout error\n");
}

RUN_TESTS(T(both_versions_name_both_ends), T(a_health_check_speaks_for_the_proxy),
          T(a_client_of_whom_nothing_is_known_is_refused), T(a_line_without_end_is_refused),
          T(nothing_behind_the_header_is_read_with_it), T(a_header_may_come_in_pieces_but_in_time))
