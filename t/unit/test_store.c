/*
 * The folders of a store: names, lists, subscriptions, special use, renaming, removing, status.
 */
#include <sys/file.h>

#include "store/store.h"

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

/* "INBOX+ A(noselect)+ A.B*s" : + has children, * subscribed, ! missing */
static const char *list(struct store *s, bool subscribed)
{
    static struct buf out = BUF(10000);
    struct arena *mem = arena_new(NULL);
    struct folder_list l;
    struct why why = WHY;

    buf_setz(&out, "");
    assert_int_equal(store_list(s, mem, subscribed, &l, &why), 0);
    for (size_t i = 0; i < l.n; i++) {
        const struct folder_entry *e = &l.at[i];
        buf_addf(&out, "%s%.*s%s%s%s%s%s", i > 0 ? " " : "", (int)e->name.n, e->name.p,
                 e->attrs & FOLDER_NOSELECT ? "-" : "", e->attrs & FOLDER_HAS_CHILDREN ? "+" : "",
                 e->attrs & FOLDER_SUBSCRIBED ? "*" : "", e->attrs & FOLDER_MISSING ? "!" : "",
                 e->special_use != NULL ? e->special_use : "");
    }
    arena_free(&mem);
    return out.p;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        why_clear(&why);                                                                           \
        if ((call) < 0)                                                                            \
            print_error("%s\n", why_text(&why));                                                   \
        assert_string_equal(why.code, "");                                                         \
    } while (0)
#define FAILS(call, expected)                                                                      \
    do {                                                                                           \
        why_clear(&why);                                                                           \
        assert_int_equal((call), -1);                                                              \
        assert_string_equal(why.code, expected);                                                   \
    } while (0)

TASK_TEST(folders_are_made_listed_renamed_and_removed)
{
    struct store *s = open_store();
    struct why why = WHY;

    assert_string_equal(list(s, false), "INBOX");
    OK(store_create(s, "Work.2024.Q1", &why));
    OK(store_create(s, "Sent", &why));
    OK(store_create(s, "Worker", &why));
    OK(store_create(s, "Work-a.", &why));
    assert_string_equal(list(s, false),
                        "INBOX Sent\\Sent Work-+ Work.2024-+ Work.2024.Q1 Work-a Worker");
    FAILS(store_create(s, "Sent", &why), "5.2.1");
    FAILS(store_create(s, "inbox", &why), "5.2.1");
    FAILS(store_create(s, "", &why), "5.1.3");
    FAILS(store_create(s, "a..b", &why), "5.1.3");
    FAILS(store_create(s, "../x", &why), "5.1.3");
    FAILS(store_create(s, "a/b", &why), "5.1.3");
    OK(store_create(s, "Work", &why));
    OK(store_create(s, "INBOX.sub", &why));
    deliver(s, "Work.2024.Q1", hello);
    OK(store_rename(s, "Work", "Old.Job", &why));
    assert_string_equal(list(s, false), "INBOX+ INBOX.sub Old-+ Old.Job+ Old.Job.2024-+ "
                                        "Old.Job.2024.Q1 Sent\\Sent Work-a Worker");
    struct mailbox *b = open_box(s, "Old.Job.2024.Q1");
    assert_int_equal(mailbox_count(b), 1);
    FAILS(store_rename(s, "Old", "Sent", &why), "5.2.1");
    FAILS(store_rename(s, "None", "Other", &why), "5.2.0");
    FAILS(store_rename(s, "Old", "Old.x", &why), "5.1.3");
    OK(store_remove(s, "Old.Job.2024.Q1", &why));
    assert_string_equal(pull_all(b, true), "failed");
    mailbox_close(&b);
    FAILS(store_remove(s, "Old.Job.2024.Q1", &why), "5.2.0");
    FAILS(store_remove(s, "INBOX", &why), "5.1.3");
    assert_int_equal(store_has(s, "Old.Job", NULL), 1);
    assert_int_equal(store_has(s, "Old", NULL), 0);
    store_close(&s);
    why_free(&why);
}

TASK_TEST(renaming_inbox_moves_its_messages)
{
    struct store *s = open_store();
    struct why why = WHY;

    deliver(s, "INBOX", hello);
    deliver(s, "INBOX", hello);
    OK(store_rename(s, "INBOX", "Saved", &why));
    struct folder_status st;
    OK(store_status(s, "INBOX", &st, &why));
    assert_int_equal(st.messages, 0);
    assert_int_equal(st.uidnext, 3);
    OK(store_status(s, "Saved", &st, &why));
    assert_int_equal(st.messages, 2);
    assert_int_equal(st.unseen, 2);
    store_close(&s);
}

/* Without the lock two of them could get the same one. */
TASK_TEST(no_uidvalidity_is_given_while_somebody_else_makes_one)
{
    struct store_settings hasty = settings;
    struct why why = WHY;

    hasty.lock_ms = 20;
    struct store *s = store_open(root, &hasty, true, &why);
    put_file("pombal.uidvalidity", "4000000000\n");
    int other = open(path_of("pombal.uidvalidity"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_null(mailbox_open(s, "INBOX", false, &why));
    assert_string_equal(why.code, "4.2.0");
    close(other);
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), 4000000001);
    mailbox_close(&b);
    store_close(&s);
    why_free(&why);
}

TASK_TEST(a_folder_that_comes_back_has_another_uidvalidity)
{
    struct store *s = open_store();
    struct why why = WHY;
    struct folder_status st, again;

    OK(store_create(s, "A", &why));
    OK(store_status(s, "A", &st, &why));
    OK(store_remove(s, "A", &why));
    OK(store_create(s, "A", &why));
    OK(store_status(s, "A", &again, &why));
    assert_true(again.uidvalidity > st.uidvalidity);
    store_close(&s);
}

TASK_TEST(what_another_process_removes_or_renames_is_seen)
{
    struct store *s = open_store(), *other = open_store();
    struct why why = WHY;

    OK(store_create(s, "A", &why));
    assert_int_equal(deliver(s, "A", hello), 1);
    struct mailbox *b = open_box(s, "A");
    OK(store_remove(other, "A", &why));
    assert_string_equal(pull_all(b, true), "failed");
    assert_null(mailbox_open(s, "A", false, &why));
    assert_string_equal(why.code, "5.2.0");
    OK(store_create(other, "A", &why));
    assert_int_equal(deliver(s, "A", hello), 1);
    mailbox_close(&b);
    OK(store_rename(other, "A", "B", &why));
    assert_null(mail_in_new(s, "A", NULL, &why));
    assert_int_equal(deliver(s, "B", hello), 2);
    store_close(&s);
    store_close(&other);
    why_free(&why);
}

TASK_TEST(subscriptions_that_somebody_else_changes_are_not_changed_at_the_same_time)
{
    struct store_settings quick = settings;
    struct why why = WHY;

    quick.lock_ms = 20;
    struct store *s = store_open(root, &quick, true, &why);
    keep_store(NULL, s);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(store_subscribe(s, "A", true, &why), -1);
    assert_string_equal(why.code, "4.2.0");
    assert_int_equal(access(path_of("subscriptions"), F_OK), -1);
    close(fd);
    OK(store_subscribe(s, "A", true, &why));
    why_free(&why);
    store_close(&s);
}

TASK_TEST(subscriptions_are_dovecots_and_couriers)
{
    struct store *s = open_store();
    struct why why = WHY;

    OK(store_create(s, "A.B", &why));
    put_file("courierimapsubscribed", "INBOX\nINBOX.A.B\nINBOX.Gone\n");
    assert_string_equal(list(s, true), "INBOX* A-+ A.B* Gone-*!");
    put_file("subscriptions", "A.B\nOther\n");
    assert_string_equal(list(s, true), "INBOX A-+ A.B* Other-*!");
    OK(store_subscribe(s, "inbox", true, &why));
    OK(store_subscribe(s, "Other", false, &why));
    OK(store_subscribe(s, "Other", false, &why));
    assert_string_equal(list(s, true), "INBOX* A-+ A.B*");
    struct buf text = BUF(1000);
    assert_int_equal(file_read(path_of("subscriptions"), &text, &why), 0);
    assert_string_equal(text.p, "V\t2\n\nA\tB\nINBOX\n");
    buf_free(&text);
    store_close(&s);
}

TASK_TEST(the_separator_can_be_a_slash)
{
    struct store_settings slash = settings;
    struct why why = WHY;

    slash.separator = '/';
    struct store *s = store_open(root, &slash, true, &why);
    OK(store_create(s, "A/B", &why));
    FAILS(store_create(s, "A.C", &why), "5.1.3");
    assert_string_equal(list(s, false), "INBOX A-+ A/B");
    assert_int_equal(deliver(s, "A/B", hello), 1);
    assert_int_equal(files_in(".A.B/new"), 1);
    store_close(&s);
    why_free(&why);
}

TASK_TEST(a_folder_name_may_fill_what_the_file_system_allows)
{
    struct store *s = open_store();
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct folder_list l;
    char name[300];

    memset(name, 'n', sizeof name);
    name[255] = '\0';
    assert_int_equal(store_create(s, name, &why), -1);
    name[254] = '\0';
    assert_int_equal(store_create(s, name, &why), 0);
    deliver(s, name, "Subject: a\n\n");
    assert_int_equal(store_subscribe(s, name, true, &why), 0);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 2);
    assert_true(str_eqz(l.at[1].name, name));
    assert_true(l.at[1].attrs & FOLDER_SUBSCRIBED);
    assert_int_equal(store_rename(s, name, "short", &why), 0);
    assert_int_equal(store_rename(s, "short", name, &why), 0);
    assert_int_equal(store_remove(s, name, &why), 0);
    arena_free(&mem);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(a_subscription_is_kept_as_it_was_given)
{
    struct store *s = open_store();
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct folder_list l;

    assert_int_equal(store_subscribe(s, "trail ", true, &why), 0);
    assert_int_equal(store_subscribe(s, " lead", true, &why), 0);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 3);
    assert_true(str_eqz(l.at[1].name, " lead"));
    assert_true(str_eqz(l.at[2].name, "trail "));
    assert_int_equal(store_subscribe(s, "trail ", false, &why), 0);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 2);
    arena_free(&mem);
    store_close(&s);
}

/* How many folders are listed; cut: not all. */
static size_t listed(struct store *s, bool cut)
{
    struct arena *mem = arena_new(NULL);
    struct folder_list l;
    struct why why = WHY;

    assert_int_equal(store_list(s, mem, false, &l, &why), 0);
    assert_int_equal(l.cut, cut);
    arena_free(&mem);
    return l.n;
}

TASK_TEST(passing_the_limit_of_folders_is_an_answer)
{
    struct store_settings set = settings;
    struct why why = WHY;

    set.folders = 4;
    struct store *s = store_open(root, &set, true, &why);
    OK(store_create(s, "a", &why));
    OK(store_create(s, "b", &why));
    OK(store_create(s, "c.x.y", &why));
    assert_int_equal(listed(s, false), 6); /* c and c.x are no folders */
    assert_int_equal(store_create(s, "d", &why), -1);
    assert_string_equal(why.code, "5.2.2");
    OK(store_remove(s, "a", &why));
    OK(store_create(s, "a.b.c.d.e.f.g", &why));
    assert_int_equal(listed(s, true), 8); /* as many parents as folders, and no more */
    OK(store_remove(s, "a.b.c.d.e.f.g", &why));
    OK(store_create(s, "d", &why));
    store_close(&s);
    set.folders = 3; /* there were more all the time */
    s = store_open(root, &set, true, &why);
    assert_int_equal(listed(s, true) <= 3 + 2, true);
    why_free(&why);
    store_close(&s);
}

TASK_TEST(parents_are_added_once)
{
    struct store *s = open_store();
    struct why why = WHY;

    OK(store_create(s, "p.q.r.a", &why));
    OK(store_create(s, "p.q.r.b", &why));
    OK(store_create(s, "p.q.s.c", &why));
    OK(store_create(s, "p.q", &why));
    OK(store_create(s, "INBOX.in.x", &why));
    OK(store_create(s, "P.q.r", &why));
    assert_string_equal(list(s, false), "INBOX+ INBOX.in-+ INBOX.in.x P-+ P.q-+ P.q.r p-+ p.q+ "
                                        "p.q.r-+ p.q.r.a p.q.r.b p.q.s-+ p.q.s.c");
    why_free(&why);
    store_close(&s);
}

TASK_TEST(folders_that_every_mailbox_has_are_made_and_subscribed)
{
    struct store_settings set = settings;
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct folder_list l;

    set.auto_folders = "Sent, Junk bad..name";
    struct store *s = store_open(root, &set, true, &why);
    struct mailbox *b = open_box(s, "Junk"); /* nobody has listed it yet */
    mailbox_close(&b);
    assert_int_equal(store_has(s, "Sent", NULL), 1);
    assert_int_equal(store_remove(s, "Sent", &why), 0);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 3);
    assert_true(str_eqz(l.at[1].name, "Junk") && l.at[1].attrs == FOLDER_SUBSCRIBED);
    assert_string_equal(l.at[1].special_use, "\\Junk");
    assert_true(str_eqz(l.at[2].name, "Sent") && l.at[2].attrs == FOLDER_SUBSCRIBED);
    assert_int_equal(store_has(s, "Trash", NULL), 0);
    arena_free(&mem);
    store_close(&s);
}

TASK_TEST(a_pool_keeps_stores_and_sees_when_they_go)
{
    struct store_pool *p = store_pool_new(&settings, 2);
    struct why why = WHY;
    char dir[4][120];

    for (int i = 0; i < 4; i++) {
        snprintf(dir[i], sizeof dir[i], "%s/deep/u%d", root, i);
        assert_null(store_keep(p, dir[i], false, &why));
        assert_string_equal(why.code, "5.2.0");
        struct store *s = store_keep(p, dir[i], true, &why);
        assert_non_null(s);
        assert_int_equal(deliver(s, "INBOX", hello), 1);
        store_release(p, s);
    }
    struct store *s = store_keep(p, dir[3], false, &why);
    assert_int_equal(deliver(s, "INBOX", hello), 2);
    assert_int_equal(file_remove_all(dir[3]), 0);
    struct store *t = store_keep(p, dir[3], true, &why);
    assert_true(s != t);
    assert_int_equal(deliver(t, "INBOX", hello), 1);
    store_release(p, s);
    store_release(p, t);
    store_pool_free(&p);
    why_free(&why);
}

RUN_TESTS(TS(folders_are_made_listed_renamed_and_removed), TS(renaming_inbox_moves_its_messages),
          TS(no_uidvalidity_is_given_while_somebody_else_makes_one),
          TS(a_folder_that_comes_back_has_another_uidvalidity),
          TS(what_another_process_removes_or_renames_is_seen),
          TS(subscriptions_are_dovecots_and_couriers),
          TS(subscriptions_that_somebody_else_changes_are_not_changed_at_the_same_time),
          TS(the_separator_can_be_a_slash), TS(a_folder_name_may_fill_what_the_file_system_allows),
          TS(a_subscription_is_kept_as_it_was_given), TS(passing_the_limit_of_folders_is_an_answer),
          TS(parents_are_added_once), TS(folders_that_every_mailbox_has_are_made_and_subscribed),
          TS(a_pool_keeps_stores_and_sees_when_they_go))
