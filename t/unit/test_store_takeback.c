/*
 * A message that could not be synced is taken back: it, and no other one that has got its number
 * because the folder was numbered anew meanwhile.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/num.h"

#include "store_test.h"

/* ---- a sync waits until the folder is numbered anew; it, or a later one, fails ---- */

static atomic_int countdown; /* syncs until that one */
static int fails; /* the one that fails, from that one on */
static atomic_bool waits; /* it has begun */
static sem_t go;

int fdatasync(int fd)
{
    int left = atomic_fetch_sub(&countdown, 1);

    (void)fd;
    if (left == 1) {
        atomic_store(&waits, true);
        while (sem_wait(&go) < 0)
            ;
    }
    if (left != 1 - fails)
        return 0;
    errno = EIO;
    return -1;
}

struct numbering {
    struct store *known; /* has the messages "1" and "2" */
    struct store *finds_out; /* opens the folder when it has other numbers */
    const char *folder, *list;
    bool done;
};

/* As Dovecot would: what was 2 stays it, what was 1 becomes 3. */
static void number_anew(const struct numbering *n)
{
    struct buf list = BUF(2000);
    struct mailbox *b = open_box(n->known, n->folder);

    buf_addf(&list, "3 V%u N9 Gabc\n2 :", mailbox_uidvalidity(b) + 1000);
    buf_add(&list, mailbox_guid(b, 2));
    buf_addz(&list, "\n3 :");
    buf_add(&list, mailbox_guid(b, 1));
    buf_addz(&list, "\n");
    mailbox_close(&b);
    put_file(n->list, list.p);
    buf_free(&list);
    deliver(n->finds_out, n->folder, "Subject: 4\n\n4\n");
}

static void dovecot(void *arg)
{
    struct numbering *n = arg;

    while (!atomic_load(&waits))
        task_sleep(task_now() + 1);
    number_anew(n);
    n->done = true;
    sem_post(&go);
}

/* ---- what is there: "124" ---- */

static void look_in(const char *dir, bool *seen)
{
    char path[400], text[20];
    DIR *d = opendir(path_of(dir));

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        uint32_t n;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", path_of(dir), e->d_name);
        int fd = open(path, O_RDONLY);
        assert_true(read(fd, text, sizeof text) > 9);
        close(fd);
        assert_true(num_parse_u32((struct str){text + 9, 1}, 1, 9, &n));
        seen[n] = true;
    }
    closedir(d);
}

static const char *messages_in(const char *prefix)
{
    static char text[10];
    char dir[20];
    bool seen[10] = {false};
    size_t n = 0;

    snprintf(dir, sizeof dir, "%snew", prefix);
    look_in(dir, seen);
    snprintf(dir, sizeof dir, "%scur", prefix);
    look_in(dir, seen);
    for (int i = 1; i < 10; i++)
        if (seen[i])
            text[n++] = (char)('0' + i);
    text[n] = '\0';
    return text;
}

/* ---- each way in which a message comes ---- */

static int append(struct store *s)
{
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "A", NULL, &why);

    assert_non_null(m);
    mail_in_put(m, STR("Subject: 3\n\n3\n"));
    atomic_store(&countdown, 2); /* the message, the journal */
    int result = mail_in_commit(&m, NULL, NULL, &why);
    why_free(&why);
    return result;
}

static int deliver_to_two(struct store *s)
{
    struct mail_place places[] = {{.folder = "A"}, {.folder = "INBOX"}};
    struct why why = WHY;
    struct mail_in *m = mail_in_new(s, "INBOX", NULL, &why);

    assert_non_null(m);
    mail_in_put(m, STR("Subject: 3\n\n3\n"));
    atomic_store(&countdown, 2);
    int result = mail_in_commit_to(&m, places, 2, &why);
    why_free(&why);
    return result;
}

static int copy(struct store *s)
{
    struct uidset set = uids("1"), from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    struct why why = WHY;
    struct mailbox *b = open_box(s, "INBOX");

    atomic_store(&countdown, 1);
    int result = mailbox_copy(b, &set, "A", false, &copied, &why);
    mailbox_close(&b);
    uidset_free(&set);
    uidset_free(&from);
    uidset_free(&made);
    why_free(&why);
    return result;
}

/* shown: somebody looks at the folder in this process. */
static void check(int (*act)(struct store *), int which_fails, bool same_process, bool shown)
{
    struct store *s = open_safe(), *stranger = open_store();
    struct why why = WHY;
    struct mailbox *view = NULL;
    struct numbering n = {stranger, same_process ? s : stranger, "A", ".A/dovecot-uidlist", false};

    atomic_store(&countdown, 0);
    atomic_store(&waits, false);
    fails = which_fails;
    assert_int_equal(sem_init(&go, 0, 0), 0);
    assert_int_equal(store_create(stranger, "A", &why), 0);
    deliver(stranger, "INBOX", "Subject: 3\n\n3\n");
    deliver(stranger, "A", "Subject: 1\n\n1\n");
    deliver(stranger, "A", "Subject: 2\n\n2\n");
    if (shown)
        view = open_box(s, "A");
    task_start("dovecot", dovecot, &n);
    assert_int_equal(act(s), -1);
    assert_true(n.done);
    assert_string_equal(messages_in(".A/"), "124");
    assert_string_equal(messages_in(""), "3");
    mailbox_close(&view);
    view = open_box(s, "A");
    assert_int_equal(mailbox_count(view), 3);
    mailbox_close(&view);
    store_close(&stranger);
    store_close(&s);
    sem_destroy(&go);
    why_free(&why);
}

TASK_TEST(an_append_that_failed_is_taken_back_by_its_name)
{
    check(append, 0, false, false);
}

TASK_TEST(so_it_is_when_this_process_has_numbered_the_folder_anew)
{
    check(append, 0, true, false);
}

TASK_TEST(so_it_is_when_somebody_looks_at_the_folder)
{
    check(append, 0, false, true);
}

TASK_TEST(a_copy_that_failed_is_taken_back_by_its_name)
{
    check(copy, 0, false, false);
}

TASK_TEST(a_delivery_that_failed_in_the_next_folder_is_taken_back_by_its_name)
{
    check(deliver_to_two, 1, false, false);
}

RUN_TESTS(TS(an_append_that_failed_is_taken_back_by_its_name),
          TS(so_it_is_when_this_process_has_numbered_the_folder_anew),
          TS(so_it_is_when_somebody_looks_at_the_folder),
          TS(a_copy_that_failed_is_taken_back_by_its_name),
          TS(a_delivery_that_failed_in_the_next_folder_is_taken_back_by_its_name))
