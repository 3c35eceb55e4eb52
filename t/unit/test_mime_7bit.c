/*
 * What becomes of a message on its way to a server that takes 7 bits only.
 */
#include "base/str.h"
#include "mail/mime_7bit.h"

#include "test.h"

static bool convert(struct str s, size_t piece, size_t nesting, struct buf *out)
{
    struct mime_7bit_limits limits = {.nesting = nesting, .boundary = 70, .header = 200};
    struct mime_7bit *m = mime_7bit_new(&limits);
    bool failed;

    buf_clear(out);
    for (; s.n > 0; s = str_from(s, piece))
        mime_7bit_put(m, str_upto(s, piece), out);
    mime_7bit_end(m, out);
    failed = mime_7bit_failed(m);
    mime_7bit_free(&m);
    return !failed;
}

#define VERSION  "MIME-Version: 1.0\n"
#define EIGHT    "Content-Transfer-Encoding: 8bit\n"
#define SEVEN    "Content-Transfer-Encoding: 7bit\n"
#define QP       "Content-Transfer-Encoding: quoted-printable\n"
#define MIXED(b) "Content-Type: multipart/mixed; boundary=" b "\n"
#define X10      "xxxxxxxxxx"
#define X70      X10 X10 X10 X10 X10 X10 X10

static const struct {
    const char *from, *to;
} table[] = {
    {VERSION EIGHT "A: \xe9\n\nh\xe9 = w\n.\n", VERSION "A: \xe9\n" QP "\nh=E9 =3D w\n.\n"},
    {VERSION "Content-Transfer-Encoding:\n (why) 8BIT ;\n\n\xe9\r \t\n",
     VERSION QP "\n=E9=0D =09\n"},
    {VERSION "Content-transfer-encoding : BINARY\n\n\xe9", VERSION QP "\n=E9"},
    /* A version where there is none. */
    {EIGHT "\n\xe9\n", VERSION QP "\n=E9\n"},
    {MIXED("x") "\n--x\n" EIGHT "\n\xe9\n--x--\n", MIXED("x") "\n--x\n" QP "\n=E9\n--x--\n"},
    /* Not declared, or declared otherwise: as it was. */
    {VERSION "\n\xe9=\n", VERSION "\n\xe9=\n"},
    {VERSION "Content-Transfer-Encoding: base64\n\nAAA=\n",
     VERSION "Content-Transfer-Encoding: base64\n\nAAA=\n"},
    {"\n\xe9", "\n\xe9"},
    {"\n", "\n"},
    {"", ""},
    /* The last of several fields counts. */
    {VERSION EIGHT SEVEN "\n\xe9\n", VERSION SEVEN "\n\xe9\n"},
    /* Multiparts and messages are called 7bit; before, between and behind the parts nothing
     * changes. */
    {VERSION EIGHT MIXED("\"a b\"") "\n\xe9=\n--a b\n" EIGHT
                                    "\n=\n--a b \t\n\n\xe9=\n--a b--\n\xe9=\n",
     VERSION MIXED("\"a b\"") SEVEN "\n\xe9=\n--a b\n" QP
                                    "\n=3D\n--a b \t\n\n\xe9=\n--a b--\n\xe9=\n"},
    {VERSION EIGHT "Content-Type: message/rfc822\n\n" EIGHT "B: \xe9\n\n=\n",
     VERSION "Content-Type: message/rfc822\n" SEVEN "\nB: \xe9\n" VERSION QP "\n=3D\n"},
    {VERSION EIGHT "Content-Type: multipart/digest; boundary=x\n\n--x\n\nA: b\n" EIGHT
                   "\n=\n--x\n" EIGHT "\nA: b\n\n=\n--x--\n",
     VERSION "Content-Type: multipart/digest; boundary=x\n" SEVEN "\n--x\n\nA: b\n" VERSION QP
             "\n=3D\n--x\n" SEVEN "\nA: b\n\n=\n--x--\n"},
    /* What cannot be taken apart is a body like any other. */
    {VERSION EIGHT "Content-Type: message/global\n\nA: \xe9\n\n",
     VERSION "Content-Type: message/global\n" QP "\nA: =E9\n\n"},
    {VERSION EIGHT "Content-Type: multipart/mixed\n\n--x\n\n=\n",
     VERSION "Content-Type: multipart/mixed\n" QP "\n--x\n\n=3D\n"},
    /* Boundaries within boundaries: the longest counts, and an outer one ends the inner part. */
    {VERSION MIXED("x") "\n--x\n" MIXED("xy") EIGHT "\n--xyz\n" EIGHT "\n=\n--x\n" EIGHT
                                                    "\n=\n--xy\n--x--\n--x\n=\n",
     VERSION MIXED("x") "\n--x\n" MIXED("xy") SEVEN "\n--xyz\n" QP "\n=3D\n--x\n" QP
                                                    "\n=3D\n--xy\n--x--\n--x\n=\n"},
    /* A header that does not end as it should. */
    {VERSION EIGHT "body \xe9\n", VERSION QP "\nbody =E9\n"},
    {VERSION MIXED("x") "\n--x\n" EIGHT "--x\n" EIGHT "X: y",
     VERSION MIXED("x") "\n--x\n" QP "\n--x\nX: y\n" QP},
    {VERSION EIGHT, VERSION QP},
    {VERSION EIGHT MIXED("x") "--x\n" EIGHT "\n=\n",
     VERSION MIXED("x") SEVEN "\n--x\n" QP "\n=3D\n"},
    /* Long lines; a boundary must not begin where a line is broken. */
    {EIGHT "\n" X70 "xxx\n" X70 "xxxx\n", VERSION QP "\n" X70 "xxx\n" X70 "xxx=\nx\n"},
    {EIGHT "\n" X70 "xxx--b --b\n", VERSION QP "\n" X70 "xxx=\n=2D-b --b\n"},
    {EIGHT "\n" X70 "xx\xe9\xe9 \n", VERSION QP "\n" X70 "xx=E9=\n=E9=20\n"},
};

TEST(parts_that_say_8bit_become_quoted_printable)
{
    struct buf out = BUF(100000);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_true(convert(strz(table[i].from), 10000, 10, &out));
        assert_string_equal(out.p, table[i].to);
    }
    buf_free(&out);
}

TEST(pieces_of_any_length_give_the_same)
{
    struct buf out = BUF(100000);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (size_t n = 1; n < 80; n++) {
            assert_true(convert(strz(table[i].from), n, 10, &out));
            assert_string_equal(out.p, table[i].to);
        }
    buf_free(&out);
}

TEST(a_field_that_is_too_long_goes_through_unread)
{
    struct buf s = BUF(100000), out = BUF(100000);

    buf_addz(&s, "Content-Transfer-Encoding:");
    for (int i = 0; i < 30; i++)
        buf_addz(&s, "           \n");
    buf_addz(&s, " 8bit\nA: b\n\n\xe9=\n");
    for (size_t n = 1; n < 1000; n += 7) {
        assert_true(convert(buf_str(&s), n, 10, &out));
        assert_true(str_eq(buf_str(&out), buf_str(&s)));
    }
    buf_free(&s);
    buf_free(&out);
}

TEST(too_deep_is_said)
{
    struct buf s = BUF(100000), out = BUF(100000);

    for (int i = 0; i < 5; i++)
        buf_addf(&s, "Content-Type: multipart/mixed; boundary=%d\n\n--%d\n", i, i);
    assert_true(convert(buf_str(&s), 100, 3, &out));
    assert_false(convert(buf_str(&s), 100, 2, &out));
    buf_free(&s);
    buf_free(&out);
}

TEST(a_boundary_is_compared_as_far_as_the_limit)
{
    struct buf out = BUF(100000);

    assert_true(
        convert(STR(VERSION MIXED(X70 "abc") "\n--" X70 "abd\n" EIGHT "\n=\n"), 9, 4, &out));
    assert_string_equal(out.p, VERSION MIXED(X70 "abc") "\n--" X70 "abd\n" QP "\n=3D\n");
    buf_free(&out);
}

RUN_TESTS(T(parts_that_say_8bit_become_quoted_printable), T(pieces_of_any_length_give_the_same),
          T(a_field_that_is_too_long_goes_through_unread), T(too_deep_is_said),
          T(a_boundary_is_compared_as_far_as_the_limit))
