/*
 * The journal against crashes and damage: cut at every byte, bits turned over, lost, taken over.
 */
#include "store/journal.h"
#include "store/takeover.h"

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

static void read_file(const char *name, struct buf *out)
{
    struct why why = WHY;
    buf_clear(out);
    assert_int_equal(file_read(path_of(name), out, &why), 0);
}

static void write_bytes(const char *name, struct str bytes)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes.p, bytes.n), 0);
    close(fd);
}

static const char *foreign_name(int i)
{
    return (const char *[]){"cur/100.a.h:2,S", "new/101.b.h", "cur/102.c.h,S=21"}[i];
}

/* A Maildir that another program made. */
static void put_foreign(int n)
{
    assert_int_equal(mkdir(path_of("tmp"), 0700), 0);
    assert_int_equal(mkdir(path_of("cur"), 0700), 0);
    assert_int_equal(mkdir(path_of("new"), 0700), 0);
    for (int i = 0; i < n; i++)
        put_file(foreign_name(i), hello);
}

/* Three messages, flags, a keyword; two later messages. */
static uint32_t make_folder(void)
{
    struct store *s = open_store();

    for (int i = 0; i < 3; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    uint32_t uidvalidity = mailbox_uidvalidity(b);
    set_flags(b, "2", FLAGS_ADD, MSG_FLAGGED, true);
    set_keywords(b, "1", FLAGS_ADD, "work");
    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    set_flags(b, "4", FLAGS_ADD, MSG_SEEN, true);
    mailbox_close(&b);
    store_close(&s);
    return uidvalidity;
}

TASK_TEST(a_journal_cut_at_any_byte_is_mended)
{
    struct buf whole = BUF(1 << 20);
    uint32_t uidvalidity = make_folder();

    read_file("pombal.journal", &whole);
    for (size_t n = 0; n <= whole.n; n += n < 400 || n + 400 > whole.n ? 1 : 7) {
        write_bytes("pombal.journal", str_upto(buf_str(&whole), n));
        struct store *s = open_store();
        struct mailbox *b = open_box(s, "INBOX");
        assert_int_equal(mailbox_count(b), 5);
        bool same = mailbox_uidvalidity(b) == uidvalidity;
        if (n == whole.n)
            assert_true(same);
        for (uint32_t i = 1; i <= 5; i++) {
            const struct msg *m = mailbox_msg(b, i);
            /* A number means the same message as ever, or it is a new one. */
            assert_true(!same || m->uid == i || m->uid > 5);
        }
        assert_true(mailbox_uidnext(b) > mailbox_msg(b, 5)->uid);
        mailbox_close(&b);
        /* It is good again. */
        uint32_t uid = deliver(s, "INBOX", hello);
        store_close(&s);
        s = open_store();
        b = open_box(s, "INBOX");
        assert_int_equal(mailbox_count(b), 6);
        assert_int_equal(mailbox_msg(b, 6)->uid, uid);
        expunge(b, "1:*", false);
        struct uidset last = UIDSET;
        struct why why = WHY;
        uidset_add(&last, uid, uid);
        assert_int_equal(mailbox_expunge(b, &last, true, &why), 0);
        uidset_free(&last);
        mailbox_close(&b);
        store_close(&s);
    }
    buf_free(&whole);
}

TASK_TEST(a_damaged_journal_is_made_again_with_another_uidvalidity)
{
    struct buf whole = BUF(1 << 20);
    uint32_t uidvalidity = make_folder();

    read_file("pombal.journal", &whole);
    for (size_t n = 0; n + 200 < whole.n; n += 37) {
        char *bytes = mem_dup(whole.p, whole.n);
        bytes[n] = (char)(bytes[n] ^ 0x40);
        write_bytes("pombal.journal", (struct str){bytes, whole.n});
        free(bytes);
        struct store *s = open_store();
        struct mailbox *b = open_box(s, "INBOX");
        assert_int_equal(mailbox_count(b), 5);
        assert_true(mailbox_uidvalidity(b) > uidvalidity);
        mailbox_close(&b);
        store_close(&s);
    }
    buf_free(&whole);
}

TASK_TEST(a_lost_journal_is_made_again_with_another_uidvalidity)
{
    uint32_t uidvalidity = make_folder();
    struct store *s;
    struct mailbox *b;

    assert_int_equal(unlink(path_of("pombal.journal")), 0);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_true(mailbox_uidvalidity(b) > uidvalidity);
    assert_int_equal(mailbox_count(b), 5);
    /* The flags are in the names of the files. */
    assert_int_equal(mailbox_msg(b, 2)->flags & MSG_FLAGS, MSG_FLAGGED);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_grown_journal_becomes_a_checkpoint)
{
    struct store *s = open_store(), *other = open_store();
    struct stat st;

    for (int i = 0; i < 20; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(other, "INBOX");
    set_flags(b, "7", FLAGS_ADD, MSG_SEEN, false);
    for (int i = 0; i < 6000; i++)
        set_flags(a, "1:*", i % 2 == 0 ? FLAGS_ADD : FLAGS_DROP, MSG_FLAGGED, true);
    expunge(a, "3", true);
    uint64_t modseq = mailbox_modseq(a);
    mailbox_close(&a);
    assert_int_equal(stat(path_of("pombal.journal"), &st), 0);
    assert_true(st.st_size < 100000);
    /* The other one finds its way in the new file. */
    assert_int_equal(deliver(s, "INBOX", hello), 21);
    assert_string_equal(pull_all(b, true), "+21 f7 -3");
    set_flags(b, "8", FLAGS_ADD, MSG_SEEN, false);
    a = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(a), 20);
    assert_int_equal(mailbox_msg(a, 7)->flags & MSG_FLAGS, MSG_SEEN);
    assert_true(mailbox_modseq(a) > modseq);
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&s);
    store_close(&other);
}

static void set_time(const char *name, time_t seconds)
{
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static int64_t date_of(struct mailbox *b, uint32_t number)
{
    int64_t received = 0;
    assert_int_equal(mailbox_received(b, number, &received, NULL), 0);
    return received;
}

TASK_TEST(a_date_is_asked_for_once_and_stays)
{
    put_foreign(3);
    for (int i = 0; i < 3; i++)
        set_time(foreign_name(i), 1000000 + i);
    struct store *s = open_store(), *other = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_msg(b, 1)->received, 0);
    assert_int_equal(date_of(b, 1), 1000000);
    assert_string_equal(pull_all(b, true), "");
    assert_int_equal(date_of(b, 3), 1000002); /* told, but the next pull does not come */
    for (int i = 0; i < 3; i++)
        set_time(foreign_name(i), 2000000);
    struct mailbox *c = open_box(other, "INBOX");
    assert_int_equal(date_of(c, 1), 1000000);
    assert_int_equal(date_of(c, 2), 2000000);
    mailbox_close(&c);
    mailbox_close(&b);
    store_close(&s);
    store_close(&other);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_int_equal(date_of(b, 1), 1000000);
    assert_int_equal(date_of(b, 2), 2000000);
    assert_int_equal(date_of(b, 3), 1000002);
    mailbox_close(&b);
    store_close(&s);
}

/* Nobody notices a change by the time of the directory if it comes in the same tick as the last. */
TASK_TEST(a_file_that_comes_right_after_the_last_look_is_found)
{
    put_foreign(1);
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    for (uint32_t i = 2; i < 300; i++) {
        struct buf name = BUF(100);
        buf_addf(&name, "%s/%u.x.h", i % 3 == 0 ? "cur" : "new", i);
        put_file(name.p, hello);
        buf_free(&name);
        pull_all(b, true);
        assert_int_equal(mailbox_count(b), i);
        if (i % 10 == 0) {
            mailbox_close(&b);
            b = open_box(s, "INBOX");
            assert_int_equal(mailbox_count(b), i);
        }
    }
    mailbox_close(&b);
    store_close(&s);
}

/* Root may write everywhere: become nobody for a while. */
static void only_read(bool on)
{
    assert_int_equal(chmod(root, on ? 0555 : 0700), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chmod(path_of((const char *[]){"new", "cur", "tmp"}[i]), on ? 0555 : 0700),
                         0);
}

TASK_TEST(a_folder_that_cannot_be_written_is_shown)
{
    struct why why = WHY;
    struct folder_status status;
    bool am_root = geteuid() == 0;

    put_foreign(3);
    only_read(true);
    assert_true(!am_root || seteuid(65534) == 0);
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_true(mailbox_read_only(b));
    assert_int_equal(mailbox_count(b), 3);
    assert_true(date_of(b, 2) > 0);
    assert_int_equal(store_status(s, "INBOX", &status, &why), 0);
    assert_int_equal(status.messages, 3);
    assert_null(mail_in_new(s, "INBOX", NULL, &why));
    assert_string_equal(why.code, "5.7.1");
    assert_string_equal(pull_all(b, true), "");
    mailbox_close(&b);
    store_close(&s);
    assert_true(!am_root || seteuid(0) == 0);
    only_read(false);
    assert_int_equal(access(path_of("pombal.journal"), F_OK), -1);
    why_free(&why);
}

TASK_TEST(a_journal_that_cannot_be_written_is_shown)
{
    struct why why = WHY;
    bool am_root = geteuid() == 0;
    uint32_t uidvalidity = make_folder();

    put_file("new/9.foreign.h", hello);
    only_read(true);
    assert_int_equal(chmod(path_of("pombal.journal"), 0444), 0);
    assert_true(!am_root || seteuid(65534) == 0);
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_true(mailbox_read_only(b));
    assert_int_equal(mailbox_uidvalidity(b), uidvalidity);
    assert_int_equal(mailbox_count(b), 5); /* nobody may number the sixth */
    assert_string_equal(pull_all(b, true), "");
    mailbox_close(&b);
    store_close(&s);
    assert_true(!am_root || seteuid(0) == 0);
    only_read(false);
    assert_int_equal(chmod(path_of("pombal.journal"), 0600), 0);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 6);
    mailbox_close(&b);
    store_close(&s);
    why_free(&why);
}

TASK_TEST(a_session_that_stays_makes_checkpoints_and_others_follow)
{
    struct store *s = open_store(), *other = open_store();
    struct stat st;

    for (int i = 0; i < 4; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX"),
                   *c = open_box(other, "INBOX");
    for (int i = 0; i < 12000; i++) {
        set_flags(a, i % 2 == 0 ? "1" : "1,3", i % 4 < 2 ? FLAGS_ADD : FLAGS_DROP, MSG_SEEN, true);
        if (i % 100 == 0)
            pull_all(a, true);
        if (i % 3001 == 0)
            pull_all(c, true);
    }
    pull_all(a, true);
    assert_int_equal(stat(path_of("pombal.journal"), &st), 0);
    assert_in_range(st.st_size, 1000, 600 << 10);
    set_flags(a, "2", FLAGS_ADD, MSG_FLAGGED, true);
    set_flags(a, "2", FLAGS_ADD, MSG_DRAFT, true);
    expunge(a, "4", true);
    assert_string_equal(pull_all(b, true), "f1 f2 f3 -4");
    assert_string_equal(pull_all(c, false), "f1 f2 f3");
    assert_int_equal(mailbox_msg(c, 2)->flags & MSG_FLAGS, MSG_FLAGGED | MSG_DRAFT);
    assert_string_equal(pull_all(c, true), "-4");
    mailbox_close(&a);
    mailbox_close(&b);
    mailbox_close(&c);
    store_close(&s);
    store_close(&other);
}

TASK_TEST(numbers_and_keywords_of_dovecot_are_kept)
{
    struct store *s = open_store();
    struct mailbox *b;

    assert_int_equal(mkdir(path_of("cur"), 0700), 0);
    assert_int_equal(mkdir(path_of("new"), 0700), 0);
    put_file("cur/1.a.h:2,Sb", hello);
    put_file("new/2.b.h,S=10", hello);
    put_file("new/3.c.h", hello);
    put_file("dovecot-uidlist", "3 V1234567 N77 Gabc\n5 W30 :1.a.h\n9 :gone.x.h\n40 :2.b.h,S=10\n");
    put_file("dovecot-keywords", "0 $Forwarded\n1 $Label1\n4 later\n");
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), 1234567);
    assert_int_equal(mailbox_count(b), 3);
    assert_int_equal(mailbox_msg(b, 1)->uid, 5);
    assert_int_equal(mailbox_msg(b, 1)->flags & MSG_FLAGS, MSG_SEEN);
    assert_int_equal(mailbox_msg(b, 1)->keywords, 2);
    assert_int_equal(mailbox_msg(b, 1)->size, 30);
    int64_t received;
    assert_int_equal(mailbox_received(b, 1, &received, NULL), 0);
    assert_true(received > 1000000);
    assert_int_equal(mailbox_msg(b, 2)->uid, 40);
    assert_int_equal(mailbox_msg(b, 3)->uid, 77);
    assert_int_equal(mailbox_recent_count(b), 1);
    assert_int_equal(mailbox_keyword_find(b, STR("later")), 4);
    mailbox_close(&b);
    store_close(&s);
    /* Later, the old file must not bring back numbers that have been used since. */
    s = open_store();
    assert_int_equal(deliver(s, "INBOX", hello), 78);
    store_close(&s);
    assert_int_equal(unlink(path_of("pombal.journal")), 0);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_true(mailbox_uidvalidity(b) != 1234567);
    mailbox_close(&b);
    store_close(&s);
}

TEST(uidlists_are_read)
{
    static const struct {
        const char *text;
        uint32_t uidvalidity, uidnext;
        size_t count;
    } cases[] = {
        {"3 V5 N9 Gx\n1 :a\n3 W5 Px :b,S=3\n", 5, 9, 2},
        {"1 5 9\n1 a\n2 b\n", 5, 9, 2},
        {"3 V5 N2\n7 :a\n", 5, 8, 1},
        {"3 V5 N9\n3 :a\n2 :b\n3 :c\nx\n\n4 :d/e\n5 :f:2,S\n", 5, 9, 2},
        {"", 0, 1, 0},
        {"2 5 9\n", 0, 1, 0},
        {"3 N9\n1 :a\n", 0, 1, 0},
        {"3 V0 N9\n1 :a\n", 0, 1, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct state read;
        state_init(&read);
        assert_int_equal(takeover_dovecot(strz(cases[i].text), &read), cases[i].uidvalidity);
        assert_int_equal(read.uidnext, cases[i].uidnext);
        assert_int_equal(read.n, cases[i].count);
        state_free(&read);
    }
}

static struct {
    unsigned turns;
    bool done;
} other;

static void count_turns(void *arg)
{
    (void)arg;
    for (; !other.done; task_yield())
        other.turns++;
}

TASK_TEST(a_long_uidlist_lets_others_have_their_turns)
{
    enum { LINES = 100000 };
    struct buf text = BUF(10000000);
    struct state read;

    buf_addf(&text, "3 V5 N%d\n", LINES + 10);
    for (int i = 1; i <= LINES; i++)
        buf_addf(&text, "%d :%d.name\n", i, i);
    assert_true(buf_ok(&text));
    state_init(&read);
    other.turns = 0;
    other.done = false;
    task_start("other", count_turns, NULL);
    assert_int_equal(takeover_dovecot(buf_str(&text), &read), 5);
    other.done = true;
    task_yield();
    assert_in_range(other.turns, 9, 1000);
    assert_int_equal(read.uidnext, LINES + 10);
    assert_int_equal(read.recent, LINES + 10);
    assert_int_equal(read.n, LINES);
    for (size_t i = 0; i < LINES; i++)
        assert_int_equal(read.slots[i].m.uid, i + 1);
    state_free(&read);
    buf_free(&text);
}

RUN_TESTS(TS(a_journal_cut_at_any_byte_is_mended),
          TS(a_damaged_journal_is_made_again_with_another_uidvalidity),
          TS(a_lost_journal_is_made_again_with_another_uidvalidity),
          TS(a_grown_journal_becomes_a_checkpoint), TS(numbers_and_keywords_of_dovecot_are_kept),
          TS(a_date_is_asked_for_once_and_stays),
          TS(a_file_that_comes_right_after_the_last_look_is_found),
          TS(a_folder_that_cannot_be_written_is_shown),
          TS(a_journal_that_cannot_be_written_is_shown),
          TS(a_session_that_stays_makes_checkpoints_and_others_follow), T(uidlists_are_read),
          TS(a_long_uidlist_lets_others_have_their_turns))
