/*
 * SEARCH: each kind of key, encodings and character sets.
 */
#include <time.h>

#include "base/clock.h"
#include "mail/date.h"
#include "store/search.h"
#include "store/search_text.h"

#include "store_test.h"

static const char *const messages[] = {
    /* 1 */
    "Date: Mon, 1 Jan 2024 23:30:00 -0500\nFrom: Alice <alice@example.com>\nTo: bob@example.net\n"
    "Subject: Plain words\nX-Odd: some\n thing\n\nThe Quick brown fox\n",
    /* 2 */
    "Date: Tue, 2 Jan 2024 00:30:00 +0100\nFrom: =?utf-8?q?J=C3=B6rg?= <j@example.com>\n"
    "Subject: =?iso-8859-1?B?R3L832U=?=\nMIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    "U2Now7ZuZSBHcsO8w59lIGF1cyBXSUVOIQ==\n",
    /* 3 */
    "Date: Wed, 3 Jan 2024 12:00:00 +0000\nSubject: parts\nMIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; "
    "charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nein K=E4se =\nbrot\n"
    "--b\nContent-Type: image/png; name=\"holiday.png\"\nContent-Transfer-Encoding: base64\n\n"
    "aGlkZGVuIHdvcmRz\n--b\nContent-Type: message/rfc822\n\nSubject: inner subject\n\ninner "
    "body\n--b--\n",
    /* 4 */
    "From: nobody\n\n",
};

/* In the order of their numbers; how Dovecot answers is in t/compat/test_imap_odd.py. */
static const char *const odd_messages[] = {
    /* 1 */ "Subject: folded\n\ttab  across\nFrom: user-from@ (comment)domain.org\n\nbody\n",
    /* 2 */
    "Subject: =?utf-8?q?one?=\n =?utf-8?q?two?= three\n\tfour\nFrom: <user-from (comment)@ "
    "(comment) "
    "domain.org>\nX-Long: a\n b\n\tc\n\nbody\n",
    /* 3 */
    "Subject: jp\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-2022-jp\n\n"
    "\x1b$B$3$s$K$A$O\x1b(B plain\n",
    /* 4 */
    "Subject: 7\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-7\n\nHi "
    "+AGEAYg-\n",
    /* 5 */
    "Subject: latin\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-5\n\n"
    "plain \xd0\n",
    /* 6: what is shown as one word does not stand as one */
    "Subject: a\rb\\c\nFrom: \"bro\\ken\" <\"spl\\it\"@domain.org>, x@(c\nTo: "
    "=?utf-8?q?e=6ec?=\n\n",
};

static struct store *filled_with(const char *const *texts, size_t n)
{
    struct store *s = open_store();

    for (size_t i = 0; i < n; i++)
        deliver_flags(s, "INBOX", texts[i], 0);
    return s;
}

static struct store *filled(void)
{
    struct store *s = open_store();

    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        deliver_flags(s, "INBOX", messages[i], i == 1 ? MSG_SEEN | MSG_FLAGGED : 0);
    return s;
}

static const char *run(struct mailbox *b, const struct search_key *k)
{
    static struct buf out = BUF(1000);
    struct uidset found = UIDSET;
    struct why why = WHY;

    assert_int_equal(search_run(b, k, NULL, &found, &why), 0);
    buf_clear(&out);
    uidset_format(&found, &out);
    uidset_free(&found);
    why_free(&why);
    return out.p;
}

static const char *find(struct mailbox *b, enum search_what what, const char *name,
                        const char *text)
{
    struct search_key k = {.what = what, .name = strz(name), .text = strz(text)};
    return run(b, &k);
}

static const char *find_address(struct mailbox *b, const char *name, const char *text)
{
    struct search_key k = {
        .what = SEARCH_HEADER, .name = strz(name), .text = strz(text), .addresses = true};
    return run(b, &k);
}

/* Twice: from the message, and when the cache has been made. */
TASK_TEST(a_header_is_searched_as_it_is_shown)
{
    struct store *s = filled_with(odd_messages, 6);
    struct mailbox *b = open_box(s, "INBOX");

    for (int i = 0; i < 2; i++) {
        assert_string_equal(find(b, SEARCH_HEADER, "Subject", "folded tab across"), "1");
        assert_string_equal(find(b, SEARCH_HEADER, "Subject", "folded\ttab"), "1");
        assert_string_equal(find(b, SEARCH_HEADER, "Subject", "onetwo three four"), "2");
        assert_string_equal(find(b, SEARCH_HEADER, "X-Long", "a b c"), "2");
        assert_string_equal(find(b, SEARCH_TEXT, "", "tab across"), "1");
        assert_string_equal(find_address(b, "From", "user-from@domain.org"), "1:2");
        assert_string_equal(find(b, SEARCH_HEADER, "From", "user-from@domain.org"), "");
        assert_string_equal(find(b, SEARCH_HEADER, "From", "comment"), "1:2");
        assert_string_equal(find_address(b, "From", "broken"), "6");
        assert_string_equal(find_address(b, "From", "split@domain"), "6");
        assert_string_equal(find_address(b, "From", "SPLIT"), "6");
        assert_string_equal(find_address(b, "From", "syntax"), "");
        assert_string_equal(find_address(b, "To", "enc"), "6");
        assert_string_equal(find(b, SEARCH_HEADER, "Subject", "ab\\c"), "6");
        assert_string_equal(find_address(b, "From", "<"), "1:2,6");
    }
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(ascii_is_looked_for_in_what_the_charset_says)
{
    struct store *s = filled_with(odd_messages, 6);
    struct mailbox *b = open_box(s, "INBOX");

    for (int i = 0; i < 2; i++) {
        assert_string_equal(find(b, SEARCH_BODY, "", "$3"), "");
        assert_string_equal(find(b, SEARCH_TEXT, "", "$B"), "");
        assert_string_equal(find(b, SEARCH_BODY, "", "plain"), "3,5");
        assert_string_equal(find(b, SEARCH_BODY, "", "AGEAY"), "");
        assert_string_equal(find(b, SEARCH_BODY, "", "hi ab"), "4");
        struct search_key seen = {.what = SEARCH_SENTON, .day = 1};
        assert_string_equal(run(b, &seen), ""); /* the cache is made */
    }
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_field_behind_a_header_too_long_for_the_cache_is_found)
{
    struct buf text = BUF(1 << 20);

    buf_addz(&text, "X-Fill: x");
    for (int i = 0; i < 3000; i++)
        buf_addz(&text, "\n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    buf_addz(&text, "\nDate: Tue, 2 Jan 2024 00:30:00 +0100\nSubject: behind\n\nb\n");
    assert_true(buf_ok(&text));
    const char *const messages_of[] = {text.p};
    struct store *s = filled_with(messages_of, 1);
    struct mailbox *b = open_box(s, "INBOX");
    struct search_key senton = {.what = SEARCH_SENTON, .day = date_days(2024, 1, 2)};
    assert_string_equal(run(b, &senton), "1");
    assert_string_equal(find(b, SEARCH_HEADER, "Subject", "behind"), "1");
    buf_free(&text);
    mailbox_close(&b);
    store_close(&s);
}

static bool count_turns(void *self, uint32_t done, uint32_t of)
{
    unsigned *turns = self;

    assert_true(done > 0 && done <= of);
    return ++*turns < 3;
}

/* The longest CPU time between two turns of another task, in milliseconds. */
static int64_t longest_ms;
static bool over;

static int64_t cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watcher(void *arg)
{
    int64_t last = cpu_ms();

    for (longest_ms = 0; !over; task_yield()) {
        int64_t now = cpu_ms();
        longest_ms = now - last > longest_ms ? now - last : longest_ms;
        last = now;
    }
    *(bool *)arg = true;
}

/* A message of one line that stands there n times; searching must not keep others waiting. */
static void check_turns(struct store *s, const char *head, const char *line, int n,
                        enum search_what what, const char *name)
{
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);
    bool ended = false;

    mail_in_put(m, strz(head));
    for (int i = 0; i < n; i++)
        mail_in_put(m, strz(line));
    assert_int_equal(mail_in_commit(&m, NULL, NULL, &why), 0);
    struct mailbox *b = open_box(s, "INBOX");
    over = false;
    task_start("watcher", watcher, &ended);
    task_yield();
    assert_string_equal(find(b, what, name, "\xc3\xa4\xc3\xa4\xc3\xa4"), "");
    task_yield();
    over = true;
    while (!ended)
        task_yield();
    assert_true(longest_ms < 250); /* with a sanitizer that is slow */
    expunge(b, "1:*", true);
    mailbox_close(&b);
    why_free(&why);
}

/* 20 MB of text that is decoded, converted and folded. */
static void check_body_turns(struct store *s, const char *charset)
{
    struct buf head = BUF(300);

    buf_addf(&head,
             "MIME-Version: 1.0\nContent-Type: text/plain; charset=%s\n"
             "Content-Transfer-Encoding: base64\n\n",
             charset);
    check_turns(s, head.p, "w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TD\n",
                300000, SEARCH_BODY, NULL);
    buf_free(&head);
}

TASK_TEST(a_search_in_many_fields_lets_others_run)
{
    struct store *s = open_store();

    check_turns(s, "", "X-A: =?utf-8?q?a?=\n", 100000, SEARCH_HEADER, "X-A");
    check_turns(s, "", "From: =?utf-8?q?a?= <a@b>\n", 40000, SEARCH_HEADER, "From");
    store_close(&s);
}

TASK_TEST(a_search_in_a_long_text_lets_others_run)
{
    struct store *s = open_store();

    check_body_turns(s, "utf-8");
    check_body_turns(s, "iso-8859-1");
    check_body_turns(s, "iso-8859-2");
    store_close(&s);
}

/* keys[0] wants all others, which are copies of the same one. */
static void many_keys(struct search_key *keys, size_t n, struct search_key each)
{
    keys[0] = (struct search_key){.what = SEARCH_AND, .child = &keys[1]};
    for (size_t i = 1; i < n; i++) {
        keys[i] = each;
        keys[i].next = i + 1 < n ? &keys[i + 1] : NULL;
    }
}

TASK_TEST(names_of_keywords_are_looked_for_once_and_not_for_each_message)
{
    enum { KEYS = 500, MESSAGES = 50, KEYWORDS = 100 };
    struct store *s = open_store();
    struct uidset found = UIDSET, all = uids("1:*");
    struct why why = WHY;
    struct search_watch watch = {0};
    struct search_key keys[KEYS];
    struct str names[KEYWORDS];
    char text[KEYWORDS][16];
    struct flag_change change = {.op = FLAGS_ADD, .keywords = names, .nkeywords = KEYWORDS};

    for (int i = 0; i < MESSAGES; i++)
        deliver_flags(s, "INBOX", "A: b\n\n", 0);
    for (int i = 0; i < KEYWORDS; i++) {
        snprintf(text[i], sizeof text[i], "kw%d", i);
        names[i] = strz(text[i]);
    }
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_flag(b, &all, &change, &why), 0);
    many_keys(keys, KEYS, (struct search_key){.what = SEARCH_KEYWORD, .text = STR("KW99")});
    assert_int_equal(search_run(b, keys, &watch, &found, &why), 0);
    assert_int_equal(uidset_count(&found), MESSAGES);
    assert_in_range(watch.steps, KEYS, KEYS * KEYWORDS + 3 * KEYS * MESSAGES);
    uidset_free(&found);
    uidset_free(&all);
    why_free(&why);
    mailbox_close(&b);
    store_close(&s);
}

/* Compared byte by byte at each place, this would take a minute. */
TASK_TEST(a_text_full_of_near_misses_costs_its_length)
{
    enum { LENGTH = 1 << 20, NEEDLE = 60000 };
    char *text = mem_new(LENGTH), *needle = mem_new(NEEDLE);
    struct str in = {text, LENGTH}, of = {needle, NEEDLE};

    memset(text, 'B', LENGTH);
    memset(needle, 'b', NEEDLE);
    assert_true(search_raw(in, of));
    needle[NEEDLE / 2] = 'e'; /* common in mail: the first b is looked for */
    assert_false(search_raw(in, of));
    text[LENGTH - NEEDLE / 2] = 'E';
    assert_true(search_raw(in, of));
    text[LENGTH - NEEDLE / 2 + 1] = 'a';
    assert_false(search_raw(in, of));
    for (size_t i = 0; i < NEEDLE; i++)
        needle[i] = "abaabab"[i % 7];
    memcpy(text + LENGTH - NEEDLE, needle, NEEDLE);
    for (size_t i = 0; i + NEEDLE < LENGTH; i++)
        text[i] = "abaabaB"[i % 7];
    assert_true(search_raw(in, of));
    free(text);
    free(needle);
}

TASK_TEST(progress_is_told_and_can_end_a_search)
{
    struct store *s = open_store();
    struct uidset found = UIDSET;
    struct why why = WHY;
    unsigned turns = 0;
    struct search_watch watch = {.progress = count_turns, .self = &turns};
    struct search_key all[5];

    for (int i = 0; i < 1100; i++)
        deliver_flags(s, "INBOX", "A: b\n\n", 0);
    struct mailbox *b = open_box(s, "INBOX");
    many_keys(all, 5, (struct search_key){.what = SEARCH_ALL});
    assert_int_equal(search_run(b, all, &watch, &found, &why), 0);
    assert_int_equal(turns, 3);
    assert_in_range(watch.steps, 3000, 3100);
    assert_in_range(uidset_count(&found), 280, 350); /* about ten steps for each */
    assert_false(watch.expunged);
    uidset_free(&found);
    why_free(&why);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_search_tells_of_messages_that_others_have_expunged)
{
    struct store *s = filled();
    struct mailbox *b = open_box(s, "INBOX"), *other = open_box(s, "INBOX");
    struct uidset first = uids("1"), found = UIDSET;
    struct why why = WHY;
    struct search_watch watch = {0};
    struct search_key body = {.what = SEARCH_BODY, .text = STR("fox")}, all = {.what = SEARCH_ALL};

    assert_int_equal(mailbox_expunge(other, &first, true, &why), 0);
    assert_int_equal(search_run(b, &all, &watch, &found, &why), 0);
    assert_false(watch.expunged); /* nothing had to be read */
    assert_int_equal(search_run(b, &body, &watch, &found, &why), 0);
    assert_true(watch.expunged);
    why_free(&why);
    uidset_free(&first);
    uidset_free(&found);
    mailbox_close(&other);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(headers_and_bodies_match_what_they_mean)
{
    struct store *s = filled();
    struct mailbox *b = open_box(s, "INBOX");

    assert_string_equal(find(b, SEARCH_HEADER, "Subject", "WORDS"), "1");
    assert_string_equal(find(b, SEARCH_HEADER, "From", "j\xc3\x96rg"), "2");
    assert_string_equal(find(b, SEARCH_HEADER, "subject", "gr\xc3\xbc\xc3\x9f"), "2");
    assert_string_equal(find(b, SEARCH_HEADER, "From", ""), "1:2,4");
    assert_string_equal(find(b, SEARCH_HEADER, "X-Odd", "some thing"), "1");
    assert_string_equal(find(b, SEARCH_HEADER, "X-None", ""), "");
    assert_string_equal(find(b, SEARCH_BODY, "", "quick BROWN"), "1");
    assert_string_equal(find(b, SEARCH_BODY, "", "words"), "");
    assert_string_equal(find(b, SEARCH_TEXT, "", "words"), "1");
    assert_string_equal(find(b, SEARCH_BODY, "", "wien"), "2");
    assert_string_equal(find(b, SEARCH_BODY, "", "SCH\xc3\x96NE"), "2");
    assert_string_equal(find(b, SEARCH_BODY, "", "k\xc3\xa4se brot"), "3");
    assert_string_equal(find(b, SEARCH_BODY, "", "hidden words"), "");
    assert_string_equal(find(b, SEARCH_BODY, "", "holiday.png"), "3");
    assert_string_equal(find(b, SEARCH_BODY, "", "inner subject"), "3");
    assert_string_equal(find(b, SEARCH_BODY, "", "inner body"), "3");
    assert_string_equal(find(b, SEARCH_TEXT, "", "example.com"), "1:2");
    assert_string_equal(find(b, SEARCH_TEXT, "", "some thing"), "1");
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(state_sizes_and_dates_match)
{
    struct store *s = filled();
    struct mailbox *b = open_box(s, "INBOX");
    int64_t day = date_days(2024, 1, 2);

    struct search_key flags = {.what = SEARCH_FLAGS, .flags = MSG_SEEN | MSG_FLAGGED};
    assert_string_equal(run(b, &flags), "2");
    struct search_key not = {.what = SEARCH_NOT, .child = &flags};
    assert_string_equal(run(b, &not ), "1,3:4");
    struct search_key larger = {.what = SEARCH_LARGER, .number = 300};
    assert_string_equal(run(b, &larger), "3");
    struct search_key or = {.what = SEARCH_OR, .child = &larger};
    larger.next = &flags;
    assert_string_equal(run(b, & or), "2:3");
    struct search_key and = {.what = SEARCH_AND, .child = &larger};
    assert_string_equal(run(b, &and), "");
    struct search_key smaller = {.what = SEARCH_SMALLER, .number = 100};
    assert_string_equal(run(b, &smaller), "4");
    struct search_key numbers = {.what = SEARCH_NUMBERS, .set = uids("2:3")};
    assert_string_equal(run(b, &numbers), "2:3");
    /* Without regard to time and zone. */
    struct search_key senton = {.what = SEARCH_SENTON, .day = day};
    assert_string_equal(run(b, &senton), "2");
    senton.what = SEARCH_SENTBEFORE;
    assert_string_equal(run(b, &senton), "1");
    senton.what = SEARCH_SENTSINCE;
    assert_string_equal(run(b, &senton), "2:3");
    struct search_key since = {.what = SEARCH_SINCE, .day = day};
    assert_string_equal(run(b, &since), "1:4");
    struct search_key younger = {.what = SEARCH_YOUNGER, .number = 3600};
    assert_string_equal(run(b, &younger), "1:4");
    uidset_free(&numbers.set);
    mailbox_close(&b);
    store_close(&s);
}

RUN_TESTS(TS(a_header_is_searched_as_it_is_shown), TS(ascii_is_looked_for_in_what_the_charset_says),
          TS(a_field_behind_a_header_too_long_for_the_cache_is_found),
          TS(a_search_in_a_long_text_lets_others_run), TS(a_search_in_many_fields_lets_others_run),
          TS(progress_is_told_and_can_end_a_search),
          TS(names_of_keywords_are_looked_for_once_and_not_for_each_message),
          TS(a_text_full_of_near_misses_costs_its_length),
          TS(a_search_tells_of_messages_that_others_have_expunged),
          TS(headers_and_bodies_match_what_they_mean), TS(state_sizes_and_dates_match))
