/*
 * A journal that is not what it was when it was read last: replaced, removed, gone back.
 */
#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

static int copy_to(struct mailbox *b, const char *which, const char *folder, bool move)
{
    struct uidset set = uids(which), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    struct why why = WHY;
    int result = mailbox_copy(b, &set, folder, move, &copied, &why);

    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
    return result;
}

TASK_TEST(a_view_of_a_removed_journal_cannot_wait_for_its_own_lock)
{
    struct store_settings quick = settings;
    struct why why = WHY;
    struct flag_change change = {.op = FLAGS_ADD, .flags = MSG_SEEN};
    struct uidset all = uids("1:2");

    quick.lock_ms = 3000;
    struct store *s = store_open(root, &quick, true, &why);
    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(unlink(path_of("pombal.journal")), 0);
    assert_true(mailbox_flag(b, &all, &change, &why) < 0);
    int64_t before = task_now();
    assert_true(copy_to(b, "1:2", "INBOX", false) < 0);
    assert_true(task_now() - before < quick.lock_ms);
    assert_true(deliver(s, "INBOX", hello) > 0);
    mailbox_close(&b);
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 3);
    mailbox_close(&b);
    uidset_free(&all);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(two_names_of_one_directory_are_one_folder)
{
    struct store *s = open_store();
    struct why why = WHY;

    assert_int_equal(store_create(s, "A", &why), 0);
    assert_int_equal(symlink(".A", path_of(".B")), 0);
    deliver(s, "A", hello);
    struct mailbox *a = open_box(s, "A");
    assert_int_equal(copy_to(a, "1", "B", false), 0);
    assert_string_equal(pull_all(a, true), "+2");
    assert_int_equal(copy_to(a, "1", "B", true), 0);
    assert_string_equal(pull_all(a, true), "+3 -1");
    assert_int_equal(deliver(s, "B", hello), 4);
    assert_string_equal(pull_all(a, true), "+3");
    mailbox_close(&a);
    store_close(&s);
}

TASK_TEST(the_news_of_a_folder_go_on_when_a_failed_view_of_it_is_closed)
{
    struct store *s = open_store();
    struct why why = WHY;

    deliver(s, "INBOX", hello);
    struct mailbox *old = open_box(s, "INBOX");
    mailbox_watch(old, task_self());
    assert_int_equal(unlink(path_of("pombal.journal")), 0);
    assert_string_equal(pull_all(old, true), "failed");
    struct mailbox *now = open_box(s, "INBOX");
    mailbox_watch(now, task_self());
    mailbox_close(&old);
    task_sleep(task_now() + 1); /* takes what was told so far */
    while (task_park(task_now() + 1) == WAIT_READY)
        ;
    struct store *other = open_store();
    deliver(other, "INBOX", hello);
    assert_int_equal(task_park(task_now() + 10000), WAIT_READY);
    assert_string_equal(pull_all(now, true), "+2");
    mailbox_close(&now);
    store_close(&other);
    store_close(&s);
    why_free(&why);
}

RUN_TESTS(TS(a_view_of_a_removed_journal_cannot_wait_for_its_own_lock),
          TS(two_names_of_one_directory_are_one_folder),
          TS(the_news_of_a_folder_go_on_when_a_failed_view_of_it_is_closed))
