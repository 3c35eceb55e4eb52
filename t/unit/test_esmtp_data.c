#include "base/str.h"
#include "mail/esmtp_data.h"

#include "test.h"

/* Decodes text, fed in steps of that many bytes; lines end in "|", pieces in "~", the end is "$"
 * and what is behind it. */
static void decode(struct str text, size_t step, size_t limit, struct buf *out, size_t *bare)
{
    struct esmtp_data_in d = ESMTP_DATA_IN;
    size_t from = 0, have = 0;

    buf_clear(out);
    for (;;) {
        struct str piece;
        size_t used;
        enum esmtp_data got =
            esmtp_data_in(&d, str_part(text, from, have - from), limit, &piece, &used);
        from += used;
        if (got == DATA_LINE || got == DATA_PIECE) {
            buf_add(out, piece);
            buf_addc(out, got == DATA_LINE ? '|' : '~');
        } else if (got == DATA_END) {
            buf_addc(out, '$');
            buf_add(out, str_from(text, from));
            break;
        } else if (have == text.n) {
            break;
        } else {
            have = have + step < text.n ? have + step : text.n;
        }
    }
    *bare = d.bare_lf;
}

TEST(content_is_the_same_however_it_is_cut)
{
    static const struct {
        const char *in, *out;
        size_t bare;
    } cases[] = {
        {"a\r\nb\r\n.\r\nQUIT", "a|b|$QUIT", 0}, {".\r\n", "$", 0},
        {"..\r\n...x\r\n.\r\n", ".|..x|$", 0},   {".x\r\n\r\n.\r\n", "x||$", 0},
        {"a\rb\r\r\n.\r\n", "a\rb\r|$", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 20; step++) {
            struct buf out = BUF(1000);
            size_t bare;
            decode(strz(cases[i].in), step, 100, &out, &bare);
            assert_string_equal(out.p, cases[i].out);
            assert_int_equal(bare, cases[i].bare);
            buf_free(&out);
        }
}

TEST(no_sequence_but_the_standard_one_ends_the_content)
{
    static const struct str ends[] = {
        STR("\n.\n"),       STR("\r.\r"),       STR("\r.\n"),       STR("\n.\r"),
        STR("\n.\r\n"),     STR("\r\n.\n"),     STR("\r.\r\n"),     STR("\r\n.\r"),
        STR("\r\n\0.\r\n"), STR("\r\n.\0\r\n"), STR("\r\n.\r\r\n"), STR("\r\r\n.\n"),
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct buf text = BUF(1000), out = BUF(1000);
        size_t bare;
        buf_addz(&text, "text");
        buf_add(&text, ends[i]);
        buf_addz(&text, "MAIL FROM:<x>\r\n.\r\nQUIT\r\n");
        decode(buf_str(&text), 3, 100, &out, &bare);
        assert_true(str_ends(buf_str(&out), STR("$QUIT\r\n")));
        assert_true(str_search(buf_str(&out), STR("MAIL FROM:<x>|$")) >= 0);
        buf_free(&text);
        buf_free(&out);
    }
}

TEST(bare_lf_is_counted)
{
    struct buf out = BUF(1000);
    size_t bare;
    decode(STR("a\nb\nc\r\n.\r\n"), 5, 100, &out, &bare);
    assert_string_equal(out.p, "a|b|c|$");
    assert_int_equal(bare, 2);
    buf_free(&out);
}

TEST(a_long_line_comes_in_pieces_and_keeps_its_end)
{
    struct buf out = BUF(1000);
    size_t bare;
    decode(STR(".123456789abcde\r\n.\r\n"), 1, 6, &out, &bare);
    assert_string_equal(out.p, "12345~6789ab~cde|$");
    decode(STR("12345\r\n.\r\n"), 100, 6, &out, &bare);
    assert_string_equal(out.p, "12345|$");
    decode(STR("12345\r67\r\n.\r\n"), 1, 6, &out, &bare);
    assert_string_equal(out.p, "12345~\r67|$");
    buf_free(&out);
}

TEST(sending_doubles_dots)
{
    struct buf out = BUF(1000);
    esmtp_data_out(&out, STR(".a"), true, false);
    esmtp_data_out(&out, STR(".b"), false, true);
    esmtp_data_out(&out, STR("."), true, true);
    assert_string_equal(out.p, "..a.b\r\n..\r\n");
    buf_free(&out);
}

RUN_TESTS(T(content_is_the_same_however_it_is_cut),
          T(no_sequence_but_the_standard_one_ends_the_content), T(bare_lf_is_counted),
          T(a_long_line_comes_in_pieces_and_keeps_its_end), T(sending_doubles_dots))
