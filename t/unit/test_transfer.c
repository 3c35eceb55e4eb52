/*
 * Quoted-printable and base64: decoding in pieces, encoding, round trips.
 */
#include "base/str.h"
#include "mail/transfer.h"

#include "test.h"

static void decode(enum transfer_encoding encoding, struct str s, size_t piece, struct buf *out)
{
    struct transfer t = {.encoding = encoding};

    buf_clear(out);
    for (; s.n > 0; s = str_from(s, piece))
        transfer_decode(&t, str_upto(s, piece), out);
}

TEST(pieces_decode_as_the_whole)
{
    static const struct {
        enum transfer_encoding encoding;
        const char *encoded, *decoded;
    } cases[] = {
        {TRANSFER_QP, "a=3Db=3db=\nc=\r\nd", "a=b=bcd"},
        {TRANSFER_QP, "trailing  \nblanks\t\r\n", "trailing\nblanks\r\n"},
        {TRANSFER_QP, "kept =20\n", "kept  \n"},
        {TRANSFER_QP, "broken =G1 =4", "broken =G1 "},
        {TRANSFER_QP, "a=  \nb", "ab"},
        {TRANSFER_BASE64, "SGVs\r\nbG8=", "Hello"},
        {TRANSFER_BASE64, "SGVsbG8", "Hello"},
        {TRANSFER_BASE64, "S!G*V s\nbG8=\nignored", "Hello"},
        {TRANSFER_IDENTITY, "a=3D\n", "a=3D\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 12; piece++) {
            struct buf out = BUF(1000);
            decode(cases[i].encoding, strz(cases[i].encoded), piece, &out);
            assert_string_equal(out.p, cases[i].decoded);
            buf_free(&out);
        }
}

TEST(what_is_encoded_decodes_to_the_same)
{
    uint32_t seed = 7;

    for (size_t n = 0; n < 400; n += 7) {
        char text[400];
        struct buf qp = BUF(10000), b64 = BUF(10000), back = BUF(10000);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = (char)(seed >> 16 & (seed >> 30 ? 0x7f : 0xff));
            if (text[i] == '\r')
                text[i] = '\n';
        }
        transfer_encode_qp((struct str){text, n}, &qp);
        transfer_encode_base64((struct str){text, n}, &b64);
        struct str rest = buf_str(&qp), line;
        while (str_split(&rest, '\n', &line))
            assert_true(line.n <= 76);
        decode(TRANSFER_QP, buf_str(&qp), 5, &back);
        assert_true(str_eq(buf_str(&back), (struct str){text, n}));
        decode(TRANSFER_BASE64, buf_str(&b64), 5, &back);
        assert_true(str_eq(buf_str(&back), (struct str){text, n}));
        buf_free(&qp);
        buf_free(&b64);
        buf_free(&back);
    }
}

RUN_TESTS(T(pieces_decode_as_the_whole), T(what_is_encoded_decodes_to_the_same))
