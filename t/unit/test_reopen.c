/*
 * A journal that is not what it was when it was read last: replaced, removed, gone back.
 */
#include <stdarg.h>
#include <sys/file.h>

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

static void run(const char *format, ...)
{
    char command[400];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static struct mailbox *one, *two;
static bool over;

static void checker(void *arg)
{
    struct why why = WHY;

    (void)arg;
    assert_int_equal(mailbox_check(two, &why), 0);
    over = true;
    why_free(&why);
}

TASK_TEST(a_view_stays_while_another_task_reads_the_journal_anew)
{
    struct store *s = open_store();
    char half[] = "half of a record, and no more.12";

    over = false;
    for (int i = 0; i < 5; i++)
        deliver(s, "INBOX", hello);
    one = open_box(s, "INBOX");
    two = open_box(s, "INBOX");
    /* Another process has the lock, has made a checkpoint and half a record. */
    int lock = open(root, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    run("cd %s && cp pombal.journal x && printf '%%s' '%s' >> x && mv x pombal.journal", root,
        half);
    task_start("checker", checker, NULL);
    task_yield();
    assert_false(over);
    assert_int_equal(mailbox_count(one), 5);
    assert_int_equal(mailbox_msg(one, 1)->uid, 1); /* what FETCH does next */
    assert_int_equal(flock(lock, LOCK_UN), 0);
    close(lock);
    while (!over)
        task_sleep(task_now() + 5);
    assert_int_equal(mailbox_msg(one, 5)->uid, 5);
    assert_true(deliver(s, "INBOX", hello) > 1000);
    assert_string_equal(pull_all(one, true), "+6");
    assert_string_equal(pull_all(two, true), "+6");
    mailbox_close(&one);
    mailbox_close(&two);
    store_close(&s);
}

/* An older copy of the journal is put back; how: a command in the mailbox. */
static void check_went_back(const char *how)
{
    struct store *s = open_store(), *other = open_store();

    deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(other, "INBOX");
    uint32_t uidvalidity = mailbox_uidvalidity(a);
    run("cd %s && cp -a pombal.journal x", root);
    deliver(s, "INBOX", hello);
    assert_int_equal(deliver(s, "INBOX", hello), 3);
    assert_string_equal(pull_all(a, true), "+2 +3");
    assert_string_equal(pull_all(b, true), "+2 +3");
    run("cd %s && %s", root, how);
    assert_string_equal(pull_all(a, true), "failed");
    assert_string_equal(pull_all(a, true), "failed");
    assert_string_equal(pull_all(b, true), "failed");
    mailbox_close(&a);
    mailbox_close(&b);
    a = open_box(s, "INBOX");
    b = open_box(other, "INBOX");
    assert_int_equal(mailbox_count(a), 3);
    assert_true(mailbox_uidvalidity(a) > uidvalidity);
    assert_int_equal(mailbox_uidvalidity(a), mailbox_uidvalidity(b));
    assert_true(deliver(other, "INBOX", hello) > 0);
    assert_string_equal(pull_all(a, true), "+4");
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&other);
    store_close(&s);
}

TASK_TEST(a_journal_that_went_back_by_rename_is_noticed)
{
    check_went_back("mv x pombal.journal");
}

TASK_TEST(a_journal_that_went_back_in_place_is_noticed)
{
    check_went_back("cat x > pombal.journal && rm x");
}

TASK_TEST(a_journal_that_went_back_is_noticed_though_the_old_file_has_a_name)
{
    check_went_back("ln pombal.journal y && mv x pombal.journal");
}

/* Nobody has the mailbox open: only the files tell. */
static void check_restored(const char *how)
{
    struct store *s = open_store();
    char copy[100];

    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    expunge(b, "1", true);
    set_flags(b, "2", FLAGS_ADD, MSG_FLAGGED, true);
    mailbox_close(&b);
    store_close(&s);
    /* The backup is of long ago. */
    snprintf(copy, sizeof copy, "%s.bk", root);
    run("cp -a %s %s && find %s -exec touch -d '2 hours ago' {} +", root, copy, copy);
    s = open_store();
    deliver(s, "INBOX", hello);
    uint32_t last = deliver(s, "INBOX", hello);
    store_close(&s);
    run("cd %s && bk=%s && %s && rm -r $bk", root, copy, how);
    s = open_store();
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 3);
    assert_int_equal(mailbox_msg(b, 1)->flags & MSG_FLAGS, MSG_FLAGGED);
    assert_true(mailbox_msg(b, 2)->uid > last);
    assert_true(deliver(s, "INBOX", hello) > last + 7200);
    uint32_t uidnext = mailbox_uidnext(b);
    mailbox_close(&b);
    store_close(&s);
    s = open_store(); /* it leaps once */
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 4);
    assert_int_equal(mailbox_uidnext(b), uidnext);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_mailbox_restored_in_place_gives_no_number_twice)
{
    check_restored("cp -a $bk/. .");
}

TASK_TEST(a_mailbox_restored_as_new_files_gives_no_number_twice)
{
    check_restored("cp -a --remove-destination $bk/. .");
}

TASK_TEST(a_file_that_was_restored_is_read_to_its_new_end)
{
    struct store *s = open_store();
    struct why why = WHY;
    off_t size;
    int fd;

    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_bytes(b, 1, &fd, &size, &why), 0);
    run("cd %s && for f in new/* cur/*; do [ -f $f ] && echo more >> $f; done; true", root);
    assert_int_equal(mailbox_bytes(b, 1, &fd, &size, &why), 0);
    assert_int_equal(size, sizeof hello - 1 + 5);
    run("cd %s && for f in new/* cur/*; do [ -f $f ] && cp $f x && echo x >> x && mv x $f; done; "
        "true",
        root);
    assert_int_equal(mailbox_bytes(b, 1, &fd, &size, &why), 0);
    assert_int_equal(size, sizeof hello - 1 + 7);
    mailbox_close(&b);
    store_close(&s);
}

RUN_TESTS(TS(a_view_of_a_removed_journal_cannot_wait_for_its_own_lock),
          TS(two_names_of_one_directory_are_one_folder),
          TS(the_news_of_a_folder_go_on_when_a_failed_view_of_it_is_closed),
          TS(a_view_stays_while_another_task_reads_the_journal_anew),
          TS(a_journal_that_went_back_by_rename_is_noticed),
          TS(a_journal_that_went_back_in_place_is_noticed),
          TS(a_journal_that_went_back_is_noticed_though_the_old_file_has_a_name),
          TS(a_mailbox_restored_in_place_gives_no_number_twice),
          TS(a_mailbox_restored_as_new_files_gives_no_number_twice),
          TS(a_file_that_was_restored_is_read_to_its_new_end))
