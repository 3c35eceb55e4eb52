#include "base/str.h"
#include "mail/esmtp_bdat.h"

#include "test.h"

/* In chunks of that many bytes; lines end in "|", pieces in "~", what is left at the end in "$". */
static void decode(struct str text, size_t step, size_t limit, struct buf *out)
{
    struct esmtp_bdat b = ESMTP_BDAT(limit);
    struct str piece;

    buf_clear(out);
    while (text.n > 0) {
        struct str chunk = str_upto(text, step);
        enum esmtp_data got;
        size_t used;
        text = str_from(text, chunk.n);
        while ((got = esmtp_bdat_in(&b, chunk, &piece, &used)) != DATA_MORE) {
            assert_int_not_equal(got, DATA_END);
            buf_add(out, piece);
            buf_addc(out, got == DATA_LINE ? '|' : '~');
            chunk = str_from(chunk, used);
        }
        assert_int_equal(used, chunk.n);
    }
    if (esmtp_bdat_end(&b, &piece)) {
        buf_add(out, piece);
        buf_addc(out, '$');
    }
    assert_int_equal(esmtp_bdat_held(&b), piece.n);
    esmtp_bdat_free(&b);
}

TEST(lines_are_the_same_however_they_are_cut)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\r\nb\r\n", "a|b|"},
        {"a\r\nb", "a|b$"},
        {"a\nb\n", "a|b|"},
        {"\r\n\r\n", "||"},
        {"", ""},
        {"a\rb\r\r\n", "a\rb\r|"},
        {"a\r", "a\r$"},
        {".\r\n..x\r\n.\r\n.", ".|..x|.|.$"}, /* no dot means anything */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 20; step++) {
            struct buf out = BUF(1000);
            decode(strz(cases[i].in), step, 100, &out);
            assert_string_equal(out.p, cases[i].out);
            buf_free(&out);
        }
}

TEST(no_sequence_ends_the_content)
{
    static const struct str ends[] = {
        STR("\n.\n"),       STR("\r.\r"),       STR("\r.\n"),       STR("\n.\r"),
        STR("\n.\r\n"),     STR("\r\n.\n"),     STR("\r.\r\n"),     STR("\r\n.\r"),
        STR("\r\n\0.\r\n"), STR("\r\n.\0\r\n"), STR("\r\n.\r\r\n"), STR("\r\n.\r\n"),
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct buf text = BUF(1000), out = BUF(1000);
        buf_add(&text, ends[i]);
        buf_addz(&text, "MAIL FROM:<x>");
        decode(buf_str(&text), 3, 100, &out);
        assert_true(str_ends(buf_str(&out), STR("MAIL FROM:<x>$")));
        buf_free(&text);
        buf_free(&out);
    }
}

TEST(a_long_line_comes_in_pieces)
{
    for (size_t step = 1; step < 40; step++) {
        struct buf out = BUF(1000);
        size_t n = 0;
        decode(STR("0123456789abcdefghijklmnopqrstuvwxyz\r\nend"), step, 10, &out);
        for (size_t i = 0; i < out.n; i++)
            n += out.p[i] != '~';
        assert_int_equal(n, 36 + 1 + 3 + 1);
        assert_true(str_ends(buf_str(&out), STR("|end$")));
        buf_free(&out);
    }
}

RUN_TESTS(T(lines_are_the_same_however_they_are_cut), T(no_sequence_ends_the_content),
          T(a_long_line_comes_in_pieces))
