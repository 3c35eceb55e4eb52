/*
 * Keywords: many of them, freed and given again; letters in file names that nobody knows.
 */
#include <errno.h>

#include "base/mem.h"

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

/* "k0 k1 ...", from first on. */
static const char *words(int first, int n)
{
    static struct buf out = BUF(100000);

    buf_setz(&out, "");
    for (int i = first; i < first + n; i++)
        buf_addf(&out, "%sk%d", out.n > 0 ? " " : "", i);
    return out.p;
}

static char *file_name(const char *dir)
{
    static char name[300];
    DIR *d = opendir(path_of(dir));

    name[0] = '\0';
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            snprintf(name, sizeof name, "%s", e->d_name);
    closedir(d);
    return name;
}

static void see(uint32_t number, const char *what)
{
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");

    assert_string_equal(keywords_of(b, number), what);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_message_has_hundreds_of_keywords_and_keeps_them)
{
    struct store *s = open_store(), *other = open_store();

    for (int i = 0; i < 4; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX"), *watching = open_box(other, "INBOX");
    char *many = mem_dupz(words(0, 300));
    set_keywords(b, "2:3", FLAGS_ADD, many);
    assert_string_equal(keywords_of(b, 3), many);
    assert_string_equal(keywords_of(b, 4), "");
    assert_string_equal(pull_all(watching, true), "k0 f2 f3");
    assert_string_equal(keywords_of(watching, 2), many);
    uint64_t modseq = mailbox_modseq(b);
    set_keywords(b, "2", FLAGS_DROP, "k299 unheard-of");
    assert_true(mailbox_modseq(b) > modseq);
    assert_string_equal(pull_all(watching, true), "f2");
    assert_string_equal(keywords_of(watching, 2), words(0, 299));
    set_keywords(b, "3", FLAGS_SET, "k5 k299");
    assert_string_equal(keywords_of(b, 3), "k5 k299");
    assert_string_equal(pull_all(watching, true), "f3");
    modseq = mailbox_modseq(b);
    set_keywords(b, "3", FLAGS_SET, "k299 k5"); /* nothing changes */
    assert_int_equal(mailbox_modseq(b), modseq);
    expunge(b, "2", true);
    mailbox_close(&b);
    mailbox_close(&watching);
    store_close(&s);
    store_close(&other);
    see(2, "k5 k299");
    free(many);
}

TASK_TEST(what_cannot_be_kept_does_not_refuse_the_message)
{
    struct store_settings few = settings;
    struct why why = WHY;
    struct msg as = {0};
    struct uidset set = uids("1:2"), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    char code[10];

    few.keywords = 70;
    struct store *s = store_open(root, &few, true, &why);
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    set_keywords(b, "1", FLAGS_ADD, words(0, 69));
    assert_int_equal(try_keywords(b, "1", FLAGS_ADD, "one two", code), -1);
    assert_string_equal(code, "5.2.2");
    assert_int_equal(mailbox_keyword_find(b, STR("one")), -1); /* nothing was defined */
    struct mail_in *m = mail_in_new(s, "INBOX", &as, &why);
    mail_in_put(m, strz(hello));
    mail_in_keyword(m, STR("K68"));
    mail_in_keyword(m, STR("one"));
    mail_in_keyword(m, STR("two"));
    assert_int_equal(mail_in_commit(&m, NULL, NULL, &why), 0);
    assert_string_equal(pull_all(b, true), "+2 k0 f1");
    assert_string_equal(keywords_of(b, 2), "k68 one");
    assert_int_equal(store_create(s, "A", &why), 0);
    deliver(s, "A", hello);
    struct mailbox *a = open_box(s, "A");
    set_keywords(a, "1", FLAGS_ADD, words(100, 68));
    assert_int_equal(mailbox_copy(b, &set, "A", false, &copied, &why), 0);
    assert_string_equal(pull_all(a, true), "+2 +3 k0 f1");
    assert_string_equal(keywords_of(a, 2), "k0 k1");
    assert_string_equal(keywords_of(a, 3), "");
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&s);
    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
}

TASK_TEST(copies_have_all_keywords)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct uidset set = uids("1:2"), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};

    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    set_keywords(b, "1", FLAGS_ADD, words(0, 100));
    set_keywords(b, "2", FLAGS_ADD, "k99");
    assert_int_equal(store_create(s, "A", &why), 0);
    assert_int_equal(mailbox_copy(b, &set, "A", true, &copied, &why), 0);
    mailbox_close(&b);
    struct mailbox *a = open_box(s, "A");
    assert_string_equal(keywords_of(a, 1), words(0, 100));
    assert_string_equal(keywords_of(a, 2), "k99");
    mailbox_close(&a);
    store_close(&s);
    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
}

/* The journal doubles, so it is made anew. */
static void make_checkpoint(struct mailbox *b)
{
    ino_t before, now;
    struct stat st;

    assert_int_equal(stat(path_of("pombal.journal"), &st), 0);
    before = now = st.st_ino;
    for (int i = 0; i < 20000 && now == before; i++) {
        set_flags(b, "1", i % 2 == 0 ? FLAGS_ADD : FLAGS_DROP, MSG_FLAGGED, true);
        if (i % 500 == 0) {
            pull_all(b, true);
            assert_int_equal(stat(path_of("pombal.journal"), &st), 0);
            now = st.st_ino;
        }
    }
    assert_int_not_equal(now, before);
}

TASK_TEST(names_that_no_message_has_are_freed_at_a_checkpoint)
{
    struct store_settings few = settings;
    struct why why = WHY;
    char code[10];

    few.keywords = 70;
    struct store *s = store_open(root, &few, true, &why), *other = open_store();
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX"), *watching = open_box(other, "INBOX");
    set_keywords(b, "1", FLAGS_ADD, words(0, 70));
    set_keywords(b, "1", FLAGS_SET, "k1 k69");
    assert_int_equal(try_keywords(b, "1", FLAGS_ADD, "one", code), -1);
    assert_string_equal(pull_all(watching, true), "k0 f1");
    make_checkpoint(b);
    set_keywords(b, "1", FLAGS_ADD, "one");
    assert_int_equal(mailbox_keyword_find(b, STR("one")), 0);
    assert_string_equal(keywords_of(b, 1), "one k1 k69");
    assert_string_equal(pull_all(watching, true), "k0 f1");
    assert_string_equal(keywords_of(watching, 1), "one k1 k69");
    mailbox_close(&b);
    mailbox_close(&watching);
    store_close(&s);
    store_close(&other);
    see(1, "one k1 k69");
    struct buf text = BUF(1000);
    int fd = open(path_of("dovecot-keywords"), O_RDONLY);
    assert_int_equal(file_read_fd(fd, &text), 0);
    assert_string_equal(text.p, "0 one\n1 k1\n");
    close(fd);
    buf_free(&text);
}

TASK_TEST(letters_that_nobody_knows_stay_and_are_not_given_again)
{
    struct store *s = open_store();
    struct why why = WHY;

    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    mailbox_close(&b);
    store_close(&s);
    put_file("cur/1.x:2,Sab", hello);
    assert_int_equal(unlink(path_of("dovecot-keywords")) == 0 || errno == ENOENT, 1);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_string_equal(keywords_of(b, 2), "");
    set_flags(b, "2", FLAGS_ADD, MSG_FLAGGED, true);
    set_keywords(b, "1", FLAGS_ADD, "mine");
    assert_string_equal(keywords_of(b, 1), "mine");
    assert_string_equal(keywords_of(b, 2), "");
    expunge(b, "1", true);
    mailbox_close(&b);
    store_close(&s);
    assert_string_equal(file_name("cur"), "1.x:2,FSab");
    /* Somebody says what they mean. */
    put_file("dovecot-keywords", "0 alpha\n1 beta\n2 mine\n");
    put_file("cur/2.x:2,ac", hello);
    see(1, "alpha beta");
    see(2, "alpha mine");
    why_free(&why);
}

TASK_TEST(a_journal_of_the_former_version_is_read)
{
    char command[300];

    snprintf(command, sizeof command, "cp -r t/data/journal-1/. %s && mkdir %s/new %s/tmp", root,
             root, root);
    assert_int_equal(system(command), 0);
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), 1795963460);
    assert_int_equal(mailbox_count(b), 6);
    assert_int_equal(mailbox_keyword_count(b), 64);
    assert_string_equal(keywords_of(b, 2), "Word63");
    assert_string_equal(keywords_of(b, 3), "Word0 Word9 Word18 Word27 Word36 Word45 Word54 Word63");
    assert_int_equal(mailbox_msg(b, 3)->flags & MSG_FLAGS, MSG_SEEN);
    assert_int_equal(mailbox_msg(b, 6)->uid, 7);
    assert_int_equal(mailbox_msg(b, 6)->flags & MSG_FLAGS, MSG_FLAGGED);
    set_keywords(b, "2", FLAGS_ADD, "Word64");
    mailbox_close(&b);
    store_close(&s);
    see(2, "Word63 Word64");
}

RUN_TESTS(TS(a_message_has_hundreds_of_keywords_and_keeps_them),
          TS(what_cannot_be_kept_does_not_refuse_the_message), TS(copies_have_all_keywords),
          TS(names_that_no_message_has_are_freed_at_a_checkpoint),
          TS(letters_that_nobody_knows_stay_and_are_not_given_again),
          TS(a_journal_of_the_former_version_is_read))
