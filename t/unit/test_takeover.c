/*
 * A mailbox that a real Dovecot 2.3.19 left: numbers, flags, keywords and subscriptions are the
 * ones that Dovecot showed.
 */
#include "store_test.h"

static void copy_fixture(void)
{
    char command[200];

    snprintf(command, sizeof command, "cp -r t/data/dovecot-maildir/. %s", root);
    assert_int_equal(system(command), 0);
}

/* "1(S)30 ..." : uid, flags, keywords, size */
static const char *show(struct mailbox *b)
{
    static struct buf out = BUF(10000);
    struct why why = WHY;
    uint64_t size;

    buf_setz(&out, "");
    for (uint32_t n = 1; n <= mailbox_count(b); n++) {
        const struct msg *m = mailbox_msg(b, n);
        assert_int_equal(mailbox_size(b, n, &size, &why), 0);
        buf_addf(&out, "%s%u(", n > 1 ? " " : "", m->uid);
        for (int i = 0; i < 5; i++)
            if (m->flags & 1u << i)
                buf_addc(&out, "SAFTD"[i]);
        for (uint32_t i = 0; i < mailbox_keyword_count(b); i++)
            if (mailbox_has_keyword(b, n, i))
                buf_addf(&out, " %.*s", (int)mailbox_keyword(b, i).n, mailbox_keyword(b, i).p);
        buf_addf(&out, ")%d", (int)size);
    }
    return out.p;
}

TASK_TEST(dovecots_mailbox_looks_as_dovecot_showed_it)
{
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct folder_list l;

    copy_fixture();
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), 1795402539);
    assert_int_equal(mailbox_uidnext(b), 10);
    assert_string_equal(show(b), "1(S)30 2(S)30 3(AF)30 4(D $Forwarded)30 5(S $Forwarded Later)30 "
                                 "7()30 8(S)30 9()30");
    mailbox_close(&b);
    b = open_box(s, "Work.Projects");
    assert_int_equal(mailbox_uidvalidity(b), 1795402540);
    assert_int_equal(mailbox_uidnext(b), 6);
    assert_string_equal(show(b), "1( Urgent)32 3(S)32 4(S)30 5(AF)30");
    mailbox_close(&b);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 5);
    assert_true(str_eqz(l.at[0].name, "INBOX") && l.at[0].attrs == FOLDER_SUBSCRIBED);
    assert_true(str_eqz(l.at[1].name, "Entw&APw-rfe"));
    assert_string_equal(l.at[2].special_use, "\\Sent");
    assert_int_equal(l.at[3].attrs, FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
    assert_int_equal(l.at[4].attrs, FOLDER_SUBSCRIBED);
    arena_free(&mem);
    store_close(&s);
}

/* "uid:first letters of the subject ..." of all messages */
static const char *who_has_which(struct mailbox *b)
{
    static struct buf out = BUF(10000);
    struct why why = WHY;
    struct str text, line, value;

    buf_setz(&out, "");
    for (uint32_t n = 1; n <= mailbox_count(b); n++) {
        assert_int_equal(mailbox_cached(b, n, CACHED_FIELDS, &text, &why), 0);
        while (str_split(&text, '\n', &line))
            if (str_istarts(line, STR("Subject: "))) {
                value = str_rtrim(str_from(line, 9));
                buf_addf(&out, "%s%u:%.*s", n > 1 ? " " : "", mailbox_msg(b, n)->uid, (int)value.n,
                         value.p);
            }
    }
    return out.p;
}

static const char *list_text(void)
{
    static struct buf out = BUF(10000);
    int fd = open(path_of("dovecot-uidlist"), O_RDONLY);

    buf_clear(&out);
    assert_true(fd >= 0);
    assert_int_equal(file_read_fd(fd, &out), 0);
    close(fd);
    return out.p;
}

static void add_message(const char *name, const char *subject)
{
    char text[100], path[100];

    snprintf(text, sizeof text, "Subject: %s\n\nbody\n", subject);
    snprintf(path, sizeof path, "new/%s", name);
    put_file(path, text);
}

/* A mailbox that Dovecot had: messages a and b. */
static struct store *open_taken(void)
{
    assert_int_equal(mkdir(path_of("new"), 0700), 0);
    add_message("1.a", "a");
    add_message("2.b", "b");
    put_file("dovecot-uidlist", "3 V1000 N3 Gabc\n1 :1.a\n2 :2.b\n");
    return open_store();
}

static void see(struct store *s, uint32_t uidvalidity, const char *what)
{
    struct mailbox *b = open_box(s, "INBOX");

    assert_string_equal(who_has_which(b), what);
    if (uidvalidity != 0)
        assert_int_equal(mailbox_uidvalidity(b), uidvalidity);
    else
        assert_true(mailbox_uidvalidity(b) > 1000);
    mailbox_close(&b);
}

TASK_TEST(the_list_of_numbers_is_kept_for_dovecot)
{
    struct store *s = open_taken();
    struct why why = WHY;

    see(s, 1000, "1:a 2:b");
    assert_int_equal(deliver(s, "INBOX", "Subject: c\n\n"), 3);
    store_close(&s);
    s = open_store(); /* another process, which reads no more than the last record */
    assert_int_equal(deliver(s, "INBOX", "Subject: d\n\n"), 4);
    const char *text = list_text();
    assert_non_null(strstr(text, "3 V1000 N3 Gabc\n1 :1.a\n2 :2.b\n3 :"));
    assert_non_null(strstr(text, "\n4 :"));
    see(s, 1000, "1:a 2:b 3:c 4:d");
    /* A folder that is made on such a host has a list too. */
    assert_int_equal(store_create(s, "A", &why), 0);
    deliver(s, "A", "Subject: e\n\n");
    assert_int_equal(access(path_of(".A/dovecot-uidlist"), F_OK), 0);
    store_close(&s);
}

TASK_TEST(numbers_that_dovecot_gave_meanwhile_are_taken)
{
    struct store *s = open_taken();
    char list[1000];

    see(s, 1000, "1:a 2:b");
    assert_int_equal(deliver(s, "INBOX", "Subject: c\n\n"), 3);
    snprintf(list, sizeof list, "%s7 :0.x\n8 :9.y\n9 :9.gone\n", list_text());
    put_file("dovecot-uidlist", list);
    add_message("9.y", "y");
    add_message("0.x", "x");
    add_message("0.w", "w"); /* Dovecot has not seen it */
    assert_int_equal(deliver(s, "INBOX", "Subject: d\n\n"), 11);
    see(s, 1000, "1:a 2:b 3:c 7:x 8:y 10:w 11:d");
    assert_non_null(strstr(list_text(), "3 V1000 N11 Gabc\n"));
    store_close(&s);
}

/* The list is another one, and its numbers are not ours: nobody gets a number twice. */
static void check_conflict(const char *list, const char *what)
{
    struct store *s = open_taken();

    see(s, 1000, "1:a 2:b");
    assert_int_equal(deliver(s, "INBOX", "Subject: c\n\n"), 3);
    add_message("3.d", "d");
    struct mailbox *old = open_box(s, "INBOX");
    put_file("dovecot-uidlist", list);
    add_message("4.e", "e");
    assert_string_equal(pull_all(old, true), "failed");
    mailbox_close(&old);
    see(s, 0, what);
    struct mailbox *b = open_box(s, "INBOX");
    uint32_t uidvalidity = mailbox_uidvalidity(b);
    mailbox_close(&b);
    char head[100];
    snprintf(head, sizeof head, "3 V%u N", uidvalidity);
    assert_non_null(strstr(list_text(), head));
    store_close(&s);
    s = open_store();
    see(s, uidvalidity, what);
    store_close(&s);
}

TASK_TEST(a_number_that_dovecot_gave_to_another_message_makes_new_numbers)
{
    check_conflict("3 V1000 N5 Gabc\n1 :1.a\n2 :2.b\n3 :3.d\n4 :4.e\n", "1:a 2:b 3:c 4:d 5:e");
}

TASK_TEST(another_number_for_one_of_our_messages_makes_new_numbers)
{
    check_conflict("3 V1000 N15 Gabc\n1 :1.a\n12 :2.b\n", "1:a 2:b 3:c 4:d 5:e");
}

TASK_TEST(an_older_list_of_other_numbers_makes_new_numbers)
{
    check_conflict("3 V999 N15 Gabc\n11 :1.a\n12 :2.b\n", "1:a 2:b 3:c 4:d 5:e");
}

TASK_TEST(a_mailbox_that_dovecot_numbered_anew_gets_those_numbers)
{
    struct store *s = open_taken();

    see(s, 1000, "1:a 2:b");
    struct mailbox *b = open_box(s, "INBOX");
    set_flags(b, "2", FLAGS_ADD, MSG_FLAGGED, true);
    mailbox_close(&b);
    put_file("dovecot-uidlist", "3 V2000 N8 Gabc\n5 :1.a\n7 :2.b\n");
    see(s, 2000, "5:a 7:b");
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_msg(b, 2)->flags & MSG_FLAGS, MSG_FLAGGED);
    assert_int_equal(mailbox_uidnext(b), 8);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_mailbox_without_such_a_list_gets_none)
{
    struct store *s = open_store();

    deliver(s, "INBOX", "Subject: a\n\n");
    see(s, 0, "1:a");
    store_close(&s);
    assert_int_not_equal(access(path_of("dovecot-uidlist"), F_OK), 0);
}

RUN_TESTS(TS(dovecots_mailbox_looks_as_dovecot_showed_it),
          TS(the_list_of_numbers_is_kept_for_dovecot),
          TS(numbers_that_dovecot_gave_meanwhile_are_taken),
          TS(a_number_that_dovecot_gave_to_another_message_makes_new_numbers),
          TS(another_number_for_one_of_our_messages_makes_new_numbers),
          TS(an_older_list_of_other_numbers_makes_new_numbers),
          TS(a_mailbox_that_dovecot_numbered_anew_gets_those_numbers),
          TS(a_mailbox_without_such_a_list_gets_none))
