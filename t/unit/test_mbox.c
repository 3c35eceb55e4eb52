/*
 * Mailbox files: what is appended, what is refused, and that a failure leaves the file as it was.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "task/task.h"

#include "mbox.h"
#include "test.h"

static char folder[] = "/tmp/test_mbox.XXXXXX";
static const struct mbox_rules plain = {.locks = "fcntl, dotlock"};

static void prepare(void)
{
    conf.deliver_lock_attempts = 2;
    conf.deliver_lock_delay = 0;
    conf.stale_lock_time = 500;
    if (strstr(folder, "XXXXXX") != NULL && mkdtemp(folder) == NULL)
        abort();
    if (chdir(folder) < 0)
        abort();
}

static int append(const char *path, const struct mbox_rules *rules, const char *text,
                  struct why *why)
{
    struct mbox *m = mbox_open(path, rules, why);
    struct str rest = strz(text), line;

    if (m == NULL)
        return -1;
    mbox_put_raw(m, STR("From x\n"));
    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        mbox_put(m, line);
        mbox_put(m, STR("\n"));
    }
    return mbox_commit(&m, why);
}

static void check(const char *path, const char *want)
{
    struct buf text = BUF(1 << 20);

    assert_int_equal(file_read(path, &text, NULL), 0);
    assert_string_equal(text.p, want);
    buf_free(&text);
}

static void messages(void *arg __attribute__((unused)))
{
    assert_int_equal(append("a", &plain, "one\nFrom me\n From you\n", NULL), 0);
    check("a", "From x\none\n>From me\n From you\n\n");
    assert_int_equal(append("a", &plain, "two\n", NULL), 0);
    check("a", "From x\none\n>From me\n From you\n\nFrom x\ntwo\n\n");
    assert_int_equal(access("a.lock", F_OK), -1);
}

/* Whoever was killed while it wrote has left the beginning of a message. */
static void after_half_a_message(void *arg __attribute__((unused)))
{
    struct mbox *m;
    int fd = open("half", O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_int_equal(file_write_all(fd, "From x\nhalf of a li", 19), 0);
    close(fd);
    m = mbox_open("half", &plain, NULL);
    mbox_abort(&m);
    check("half", "From x\nhalf of a li");
    assert_int_equal(append("half", &plain, "one\n", NULL), 0);
    check("half", "From x\nhalf of a li\n\nFrom x\none\n\n");
}

static void aborts(void *arg __attribute__((unused)))
{
    struct mbox_rules small = plain;
    struct why why = WHY;
    struct mbox *m;

    assert_int_equal(append("b", &plain, "one\n", NULL), 0);
    small.size_limit = 20;
    assert_int_equal(append("b", &small, "far too long\n", &why), -1);
    assert_string_equal(why.code, "5.2.2");
    m = mbox_open("b", &plain, NULL);
    mbox_put(m, STR("half"));
    mbox_abort(&m);
    check("b", "From x\none\n\n");
    why_free(&why);
}

static void refusals(void *arg __attribute__((unused)))
{
    struct mbox_rules any = {.locks = "", .any_file = true}, owned = plain;
    uid_t nobody = 65534;
    struct why why = WHY;

    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(append("dir", &plain, "x\n", &why), -1);
    assert_int_equal(symlink("a", "link"), 0);
    if (getuid() != 0) /* root's links lead where root wants */
        assert_int_equal(append("link", &plain, "x\n", &why), -1);
    assert_int_equal(append("/dev/null", &plain, "x\n", &why), -1);
    assert_int_equal(append("/dev/null", &any, "x\n", &why), 0);
    assert_int_equal(append("c", &plain, "x\n", &why), 0);
    assert_int_equal(link("c", "c2"), 0);
    assert_int_equal(append("c", &plain, "x\n", &why), -1);
    assert_non_null(strstr(why_text(&why), "2 hard links"));
    assert_int_equal(append("d", &plain, "x\n", &why), 0);
    owned.owner = &nobody;
    assert_int_equal(append("d", &owned, "x\n", &why), -1);
    assert_string_equal(why_text(&why), "destination d is not owned by recipient");
    assert_int_equal(chmod("d", 0700), 0);
    assert_int_equal(append("d", &any, "x\n", &why), -1);
    assert_string_equal(why.code, "5.7.1");
    why_free(&why);
}

static void locks(void *arg __attribute__((unused)))
{
    struct mbox_rules by_flock = {.locks = "flock"};
    struct why why = WHY;
    int fd;

    assert_int_equal(append("e", &plain, "x\n", NULL), 0);
    assert_int_equal(lock_try_dot("e", 500), 0);
    assert_int_equal(append("e", &plain, "y\n", &why), -1);
    assert_string_equal(why.code, "4.2.0");
    lock_release_dot("e");
    fd = open("e", O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(append("e", &by_flock, "y\n", &why), -1);
    close(fd);
    assert_int_equal(append("e", &by_flock, "y\n", &why), 0);
    check("e", "From x\nx\n\nFrom x\ny\n\n");
    why_free(&why);
}

static void run(task_fn *fn)
{
    prepare();
    task_start("test", fn, NULL);
    task_loop();
}

TEST(messages_are_appended_with_their_from_lines_quoted)
{
    run(messages);
}

TEST(a_message_behind_half_of_another_is_one_of_its_own)
{
    run(after_half_a_message);
}

TEST(a_failure_leaves_the_file_as_it_was)
{
    run(aborts);
}

TEST(what_is_no_mailbox_of_the_recipient_is_refused)
{
    run(refusals);
}

TEST(a_locked_mailbox_makes_mail_wait)
{
    run(locks);
}

static int end(void **state __attribute__((unused)))
{
    return chdir("/") < 0 ? -1 : file_remove_all(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_are_appended_with_their_from_lines_quoted),
        T(a_message_behind_half_of_another_is_one_of_its_own),
        T(a_failure_leaves_the_file_as_it_was),
        T(what_is_no_mailbox_of_the_recipient_is_refused),
        T(a_locked_mailbox_makes_mail_wait),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
