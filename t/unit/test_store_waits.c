/*
 * What others may do to a folder while a task waits: the arrays of its state move, its cache is
 * read again, it is numbered anew.
 */
#include <fcntl.h>
#include <sys/file.h>

#include "base/mem.h"
#include "store/view.h"

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";

/* Long enough for the others to get their turns, where a sync waits at all. */
static void (*in_sync)(void);
int fdatasync(int fd)
{
    (void)fd;
    if (in_sync != NULL)
        in_sync();
    usleep(20000);
    return 0;
}

static struct mailbox *opened[2];
static int done;

static void opener(void *arg)
{
    struct mailbox *b = open_box(arg, "INBOX");
    opened[done++] = b;
}

/* Three messages that Dovecot has numbered anew, the other way round and with other numbers. */
static void number_anew(void)
{
    struct buf list = BUF(2000);
    char names[3][200];
    struct store *s = open_store();

    for (int i = 0; i < 4; i++)
        deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    expunge(b, "2", true);
    assert_string_equal(pull_all(b, true), "-2");
    for (uint32_t i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "%.*s", (int)mailbox_guid(b, i + 1).n,
                 mailbox_guid(b, i + 1).p);
    buf_addf(&list, "3 V%u N9 Gabc\n", mailbox_uidvalidity(b) + 1000);
    mailbox_close(&b);
    store_close(&s);
    buf_addf(&list, "2 :%s\n3 :%s\n4 :%s\n", names[2], names[1], names[0]);
    put_file("dovecot-uidlist", list.p);
    buf_free(&list);
}

TASK_TEST(two_that_open_a_folder_while_it_is_numbered_anew_see_all_of_it)
{
    static const uint32_t want[] = {2, 3, 4};

    number_anew();
    struct store *s = open_safe();
    done = 0;
    task_start("one", opener, s);
    task_start("two", opener, s);
    while (done < 2)
        task_sleep(task_now() + 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mailbox_count(opened[i]), 3);
        for (uint32_t n = 1; n <= 3; n++)
            assert_int_equal(mailbox_msg(opened[i], n)->uid, want[n - 1]);
        mailbox_close(&opened[i]);
    }
    store_close(&s);
}

/* After the first failure it works again. */
static void opener_on_a_bad_disk(void *arg)
{
    struct why why = WHY;
    struct mailbox *b = mailbox_open(arg, "INBOX", false, &why);

    if (b != NULL)
        opened[0] = b;
    else
        assert_int_equal(rmdir(path_of("pombal.journal.new")), 0);
    why_free(&why);
    done++;
}

TASK_TEST(after_numbering_anew_has_failed_the_next_one_still_knows_the_flags)
{
    struct store *s = open_store(), *stranger = open_store();
    uint32_t flags = 0;

    number_anew();
    assert_int_equal(rename(path_of("dovecot-uidlist"), path_of("list")), 0);
    struct mailbox *other = open_box(stranger, "INBOX");
    set_flags(other, "1", FLAGS_ADD, MSG_FLAGGED, false); /* no file name tells of it yet */
    assert_int_equal(rename(path_of("list"), path_of("dovecot-uidlist")), 0);
    assert_int_equal(mkdir(path_of("pombal.journal.new"), 0700), 0); /* a journal cannot be made */

    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    done = 0;
    opened[0] = NULL;
    task_start("one", opener_on_a_bad_disk, s);
    task_start("two", opener_on_a_bad_disk, s);
    for (int i = 0; i < 50; i++) /* both have read the journal and wait for the lock */
        task_sleep(task_now() + 2);
    close(fd);
    while (done < 2)
        task_sleep(task_now() + 5);
    struct mailbox *b = opened[0];
    assert_non_null(b);
    assert_int_equal(mailbox_count(b), 3);
    for (uint32_t n = 1; n <= 3; n++)
        flags |= mailbox_msg(b, n)->flags & MSG_FLAGS;
    assert_int_equal(flags, MSG_FLAGGED);
    mailbox_close(&b);
    mailbox_close(&other);
    store_close(&s);
    store_close(&stranger);
}

/* What FETCH does next when it comes back from a wait. */
static void read_all(struct mailbox *b)
{
    struct why why = WHY;
    struct str text;
    int64_t received;
    uint64_t size;
    off_t bytes;
    int fd;

    for (uint32_t n = 1; n <= mailbox_count(b); n++) {
        (void)mailbox_bytes(b, n, &fd, &bytes, &why);
        (void)mailbox_size(b, n, &size, &why);
        (void)mailbox_received(b, n, &received, &why);
        (void)mailbox_cached(b, n, CACHED_ENVELOPE, &text, &why);
    }
    why_free(&why);
}

TASK_TEST(a_view_of_a_folder_that_was_numbered_anew_keeps_its_numbers)
{
    struct store *s = open_store();
    struct why why = WHY;

    number_anew();
    assert_int_equal(rename(path_of("dovecot-uidlist"), path_of("list")), 0);
    struct mailbox *old = open_box(s, "INBOX");
    assert_int_equal(rename(path_of("list"), path_of("dovecot-uidlist")), 0);
    assert_null(mailbox_open(s, "INBOX", false, &why)); /* finds it out */
    struct mailbox *now = open_box(s, "INBOX");
    assert_int_equal(mailbox_msg(now, 3)->uid, 4);
    read_all(old);
    assert_int_equal(mailbox_count(old), 3);
    for (uint32_t n = 1; n <= 3; n++)
        assert_int_equal(mailbox_msg(old, n)->uid, n == 1 ? 1 : n + 1);
    assert_string_equal(pull_all(old, true), "failed");
    read_all(old);
    assert_string_equal(pull_all(now, true), "");
    mailbox_close(&old);
    mailbox_close(&now);
    why_free(&why);
    store_close(&s);
}

/* Where locks do nothing, as on some network file systems, others write at any time. */
static void add_without_lock(struct store *s)
{
    struct journal_add head = {.count = 1};
    struct slot slot = {0};
    struct buf out = BUF(1000);
    struct why why = WHY;
    struct folder *f = folder_open(s, "INBOX", &why);

    assert_non_null(f);
    assert_int_equal(folder_load(f, false, &why), 0);
    slot.m.uid = f->state.uidnext;
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    state_entry(&slot, STR("9999.stranger"), &out);
    folder_record_buf(f, J_ADD, &out, slot.m.uid + 1);
    assert_int_equal(folder_commit(f, &why), 0);
    buf_free(&out);
    folder_release(f);
}

static void merger(void *arg)
{
    struct why why = WHY;

    (void)mailbox_check(arg, &why);
    why_free(&why);
    done++;
}

TASK_TEST(a_merge_stands_messages_that_come_while_it_waits)
{
    struct store *s = open_store(), *stranger = open_store();
    struct why why = WHY;
    char name[60];

    deliver(s, "INBOX", hello);
    struct mailbox *a = open_box(s, "INBOX"), *b = open_box(s, "INBOX");
    for (int i = 0; i < 5000; i++) { /* so many that it lets others in */
        snprintf(name, sizeof name, "cur/%d.x:2,S", 1000 + i);
        put_file(name, "");
    }
    done = 0;
    task_start("merger", merger, a);
    task_yield();
    assert_int_equal(done, 0);
    for (int i = 0; i < 20; i++)
        add_without_lock(stranger);
    (void)mailbox_check(b, &why);
    while (done == 0)
        task_sleep(task_now() + 5);
    mailbox_close(&a);
    mailbox_close(&b);
    store_close(&s);
    store_close(&stranger);
    why_free(&why);
}

static int rounds;
static bool over, half_seen; /* a part of a message in S */
enum { LARGE = 40000000 };

static bool has_half(const char *dir)
{
    struct dirent *e;
    struct stat st;
    DIR *d = opendir(dir);
    bool half = false;

    while (d != NULL && (e = readdir(d)) != NULL)
        half = half || (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
                        st.st_size < LARGE);
    if (d != NULL)
        closedir(d);
    return half;
}

static void counter(void *arg)
{
    (void)arg;
    for (rounds = 0; !over; rounds++) {
        half_seen = half_seen || has_half(path_of(".S/cur"));
        task_yield();
    }
    done++;
}

/* And whatever ends this process meanwhile leaves no half message. */
TASK_TEST(a_copy_to_another_file_system_lets_others_run)
{
    char elsewhere[] = "/dev/shm/pombal-store.XXXXXX", command[200];
    struct store *s = open_store();
    struct why why = WHY;
    struct uidset set = uids("1"), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    struct stat here, there;

    assert_non_null(mkdtemp(elsewhere));
    assert_int_equal(symlink(elsewhere, path_of(".S")), 0);
    deliver(s, "INBOX", hello);
    struct mailbox *b = open_box(s, "INBOX");
    snprintf(command, sizeof command, "truncate -s %d %s/new/*", LARGE, root);
    assert_int_equal(system(command), 0);
    over = half_seen = false;
    done = 0;
    task_start("counter", counter, NULL);
    task_yield();
    rounds = 0;
    assert_int_equal(mailbox_copy(b, &set, "S", false, &copied, &why), 0);
    int during = rounds;
    over = true;
    while (done == 0)
        task_yield();
    assert_int_equal(stat(root, &here) + stat(elsewhere, &there), 0);
    assert_true(during >= 19 || here.st_dev == there.st_dev);
    assert_false(half_seen);
    assert_int_equal(files_in(".S/cur"), 1);
    assert_int_equal(files_in(".S/tmp"), 0);
    mailbox_close(&b);
    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
    store_close(&s);
    file_remove_all(elsewhere);
}

/* When the copy in A has its name. */
static void replace_b(void)
{
    if (files_in(".A/new") == 0)
        return;
    in_sync = NULL;
    (void)rename(path_of(".B"), path_of(".C"));
    (void)mkdir(path_of(".B"), 0700);
}

TASK_TEST(a_delivery_is_somewhere_although_its_own_folder_is_replaced_meanwhile)
{
    struct why why = WHY;
    struct mail_place places[] = {{.folder = "B"}, {.folder = "A"}};

    struct store *s = open_safe();
    assert_int_equal(store_create(s, "A", &why), 0);
    assert_int_equal(store_create(s, "B", &why), 0);
    struct mail_in *m = mail_in_new(s, "B", NULL, &why);
    assert_non_null(m);
    mail_in_put(m, strz(hello));
    in_sync = replace_b;
    assert_int_equal(mail_in_commit_to(&m, places, 2, &why), 0);
    assert_null(in_sync);
    assert_int_equal(files_in(".A/new"), 1);
    assert_int_equal(files_in(".C/new"), 1);
    assert_int_not_equal(places[0].uid, 0);
    why_free(&why);
    store_close(&s);
}

RUN_TESTS(TS(two_that_open_a_folder_while_it_is_numbered_anew_see_all_of_it),
          TS(a_view_of_a_folder_that_was_numbered_anew_keeps_its_numbers),
          TS(after_numbering_anew_has_failed_the_next_one_still_knows_the_flags),
          TS(a_copy_to_another_file_system_lets_others_run),
          TS(a_delivery_is_somewhere_although_its_own_folder_is_replaced_meanwhile),
          TS(a_merge_stands_messages_that_come_while_it_waits))
