/*
 * A write or a sync fails: what was to be added is in none of the folders, what was to be moved is
 * where it was.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

/* The n-th call from now on fails; 0: none. In place of the C library's. */
static int sync_fails, write_fails, mkdir_fails, stat_fails, dir_sync_fails;
static int *which_fails, nth;
static bool fired;

static void arm(void)
{
    *which_fails = nth;
}

static void disarm(void)
{
    fired = *which_fails == 0;
    *which_fails = 0;
}

static bool is_due(int *countdown)
{
    if (*countdown == 0 || --*countdown > 0)
        return false;
    errno = ENOSPC;
    return true;
}

int fdatasync(int fd)
{
    (void)fd;
    return is_due(&sync_fails) ? -1 : 0;
}

int fsync(int fd)
{
    (void)fd;
    return is_due(&dir_sync_fails) ? -1 : 0;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return is_due(&write_fails) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

int mkdirat(int at, const char *name, mode_t mode)
{
    return is_due(&mkdir_fails) ? -1 : (int)syscall(SYS_mkdirat, at, name, mode);
}

int fstatat(int at, const char *name, struct stat *st, int flags)
{
    return is_due(&stat_fails) ? -1 : (int)syscall(SYS_newfstatat, at, name, st, flags);
}

/* "2 1 0": messages in INBOX, A and B, as somebody sees them who has not looked before. */
static const char *counts(void)
{
    static const char *const names[] = {"INBOX", "A", "B"}, *const dirs[] = {".", ".A", ".B"};
    static char text[60];
    char dir[20];
    struct store *s = open_store();
    size_t n = 0;

    for (int i = 0; i < 3; i++) {
        struct mailbox *b = open_box(s, names[i]);
        uint32_t count = mailbox_count(b);
        mailbox_close(&b);
        snprintf(dir, sizeof dir, "%s/cur", dirs[i]);
        int files = files_in(dir);
        snprintf(dir, sizeof dir, "%s/new", dirs[i]);
        assert_int_equal(files + files_in(dir), count);
        snprintf(dir, sizeof dir, "%s/tmp", dirs[i]);
        assert_int_equal(files_in(dir), 0);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u", i > 0 ? " " : "", count);
    }
    store_close(&s);
    return text;
}

static int append(struct store *s)
{
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);

    arm();
    mail_in_put(m, strz(hello));
    int result = mail_in_commit(&m, NULL, NULL, &why);
    disarm();
    why_free(&why);
    return result;
}

static int deliver_to_all(struct store *s)
{
    static const char *const keywords[] = {"k1", "k69", NULL};
    struct mail_place places[] = {
        {.folder = "A", .keywords = keywords}, {.folder = "INBOX"}, {.folder = "B"}};
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);

    arm();
    arm();
    mail_in_put(m, strz(hello));
    int result = mail_in_commit_to(&m, places, 3, &why);
    disarm();
    why_free(&why);
    return result;
}

static int copy_or_move(struct store *s, bool move)
{
    struct uidset set = uids("1:*"), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    struct why why = WHY;
    struct mailbox *b = open_box(s, "INBOX");
    pull_all(b, true);
    arm();
    int result = mailbox_copy(b, &set, "A", move, &copied, &why);
    disarm();
    assert_string_equal(pull_all(b, true), result == 0 && move ? "-2 -1" : "");
    assert_int_equal(mailbox_count(b), result == 0 && move ? 0 : 2);
    mailbox_close(&b);
    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
    return result;
}

static int copy(struct store *s)
{
    return copy_or_move(s, false);
}

static int move(struct store *s)
{
    return copy_or_move(s, true);
}

/* Each call fails once: before stays true; then none does. How many there were. */
static int check_each(int *countdown, int (*act)(struct store *), const char *before,
                      const char *after)
{
    struct store *s = open_safe();
    int result = -1;

    which_fails = countdown;
    for (nth = 1; result < 0; nth++) {
        result = act(s);
        assert_int_equal(result, fired ? -1 : 0);
        assert_string_equal(counts(), fired ? before : after);
    }
    store_close(&s);
    return nth - 2;
}

static void make_folders(void)
{
    struct store *s = open_store();
    struct why why = WHY;

    assert_int_equal(store_create(s, "A", &why), 0);
    assert_int_equal(store_create(s, "B", &why), 0);
    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    store_close(&s);
    assert_string_equal(counts(), "2 0 0");
}

TASK_TEST(a_message_that_cannot_be_synced_is_not_there)
{
    make_folders();
    assert_true(check_each(&sync_fails, append, "2 0 0", "3 0 0") >= 2);
}

TASK_TEST(a_message_that_cannot_be_recorded_is_not_there)
{
    make_folders();
    assert_true(check_each(&write_fails, append, "2 0 0", "3 0 0") >= 1);
}

TASK_TEST(a_delivery_into_many_folders_is_in_all_or_in_none)
{
    make_folders();
    assert_true(check_each(&sync_fails, deliver_to_all, "2 0 0", "3 1 1") >= 4);
    assert_true(check_each(&write_fails, deliver_to_all, "3 1 1", "4 2 2") >= 3);
}

TASK_TEST(a_delivery_into_many_folders_has_many_keywords_in_one)
{
    char names[500] = "";
    struct store *s = open_store();

    make_folders();
    deliver(s, "A", hello);
    struct mailbox *b = open_box(s, "A");
    which_fails = &sync_fails;
    nth = 0;
    for (int i = 0; i < 70; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "k%d ", i);
    set_keywords(b, "1", FLAGS_ADD, names);
    assert_int_equal(deliver_to_all(s), 0);
    assert_string_equal(pull_all(b, true), "+2 k0 f1");
    assert_string_equal(keywords_of(b, 2), "k1 k69");
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_copy_is_whole_or_not_there)
{
    make_folders();
    assert_true(check_each(&sync_fails, copy, "2 0 0", "2 2 0") >= 1);
    assert_true(check_each(&write_fails, copy, "2 2 0", "2 4 0") >= 1);
}

TASK_TEST(a_move_that_cannot_be_synced_leaves_all_where_it_was)
{
    make_folders();
    assert_true(check_each(&sync_fails, move, "2 0 0", "0 2 0") >= 1);
}

TASK_TEST(a_move_that_cannot_be_recorded_leaves_all_where_it_was)
{
    make_folders();
    assert_true(check_each(&write_fails, move, "2 0 0", "0 2 0") >= 2);
}

/* Whoever delivers would tell the sender "never" of "5.2.0". */
TASK_TEST(a_folder_that_cannot_be_made_now_is_not_one_that_does_not_exist)
{
    struct store_settings with_auto = settings;
    struct why why = WHY;

    with_auto.auto_folders = "Auto";
    struct store *s = store_open(root, &with_auto, true, &why);
    which_fails = &mkdir_fails;
    for (nth = 1; nth <= 4; nth++) { /* itself, tmp, new, cur */
        arm();
        assert_null(mail_in_new(s, "Auto", NULL, &why));
        disarm();
        assert_true(fired);
        assert_string_equal(why.code, "4.3.0");
        why_clear(&why);
        arm();
        assert_int_equal(store_has(s, "Auto", &why), -1);
        disarm();
        assert_true(fired);
        why_clear(&why);
    }
    deliver(s, "Auto", hello);
    store_close(&s);
    why_free(&why);
}

TASK_TEST(a_folder_of_which_nothing_can_be_told_now_is_still_there)
{
    struct store *s = open_store();
    struct why why = WHY;

    make_folders();
    struct mailbox *b = open_box(s, "A");
    which_fails = &stat_fails;
    nth = 1;
    arm();
    struct mailbox *other = mailbox_open(s, "A", false, &why);
    disarm();
    assert_true(fired);
    mailbox_close(&other);
    arm();
    assert_int_equal(store_has(s, "A", &why), -1);
    disarm();
    assert_int_equal(store_has(s, "A", &why), 1);
    assert_string_equal(pull_all(b, true), "");
    mailbox_close(&b);
    store_close(&s);
    why_free(&why);
}

/* The old file has lost its name by then. */
TASK_TEST(a_journal_whose_name_cannot_be_synced_is_the_one_that_is_written)
{
    struct store_settings all_synced = settings;
    struct why why = WHY;

    all_synced.no_sync = false;
    all_synced.sync_dirs = true;
    struct store *s = store_open(root, &all_synced, true, &why);
    deliver(s, "INBOX", hello);
    struct folder *f = folder_open(s, "INBOX", &why);
    assert_int_equal(folder_lock(f, &why), 0);
    assert_int_equal(folder_load(f, true, &why), 0);
    which_fails = &dir_sync_fails;
    nth = 1;
    arm();
    assert_int_equal(folder_checkpoint(f, &why), -1);
    disarm();
    assert_true(fired);
    assert_int_equal(folder_leap(f, 1000, &why), 0);
    folder_unlock(f);
    folder_release(f);
    store_close(&s);
    s = open_store();
    assert_in_range(deliver(s, "INBOX", hello), 1002, 2000);
    store_close(&s);
    why_free(&why);
}

RUN_TESTS(TS(a_message_that_cannot_be_synced_is_not_there),
          TS(a_message_that_cannot_be_recorded_is_not_there),
          TS(a_delivery_into_many_folders_is_in_all_or_in_none),
          TS(a_delivery_into_many_folders_has_many_keywords_in_one),
          TS(a_copy_is_whole_or_not_there),
          TS(a_move_that_cannot_be_synced_leaves_all_where_it_was),
          TS(a_move_that_cannot_be_recorded_leaves_all_where_it_was),
          TS(a_folder_that_cannot_be_made_now_is_not_one_that_does_not_exist),
          TS(a_folder_of_which_nothing_can_be_told_now_is_still_there),
          TS(a_journal_whose_name_cannot_be_synced_is_the_one_that_is_written))
