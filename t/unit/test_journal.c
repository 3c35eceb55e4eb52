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

/* Three messages, flags, a keyword; two later messages. */
static uint32_t make_folder(void)
{
    struct store *s = open_store();
    struct why why = WHY;
    uint64_t bit;

    for (int i = 0; i < 3; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    uint32_t uidvalidity = mailbox_uidvalidity(b);
    set_flags(b, "2", FLAGS_ADD, MSG_FLAGGED, true);
    assert_int_equal(mailbox_keyword_add(b, STR("work"), &bit, &why), 0);
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
    assert_string_equal(pull_all(b, true), "f7 +21 -3");
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
    assert_true(mailbox_msg(b, 1)->received > 1000000);
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

RUN_TESTS(TS(a_journal_cut_at_any_byte_is_mended),
          TS(a_damaged_journal_is_made_again_with_another_uidvalidity),
          TS(a_lost_journal_is_made_again_with_another_uidvalidity),
          TS(a_grown_journal_becomes_a_checkpoint), TS(numbers_and_keywords_of_dovecot_are_kept),
          T(uidlists_are_read))
