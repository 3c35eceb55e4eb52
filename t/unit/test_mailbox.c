/*
 * Views of folders: deliveries, flags, expunges, what others do, copies, crashes.
 */
#include "store/mailbox.h"

#include "store_test.h"

static const char hello[] = "From: a@b.c\nSubject: hello\n\nhello\nworld\n";

TASK_TEST(a_delivered_message_is_there_with_its_texts)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct str text;
    uint64_t size;
    off_t bytes;
    int fd;

    assert_int_equal(deliver(s, "INBOX", hello), 1);
    assert_int_equal(deliver(s, "inbox", hello), 2);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 2);
    assert_int_equal(mailbox_uidnext(b), 3);
    assert_int_equal(mailbox_recent_count(b), 2);
    assert_int_equal(mailbox_first_unseen(b), 1);
    assert_int_equal(mailbox_size(b, 1, &size, &why), 0);
    assert_int_equal(size, strlen(hello) + 5);
    assert_int_equal(mailbox_bytes(b, 1, &fd, &bytes, &why), 0);
    assert_int_equal(bytes, strlen(hello));
    assert_int_equal(mailbox_cached(b, 2, CACHED_ENVELOPE, &text, &why), 0);
    assert_true(str_starts(text, STR("(NIL \"hello\" ((NIL NIL \"a\" \"b.c\"))")));
    assert_int_equal(mailbox_cached(b, 2, CACHED_STRUCTURE, &text, &why), 0);
    assert_true(str_ends(text, STR("14 2 NIL NIL NIL NIL)")));
    assert_int_equal(mailbox_cached(b, 2, CACHED_FIELDS, &text, &why), 0);
    assert_true(str_eqz(text, "From: a@b.c\r\nSubject: hello\r\n"));
    mailbox_close(&b);
    assert_int_equal(files_in("new"), 0);
    assert_int_equal(files_in("cur"), 2);
    assert_int_equal(files_in("tmp"), 0);
    store_close(&s);
}

TASK_TEST(crlf_is_stored_as_lf_and_counted)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);
    off_t bytes;
    int fd;

    assert_non_null(m);
    mail_in_put(m, STR("A: b\r"));
    mail_in_put(m, STR("\n\r\nx\r\n"));
    mail_in_put(m, STR("\rend\r"));
    assert_int_equal(mail_in_commit(&m, NULL, NULL, &why), 0);
    assert_null(m);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_msg(b, 1)->size, 8 + 3 + 5);
    assert_int_equal(mailbox_bytes(b, 1, &fd, &bytes, &why), 0);
    char text[100];
    assert_int_equal(pread(fd, text, sizeof text, 0), 6 + 2 + 5);
    assert_memory_equal(text, "A: b\n\nx\n\rend\r", 13);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_delivery_goes_into_the_folders_that_are_decided_at_its_end)
{
    struct store *s = open_store();
    struct why why = WHY;
    const char *const keywords[] = {"$Junk", NULL};
    struct mail_place places[] = {{.folder = "A", .flags = MSG_SEEN},
                                  {.folder = "INBOX", .keywords = keywords},
                                  {.folder = "B"}};

    assert_int_equal(store_create(s, "A", &why), 0);
    assert_int_equal(store_create(s, "B", &why), 0);
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);
    mail_in_put(m, strz(hello));
    assert_int_equal(mail_in_commit_to(&m, places, 3, &why), 0);
    assert_null(m);
    struct mailbox *inbox = open_box(s, "INBOX"), *a = open_box(s, "A"), *b = open_box(s, "B");
    assert_int_equal(mailbox_count(inbox), 1);
    assert_int_equal(mailbox_msg(inbox, 1)->flags & MSG_FLAGS, 0);
    assert_int_equal(mailbox_msg(inbox, 1)->keywords, 1);
    assert_int_equal(mailbox_count(a), 1);
    assert_int_equal(mailbox_count(b), 1);
    assert_int_equal(mailbox_msg(a, 1)->flags & MSG_FLAGS, MSG_SEEN);
    assert_int_equal(mailbox_msg(a, 1)->size, mailbox_msg(inbox, 1)->size);
    assert_int_equal(files_in("tmp") + files_in(".A/tmp"), 0);
    assert_int_equal(places[0].uid, mailbox_msg(a, 1)->uid);
    assert_int_equal(places[0].uidvalidity, mailbox_uidvalidity(a));
    assert_int_equal(places[1].uid, mailbox_msg(inbox, 1)->uid);
    assert_int_equal(places[1].uidvalidity, mailbox_uidvalidity(inbox));
    mailbox_close(&inbox);
    mailbox_close(&a);
    mailbox_close(&b);

    m = mail_in_new(s, "INBOX", NULL, &why);
    mail_in_put(m, strz(hello));
    assert_int_equal(mail_in_commit_to(&m, &(struct mail_place){.folder = "None"}, 1, &why), -1);
    assert_int_equal(files_in("tmp"), 0);

    /* Too much to be kept: it is in none of them. */
    static char long_name[70000];
    memset(long_name, 'k', sizeof long_name - 1);
    places[1].keywords = (const char *const[]){long_name, NULL};
    m = mail_in_new(s, "INBOX", NULL, &why);
    mail_in_put(m, strz(hello));
    why_clear(&why);
    assert_int_equal(mail_in_commit_to(&m, places, 3, &why), -1);
    assert_string_equal(why.code, "5.3.4");
    assert_int_equal(files_in("tmp") + files_in(".A/tmp") + files_in(".B/tmp"), 0);
    assert_int_equal(files_in("cur") + files_in(".A/cur") + files_in(".B/cur"), 3);
    assert_int_equal(files_in("new") + files_in(".A/new") + files_in(".B/new"), 0);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(an_aborted_delivery_leaves_nothing)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);

    mail_in_put(m, STR("x"));
    assert_int_equal(files_in("tmp"), 1);
    mail_in_abort(&m);
    assert_int_equal(files_in("tmp"), 0);
    assert_null(mail_in_new(s, "None", NULL, &why));
    assert_string_equal(why.code, "5.2.0");
    why_free(&why);
    store_close(&s);
}

TASK_TEST(views_pull_each_for_itself)
{
    struct store *s = open_store();

    deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_recent_count(a), 1);
    assert_int_equal(mailbox_recent_count(b), 0);
    for (int i = 0; i < 4; i++)
        deliver(s, "INBOX", hello);
    assert_int_equal(mailbox_count(a), 1);
    assert_string_equal(pull_all(a, false), "+2 +3 +4 +5");
    set_flags(a, "2:3", FLAGS_ADD, MSG_SEEN, false);
    set_flags(a, "3:4", FLAGS_ADD, MSG_DELETED, true);
    assert_string_equal(pull_all(a, false), "f2 f3");
    assert_string_equal(pull_all(b, false), "+2 +3 +4 +5");
    set_flags(b, "1:*", FLAGS_ADD, MSG_SEEN, false);
    assert_string_equal(pull_all(a, false), "f1 f4 f5");
    expunge(a, "1:*", false);
    assert_string_equal(pull_all(a, false), "");
    assert_int_equal(mailbox_count(a), 5);
    assert_int_equal(mailbox_msg(a, 3)->uid, 3);
    assert_string_equal(pull_all(a, true), "-4 -3");
    assert_int_equal(mailbox_count(a), 3);
    assert_int_equal(mailbox_msg(a, 3)->uid, 5);
    assert_int_equal(mailbox_number(a, 5), 3);
    assert_int_equal(mailbox_number(a, 4), 0);
    deliver(s, "INBOX", hello);
    assert_string_equal(pull_all(b, true), "+6 f1 f5 -4 -3");
    struct why why = WHY;
    assert_string_equal(pull_all(a, true), "+4");
    mailbox_close(&a);
    assert_int_equal(files_in("cur"), 4);
    assert_string_equal(pull_all(b, true), "");
    assert_int_equal(mailbox_msg(b, 1)->flags & MSG_FLAGS, MSG_SEEN);
    why_free(&why);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_message_is_told_once_with_its_last_flags)
{
    struct store *s = open_store();

    for (int i = 0; i < 3; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX");
    for (int i = 0; i < 1500; i++) { /* more than are kept as events */
        set_flags(b, "2", FLAGS_ADD, MSG_SEEN, false);
        set_flags(b, "2:3", i % 2 == 0 ? FLAGS_ADD : FLAGS_DROP, MSG_FLAGGED, true);
    }
    deliver(s, "INBOX", hello);
    set_flags(b, "4", FLAGS_ADD, MSG_DRAFT, false);
    assert_string_equal(pull_all(a, false), "+4 f2 f3");
    assert_int_equal(mailbox_msg(a, 2)->flags & MSG_FLAGS, MSG_SEEN);
    assert_string_equal(pull_all(b, false), "+4 f2");
    set_flags(b, "4", FLAGS_ADD, MSG_SEEN, false);
    set_flags(b, "4", FLAGS_DROP, MSG_SEEN, true);
    assert_string_equal(pull_all(a, false), "f4");
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(another_process_is_followed)
{
    struct store *s = open_store(), *other = open_store();

    deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(other, "INBOX");
    deliver(other, "INBOX", hello);
    set_flags(b, "1", FLAGS_SET, MSG_FLAGGED, false);
    assert_string_equal(pull_all(a, true), "+2 f1");
    expunge(b, "1", true);
    uint32_t uid = deliver(s, "INBOX", hello);
    assert_int_equal(uid, 3);
    assert_string_equal(pull_all(a, true), "+3 -1");
    assert_string_equal(pull_all(b, true), "+2 +3 -1");
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&s);
    store_close(&other);
}

TASK_TEST(flags_and_numbers_survive_reopening)
{
    struct store *s = open_store();

    for (int i = 0; i < 10; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    uint32_t uidvalidity = mailbox_uidvalidity(b);
    set_flags(b, "2:4", FLAGS_ADD, MSG_SEEN, false);
    set_keywords(b, "2:4", FLAGS_ADD, "$Label1");
    expunge(b, "10", true);
    mailbox_close(&b);
    store_close(&s);

    s = open_store();
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), uidvalidity);
    assert_int_equal(mailbox_count(b), 9);
    assert_int_equal(mailbox_uidnext(b), 11);
    assert_int_equal(mailbox_msg(b, 3)->flags & MSG_FLAGS, MSG_SEEN);
    assert_string_equal(keywords_of(b, 3), "$Label1");
    assert_int_equal(mailbox_keyword_find(b, STR("$label1")), 0);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(what_others_do_to_the_files_is_merged)
{
    struct store *s = open_store();

    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    put_file("new/1700000000.x.y", hello);
    put_file("cur/1600000000.x.y:2,FS", hello);
    assert_string_equal(pull_all(b, true), "+2 +3");
    assert_int_equal(mailbox_msg(b, 2)->flags & MSG_FLAGS, MSG_FLAGGED | MSG_SEEN);
    struct why why = WHY;
    uint64_t size;
    assert_int_equal(mailbox_size(b, 3, &size, &why), 0);
    assert_int_equal(size, strlen(hello) + 5);
    assert_int_equal(rename(path_of("new/1700000000.x.y"), path_of("cur/1700000000.x.y:2,R")), 0);
    assert_string_equal(pull_all(b, true), "f3");
    assert_int_equal(mailbox_msg(b, 3)->flags & MSG_FLAGS, MSG_ANSWERED);
    assert_int_equal(unlink(path_of("cur/1600000000.x.y:2,FS")), 0);
    assert_string_equal(pull_all(b, true), "-2");
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(only_files_are_messages)
{
    struct store *s = open_store();
    struct why why = WHY;
    off_t size;
    int fd;

    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mkfifo(path_of("new/1700000001.fifo.y"), 0600), 0);
    assert_int_equal(mkdir(path_of("cur/1700000002.dir.y:2,"), 0700), 0);
    assert_int_equal(symlink("/nonexistent", path_of("new/1700000003.dangling.y")), 0);
    assert_int_equal(symlink(root, path_of("new/1700000004.to-dir.y")), 0);
    assert_string_equal(pull_all(b, true), "");
    put_file("target", hello);
    assert_int_equal(symlink("../target", path_of("cur/1700000005.link.y:2,")), 0);
    assert_string_equal(pull_all(b, true), "+2");
    assert_int_equal(mailbox_bytes(b, 2, &fd, &size, &why), 0);
    assert_int_equal(size, strlen(hello));
    /* Once it leads nowhere, it is expunged. */
    assert_int_equal(unlink(path_of("target")), 0);
    assert_int_equal(mailbox_bytes(b, 1, &fd, &size, &why), 0);
    assert_int_equal(mailbox_bytes(b, 2, &fd, &size, &why), -1);
    assert_string_equal(why.code, "5.2.0");
    assert_string_equal(pull_all(b, true), "-2");
    why_free(&why);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_folder_that_was_emptied_takes_new_messages)
{
    struct store *s = open_store();
    struct mailbox *b;

    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 4 * round; i++)
            deliver(s, "INBOX", hello);
        b = open_box(s, "INBOX");
        assert_int_equal(mailbox_count(b), 4 * round);
        expunge(b, "1:*", true);
        mailbox_close(&b); /* what is gone is forgotten now, names too */
    }
    store_close(&s);
}

TASK_TEST(files_that_all_vanish_are_expunged)
{
    struct store *s = open_store();

    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(file_remove_all(path_of("new")), 0);
    assert_int_equal(file_remove_all(path_of("cur")), 0);
    assert_int_equal(file_remove_all(path_of("tmp")), 0);
    assert_string_equal(pull_all(b, true), "-1");
    assert_int_equal(deliver(s, "INBOX", hello), 2);
    assert_string_equal(pull_all(b, true), "+1");
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(a_renamed_file_is_found_again)
{
    struct store *s = open_store();
    struct why why = WHY;
    off_t size;
    int fd;

    deliver(s, "INBOX", hello);
    put_file("cur/1.x.y:2,", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 2);
    assert_int_equal(rename(path_of("cur/1.x.y:2,"), path_of("cur/1.x.y:2,T")), 0);
    assert_int_equal(mailbox_bytes(b, 2, &fd, &size, &why), 0);
    assert_int_equal(unlink(path_of("cur/1.x.y:2,T")), 0);
    mailbox_close(&b);
    b = open_box(s, "INBOX");
    assert_int_equal(mailbox_count(b), 1);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(copies_are_links_and_moves_leave_nothing)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct uidset from = UIDSET, made = UIDSET, which = uids("1:3");
    struct copied copied = {&from, &made, 0};
    struct str text;

    for (int i = 0; i < 4; i++)
        deliver_flags(s, "INBOX", hello, i == 1 ? MSG_SEEN : 0);
    assert_int_equal(store_create(s, "A.B", &why), 0);
    deliver(s, "A.B", hello);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_copy(b, &which, "A.B", false, &copied, &why), 0);
    assert_int_equal(uidset_count(&from), 3);
    assert_int_equal(made.at[0].low, 2);
    assert_int_equal(made.at[0].high, 4);
    uidset_clear(&from);
    uidset_clear(&made);
    assert_int_equal(mailbox_copy(b, &which, "A.B", true, &copied, &why), 0);
    assert_int_equal(made.at[0].low, 5);
    assert_string_equal(pull_all(b, true), "-3 -2 -1");
    struct mailbox *to = open_box(s, "A.B");
    assert_int_equal(mailbox_count(to), 7);
    assert_int_equal(mailbox_msg(to, 3)->flags & MSG_FLAGS, MSG_SEEN);
    assert_int_equal(mailbox_cached(to, 6, CACHED_ENVELOPE, &text, &why), 0);
    assert_true(str_starts(text, STR("(NIL \"hello\"")));
    assert_int_equal(mailbox_copy(b, &which, "None", false, &copied, &why), -1);
    assert_string_equal(why.code, "5.2.0");
    mailbox_close(&to);
    mailbox_close(&b);
    assert_int_equal(files_in(".A.B/cur"), 7);
    assert_int_equal(files_in("cur"), 1);
    uidset_free(&from);
    uidset_free(&made);
    uidset_free(&which);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(sizes_that_names_tell_wrongly_are_counted)
{
    static const struct {
        const char *name;
        uint64_t size;
    } files[] = {{"cur/1.a,W=12:2,", 24},      {"cur/2.a,S=12,W=14:2,", 24},
                 {"cur/3.a,S=22,W=99:2,", 24}, {"cur/4.a,S=22,W=25:2,", 24},
                 {"cur/5.a,W=25:2,", 24},      {"cur/6.a:2,", 24}};
    struct store *s = open_store();
    struct why why = WHY;
    uint64_t size;

    assert_int_equal(mkdir(path_of("cur"), 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_file(files[i].name, "Subject: hello\n\nhello\n");
    struct mailbox *b = open_box(s, "INBOX");
    for (uint32_t n = 1; n <= sizeof files / sizeof *files; n++) {
        assert_int_equal(mailbox_size(b, n, &size, &why), 0);
        assert_int_equal(size, files[n - 1].size + 1);
    }
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(the_first_second_of_1970_is_a_date)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct msg as = {.received = MSG_EPOCH};
    int64_t received = 1;

    struct mail_in *m = mail_in_new(s, "INBOX", &as, &why);
    mail_in_put(m, strz(hello));
    assert_int_equal(mail_in_commit(&m, NULL, NULL, &why), 0);
    for (int i = 0; i < 2; i++) {
        struct mailbox *b = open_box(s, "INBOX");
        assert_int_equal(mailbox_received(b, 1, &received, &why), 0);
        assert_int_equal(received, 0);
        mailbox_close(&b);
        store_close(&s);
        s = open_store();
    }
    assert_int_equal(unlink(path_of("pombal.journal")), 0); /* the file has the date, too */
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_received(b, 1, &received, &why), 0);
    assert_int_equal(received, 0);
    mailbox_close(&b);
    store_close(&s);
}

TASK_TEST(one_session_at_a_time_if_asked_for)
{
    struct store *s = open_store();
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX");
    struct why why = WHY;

    assert_int_equal(mailbox_lock_session(a, &why), 0);
    assert_int_equal(mailbox_lock_session(b, &why), -1);
    assert_string_equal(why.code, "4.2.0");
    deliver(s, "INBOX", hello);
    mailbox_close(&a);
    assert_int_equal(rename(path_of("cur"), path_of("away")), 0);
    assert_int_equal(mailbox_lock_session(b, &why), -1);
    assert_string_equal(why.code, "4.3.0"); /* nobody has it */
    assert_int_equal(rename(path_of("away"), path_of("cur")), 0);
    assert_int_equal(mailbox_lock_session(b, &why), 0);
    mailbox_close(&b);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(a_watched_view_wakes_its_task)
{
    struct store *s = open_store(), *other = open_store();
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX");

    mailbox_watch(a, task_self());
    mailbox_watch(b, task_self());
    mailbox_watch(b, NULL);
    deliver(other, "INBOX", hello);
    while (mailbox_count(a) == 0) {
        assert_int_equal(task_park(task_now() + 5000), WAIT_READY);
        pull_all(a, true);
    }
    put_file("new/1.2.3", hello);
    while (mailbox_count(a) == 1) {
        assert_int_equal(task_park(task_now() + 5000), WAIT_READY);
        pull_all(a, true);
    }
    mailbox_watch(a, NULL);
    mailbox_close(&b);
    mailbox_watch(a, task_self());
    mailbox_close(&a);
    store_close(&s);
    store_close(&other);
}

TEST(keywords_that_do_not_fit_fail_the_message)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);
    char name[1000];

    memset(name, 'k', sizeof name);
    for (int i = 0; i < 1000; i++)
        mail_in_keyword(m, (struct str){name, sizeof name});
    mail_in_put(m, STR("A: b\n\nx\n"));
    assert_int_equal(mail_in_commit(&m, NULL, NULL, &why), -1);
    assert_string_equal(why.code, "5.3.4");
    why_free(&why);
    store_close(&s);
}

RUN_TESTS(TS(keywords_that_do_not_fit_fail_the_message), TS(a_watched_view_wakes_its_task),
          TS(a_delivered_message_is_there_with_its_texts), TS(crlf_is_stored_as_lf_and_counted),
          TS(an_aborted_delivery_leaves_nothing),
          TS(a_delivery_goes_into_the_folders_that_are_decided_at_its_end),
          TS(views_pull_each_for_itself), TS(a_message_is_told_once_with_its_last_flags),
          TS(another_process_is_followed), TS(flags_and_numbers_survive_reopening),
          TS(what_others_do_to_the_files_is_merged), TS(only_files_are_messages),
          TS(a_renamed_file_is_found_again), TS(a_folder_that_was_emptied_takes_new_messages),
          TS(files_that_all_vanish_are_expunged), TS(copies_are_links_and_moves_leave_nothing),
          TS(sizes_that_names_tell_wrongly_are_counted), TS(the_first_second_of_1970_is_a_date),
          TS(one_session_at_a_time_if_asked_for))
