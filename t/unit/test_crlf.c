/*
 * Line ends: LF to CR LF and back, in pieces.
 */
#include "base/str.h"
#include "mail/crlf.h"

#include "test.h"

static const struct {
    const char *from, *wire, *disk;
    int bare;
} cases[] = {
    {"a\nb\n", "a\r\nb\r\n", "a\nb\n", 2},
    {"a\r\nb\r\n", "a\r\nb\r\n", "a\nb\n", 0},
    {"\n\n", "\r\n\r\n", "\n\n", 2},
    {"a\rb\r\r\nc\r", "a\rb\r\r\nc\r", "a\rb\r\nc\r", 0},
    {"", "", "", 0},
    {"no end", "no end", "no end", 0},
    {"\r\n\n\r\n", "\r\n\r\n\r\n", "\n\n\n", 1},
};

TEST(pieces_of_any_length_give_the_same)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 9; piece++) {
            struct buf wire = BUF(100), disk = BUF(100);
            bool cr = false, held = false, cr2 = false;
            uint64_t bare = 0;

            for (struct str s = strz(cases[i].from); s.n > 0; s = str_from(s, piece)) {
                crlf_add(&wire, str_upto(s, piece), &cr);
                crlf_drop(&disk, str_upto(s, piece), &held);
                bare += crlf_bare(str_upto(s, piece), &cr2);
            }
            if (held)
                buf_addc(&disk, '\r');
            assert_string_equal(wire.p, cases[i].wire);
            assert_string_equal(disk.p, cases[i].disk);
            assert_int_equal(bare, cases[i].bare);
            buf_free(&wire);
            buf_free(&disk);
        }
}

RUN_TESTS(T(pieces_of_any_length_give_the_same))
