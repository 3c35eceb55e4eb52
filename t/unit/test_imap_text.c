/*
 * ENVELOPE, BODYSTRUCTURE and BODY: the same text as Dovecot 2.3.19 sent for the same messages.
 */
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"

#include "test.h"

static void fetch(struct str message, struct buf *out)
{
    struct arena *mem = arena_new(NULL);
    const struct mime_part *root = mime_tree_parse(mem, NULL, message);

    buf_clear(out);
    buf_addf(out, "(RFC822.SIZE %llu ENVELOPE ",
             (unsigned long long)(root->header.vsize + root->body.vsize));
    imap_text_envelope(root, out);
    buf_addz(out, " BODYSTRUCTURE ");
    imap_text_structure(root, out);
    buf_addz(out, ")");
    arena_free(&mem);
}

static void expect(struct str message, struct str answer)
{
    struct buf out = BUF(1 << 20);

    fetch(message, &out);
    if (!str_eq(buf_str(&out), answer)) {
        print_error("message:\n%.*s\n", (int)message.n, message.p);
        assert_string_equal(out.p, answer.p);
        fail();
    }
    buf_free(&out);
}

TEST(messages_of_the_mime_rfcs_look_as_dovecot_shows_them)
{
    for (int i = 0; i < 10; i++) {
        struct buf path = BUF(100), message = BUF(1 << 20), answer = BUF(1 << 20);
        struct why why = WHY;

        buf_addf(&path, "t/data/mime-rfc/%03d.eml", i);
        assert_int_equal(file_read(path.p, &message, &why), 0);
        buf_clear(&path);
        buf_addf(&path, "t/data/mime-rfc/%03d.fetch", i);
        assert_int_equal(file_read(path.p, &answer, &why), 0);
        expect(buf_str(&message), buf_str(&answer));
        buf_free(&path);
        buf_free(&message);
        buf_free(&answer);
        why_free(&why);
    }
}

TEST(broken_and_odd_messages_look_as_dovecot_shows_them)
{
    struct buf all = BUF(1 << 20);
    struct why why = WHY;
    struct str rest, line, message_n, answer_n;
    size_t count = 0;

    assert_int_equal(file_read("t/data/imap-text.cases", &all, &why), 0);
    for (rest = buf_str(&all); str_split(&rest, '\n', &line) && line.n > 0; count++) {
        int64_t n, m;
        answer_n = line;
        assert_true(str_split(&answer_n, ' ', &message_n));
        assert_true(num_parse(message_n, 0, 100000, &n));
        assert_true(num_parse(answer_n, 0, 100000, &m));
        expect(str_upto(rest, (size_t)n), str_part(rest, (size_t)n + 1, (size_t)m));
        rest = str_from(rest, (size_t)(n + m) + 2);
    }
    assert_true(count > 400);
    buf_free(&all);
    why_free(&why);
}

TEST(body_is_bodystructure_without_extension_data)
{
    static const struct {
        const char *structure, *body;
    } cases[] = {
        {"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1 NIL NIL NIL NIL)",
         "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)"},
        {"((\"image\" \"png\" NIL NIL {5}\r\na\"()b \"base64\" 7 NIL (\"inline\" NIL) (\"en\") NIL)"
         "(\"a\" \"b\" NIL NIL NIL \"7bit\" 0 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \")\") NIL "
         "NIL NIL)",
         "((\"image\" \"png\" NIL NIL {5}\r\na\"()b \"base64\" 7)"
         "(\"a\" \"b\" NIL NIL NIL \"7bit\" 0) \"mixed\")"},
        {"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 12 (NIL \"q\\\"\" NIL NIL NIL NIL NIL NIL "
         "NIL NIL) (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL "
         "NIL)",
         "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 12 (NIL \"q\\\"\" NIL NIL NIL NIL NIL NIL "
         "NIL NIL) (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0) 1)"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF(10000);
        assert_true(imap_text_body(strz(cases[i].structure), &out));
        assert_string_equal(out.p, cases[i].body);
        buf_clear(&out);
        /* No prefix is a structure. */
        for (size_t n = 0; n < strlen(cases[i].structure); n++)
            assert_false(imap_text_body((struct str){cases[i].structure, n}, &out));
        assert_int_equal(out.n, 0);
        buf_free(&out);
    }
}

RUN_TESTS(T(messages_of_the_mime_rfcs_look_as_dovecot_shows_them),
          T(broken_and_odd_messages_look_as_dovecot_shows_them),
          T(body_is_bodystructure_without_extension_data))
