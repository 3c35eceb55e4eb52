/*
 * The words of IMAP commands: RFC 3501 9. FETCH items and SEARCH keys.
 */
#include "base/str.h"

#include "imap_criteria.h"
#include "imap_fetch.h"
#include "test.h"

static struct imap_args args(const char *text)
{
    return (struct imap_args){strz(text), arena_new(NULL)};
}

TEST(strings_are_atoms_quoted_or_literals)
{
    static const struct {
        const char *text, *value; /* null: refused */
    } cases[] = {{"INBOX rest", "INBOX"},
                 {"a]b", "a]b"},
                 {"\"a b\"", "a b"},
                 {"\"a \\\"b\\\\\"", "a \"b\\"},
                 {"\"\"", ""},
                 {"{3}\r\na\"b", "a\"b"},
                 {"{0}\r\n", ""},
                 {"{3+}\r\nabcd", "abc"},
                 {"\"open", NULL},
                 {"\"a\r\nb\"", NULL},
                 {"{4}\r\nabc", NULL},
                 {"{99999999999999999999}\r\nabc", NULL},
                 {"(x", NULL},
                 {"", NULL}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imap_args a = args(cases[i].text);
        struct str got;
        bool good = imap_take_astring(&a, &got);
        assert_int_equal(good, cases[i].value != NULL);
        if (good)
            assert_true(str_eqz(got, cases[i].value));
        else
            assert_int_equal(a.rest.n, strlen(cases[i].text));
        arena_free(&a.mem);
    }
}

TEST(a_literal_is_announced_at_the_end_of_a_line_only)
{
    struct imap_literal l;
    assert_int_equal(imap_literal_at_end(STR("a LOGIN {5}"), &l), LITERAL_FOUND);
    assert_true(l.size == 5 && l.synchronising && l.at == 8);
    assert_int_equal(imap_literal_at_end(STR("a LOGIN {5+}"), &l), LITERAL_FOUND);
    assert_false(l.synchronising);
    assert_int_equal(imap_literal_at_end(STR("a {5} b"), &l), LITERAL_NONE);
    assert_int_equal(imap_literal_at_end(STR("a {x}"), &l), LITERAL_NONE);
    assert_int_equal(imap_literal_at_end(STR("{99999999999999999999}"), &l), LITERAL_MALFORMED);
}

TEST(fetch_items_of_rfc_3501_are_understood)
{
    static const char *const good[] = {
        "ALL", "FAST", "FULL", "(FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "BODY[]<0.2048>",
        "BODY.PEEK[4.2.2.1]", "BODY[4.1.MIME]", "BODY[3.HEADER]", "BODY[3.TEXT]",
        "(UID RFC822.SIZE RFC822 RFC822.HEADER RFC822.TEXT BODY BODYSTRUCTURE ENVELOPE)",
        "BODY[HEADER.FIELDS.NOT (\"To\")]",
        /* blanks that clients leave, and Dovecot takes */
        "FLAGS  ", "( FLAGS  UID )", "(FLAGS UID) ", "BODY[HEADER.FIELDS ( Date  From ) ]",
        "BODY[]<4294967296.8589934592>"};
    static const char *const bad[] = {"",
                                      "FROB",
                                      "(FLAGS",
                                      "BODY[",
                                      "BODY[0]",
                                      "BODY[1.]",
                                      "BODY[MIME]",
                                      "BODY[]<0.0>",
                                      "BODY[]<5>",
                                      "(FLAGS,UID)",
                                      "BODY[1.0.x]",
                                      "()",
                                      "BODY[HEADER.FIELDS ()]",
                                      "BODY[HEADER.FIELDS]",
                                      "( )",
                                      "(ALL)",
                                      "(FLAGS ALL)",
                                      "(FLAGS(UID))",
                                      "BODY[ TEXT]",
                                      "BODY[TEXT ]",
                                      "BODY[]<18446744073709551616.1>"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct imap_args a = args(good[i]);
        struct fetch_items items;
        assert_true(fetch_parse(&a, &items) && imap_is_end(&a));
        arena_free(&a.mem);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct imap_args a = args(bad[i]);
        struct fetch_items items;
        if (fetch_parse(&a, &items) && imap_is_end(&a))
            fail_msg("taken: %s", bad[i]);
        arena_free(&a.mem);
    }
}

TEST(an_item_asked_for_twice_is_answered_once)
{
    struct imap_args a = args("(UID FLAGS uid BODY[] FLAGS BODY[] UID)");
    struct fetch_items items;
    size_t n = 0;

    assert_true(fetch_parse(&a, &items));
    for (const struct fetch_item *item = items.first; item != NULL; item = item->next)
        n++;
    assert_int_equal(n, 4);
    arena_free(&a.mem);
}

static enum criteria parse(const char *text, struct search_key **key)
{
    struct imap_args a = args(text);
    struct criteria_context context = {172, 4827313, 100, 20000};
    const char *error;
    enum criteria result = criteria_parse(&a, &context, key, &error);

    assert_int_equal(error == NULL, result == CRITERIA_OK);
    criteria_free(*key);
    arena_free(&a.mem);
    return result;
}

TEST(search_keys_are_understood_or_refused)
{
    static const char *const good[] = {"FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
                                       "TEXT {6}\r\nabcdef",
                                       "CHARSET UTF-8 SUBJECT {6}\r\n\xc3\xa4\xc3\xb6\xc3\xbc",
                                       "OR (SEEN ANSWERED) (1:5 UID 7:*)",
                                       "HEADER Received \"\"",
                                       "173",
                                       "SEEN ",
                                       "( SEEN  ANSWERED ) DELETED  ",
                                       "LARGER 4294967296 SMALLER 9223372036854775807",
                                       "KEYWORD \"x\"",
                                       "OR (SEEN ) ( ANSWERED)",
                                       "NEW OLD RECENT KEYWORD $Junk UNKEYWORD x",
                                       "SENTON \"1-Jan-2000\" LARGER 0 SMALLER 4294967295"};
    static const char *const bad[] = {
        "",         "FROB",  "NOT", "OR SEEN",   "(SEEN", "1:",      "SINCE today",
        "LARGER x", "SEEN)", "UID", "SEEN)SEEN", "FROM",  "SEEN  ,", "CHARSET UTF-8"};
    struct search_key *key;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (parse(good[i], &key) != CRITERIA_OK)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i], &key) != CRITERIA_BAD)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(parse("CHARSET KLINGON ALL", &key), CRITERIA_BADCHARSET);
}

static enum criteria parse_repeated(const char *before, size_t n, const char *text,
                                    const char *behind)
{
    struct buf whole = BUF(1 << 20);
    struct search_key *key;

    for (size_t i = 0; i < n; i++)
        buf_addz(&whole, before);
    buf_addz(&whole, text);
    for (size_t i = 0; i < n; i++)
        buf_addz(&whole, behind);
    assert_true(buf_ok(&whole));
    enum criteria result = parse(whole.p, &key);
    buf_free(&whole);
    return result;
}

TEST(a_chain_of_or_or_not_may_be_as_long_as_the_number_of_keys)
{
    assert_int_equal(parse_repeated("OR SUBJECT x ", 5000, "ALL", ""), CRITERIA_OK);
    assert_int_equal(parse_repeated("OR ", 5000, "ALL", " FROM x"), CRITERIA_OK);
    assert_int_equal(parse_repeated("NOT ", 5001, "ALL", ""), CRITERIA_OK);
    assert_int_equal(parse_repeated("OR NOT SEEN OR (ALL DRAFT) ", 2000, "ALL", ""), CRITERIA_OK);
    assert_int_equal(parse_repeated("OR ", 5000, "ALL", ""), CRITERIA_BAD);
    assert_int_equal(parse_repeated("OR SUBJECT x ", 30000, "ALL", ""), CRITERIA_BAD);
}

TEST(deep_nesting_is_refused)
{
    assert_int_equal(parse_repeated("(", 90, "ALL", ")"), CRITERIA_OK);
    assert_int_equal(parse_repeated("(", 5000, "ALL", ")"), CRITERIA_BAD);
    assert_int_equal(parse_repeated("NOT OR SEEN ", 5000, "ALL", ""), CRITERIA_BAD);
}

RUN_TESTS(T(strings_are_atoms_quoted_or_literals),
          T(a_literal_is_announced_at_the_end_of_a_line_only),
          T(fetch_items_of_rfc_3501_are_understood), T(an_item_asked_for_twice_is_answered_once),
          T(search_keys_are_understood_or_refused),
          T(a_chain_of_or_or_not_may_be_as_long_as_the_number_of_keys), T(deep_nesting_is_refused))
