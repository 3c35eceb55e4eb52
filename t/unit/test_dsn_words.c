/*
 * Files with words for delivery reports: what is taken, what is passed over, round trip.
 */
#include "base/str.h"
#include "mail/dsn_words.h"

#include "test.h"

static int parse(struct arena *mem, const char *file, struct dsn_words *words, struct why *why)
{
    dsn_words_builtin(words);
    return dsn_words_parse(mem, strz(file), words, why);
}

TEST(a_template_replaces_what_it_says)
{
    struct arena *mem = arena_new(NULL);
    struct dsn_words words[DSN_REPORT_KINDS], builtin[DSN_REPORT_KINDS];
    struct why why = WHY;

    dsn_words_builtin(builtin);
    assert_int_equal(parse(mem,
                           "# comment\n\nfailure_template = <<EOF\nCharset: utf-8\nsubject: no\n"
                           "Postmaster-Subject: copy\n\nHost $myhostname\n\n# end\nEOF\n"
                           "delay_template=<< X Y\nlate\nX Y\n",
                           words, &why),
                     0);
    assert_string_equal(words[DSN_REPORT_FAILED].charset, "utf-8");
    assert_string_equal(words[DSN_REPORT_FAILED].subject, "no");
    assert_string_equal(words[DSN_REPORT_FAILED].postmaster_subject, "copy");
    assert_string_equal(words[DSN_REPORT_FAILED].from, builtin[DSN_REPORT_FAILED].from);
    assert_string_equal(words[DSN_REPORT_FAILED].text, "Host $myhostname\n\n# end\n");
    assert_string_equal(words[DSN_REPORT_DELAYED].subject, builtin[DSN_REPORT_DELAYED].subject);
    assert_string_equal(words[DSN_REPORT_DELAYED].text, "late\n");
    assert_ptr_equal(words[DSN_REPORT_SUCCESS].text, builtin[DSN_REPORT_SUCCESS].text);
    arena_free(&mem);
}

TEST(what_is_wrong_is_passed_over_and_told)
{
    static const char *const wrong[] = {"failure_template = <<EOF\nX-Other: y\n\ntext\nEOF\n",
                                        "failure_template = <<EOF\ntext\n",
                                        "failure_template = <<EOF\nSubject: x\n\nEOF\n",
                                        "failure_template = text\n",
                                        "nosuch_template = <<EOF\ntext\nEOF\n",
                                        "failure = <<EOF\ntext\nEOF\n",
                                        "=",
                                        "x"};
    struct arena *mem = arena_new(NULL);
    struct dsn_words words[DSN_REPORT_KINDS], builtin[DSN_REPORT_KINDS];

    dsn_words_builtin(builtin);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct why why = WHY;
        assert_int_equal(parse(mem, wrong[i], words, &why), -1);
        assert_true(strlen(why_text(&why)) > 0);
        assert_ptr_equal(words[DSN_REPORT_FAILED].subject, builtin[DSN_REPORT_FAILED].subject);
        assert_ptr_equal(words[DSN_REPORT_FAILED].text, builtin[DSN_REPORT_FAILED].text);
        why_free(&why);
    }
    arena_free(&mem);
}

TEST(what_is_printed_is_read_as_the_same)
{
    struct arena *mem = arena_new(NULL);
    struct dsn_words builtin[DSN_REPORT_KINDS], words[DSN_REPORT_KINDS];
    struct buf text = BUF(100000), again = BUF(100000);
    struct why why = WHY;

    dsn_words_builtin(builtin);
    dsn_words_format(builtin, &text);
    assert_int_equal(parse(mem, text.p, words, &why), 0);
    dsn_words_format(words, &again);
    assert_string_equal(again.p, text.p);
    buf_free(&text);
    buf_free(&again);
    arena_free(&mem);
}

RUN_TESTS(T(a_template_replaces_what_it_says), T(what_is_wrong_is_passed_over_and_told),
          T(what_is_printed_is_read_as_the_same))
