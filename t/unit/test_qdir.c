/*
 * The directories of the queue: where an id lies, moves, walks, room.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "queue_test.h"

static void put(enum queue q, const char *id)
{
    struct buf path = BUF(200);
    struct why why = WHY;

    assert_int_equal(queue_make_dirs(q, id, &why), 0);
    queue_path(&path, q, id);
    int fd = open(path.p, O_CREAT | O_EXCL | O_WRONLY, QUEUE_MODE_READY);
    assert_true(fd >= 0);
    close(fd);
    buf_free(&path);
}

TEST(names_and_queues_belong_together)
{
    enum queue found;

    for (enum queue q = Q_MAILDROP; q < Q_COUNT; q++) {
        assert_true(queue_by_name(queue_name(q), &found));
        assert_int_equal(found, q);
    }
    assert_false(queue_by_name("elsewhere", &found));
}

TEST(a_hashed_queue_has_a_directory_for_each_of_the_first_characters)
{
    struct buf path = BUF(200);

    queue_path(&path, Q_DEFERRED, "ABCDE12345");
    assert_string_equal(path.p, "deferred/A/B/ABCDE12345");
    queue_path(&path, Q_ACTIVE, "ABCDE12345");
    assert_string_equal(path.p, "active/ABCDE12345");
    buf_free(&path);
}

TEST(a_move_makes_the_directories_and_leaves_nothing_behind)
{
    static const enum queue all[] = {Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT};
    struct why why = WHY;
    struct stat st;

    put(Q_ACTIVE, "FEDCB54321");
    assert_int_equal(queue_locate("FEDCB54321", all, &st), Q_ACTIVE);
    assert_int_equal(queue_move("FEDCB54321", Q_ACTIVE, Q_DEFERRED, &why), 0);
    assert_false(queue_stat(Q_ACTIVE, "FEDCB54321", &st));
    assert_true(queue_stat(Q_DEFERRED, "FEDCB54321", &st));
    assert_int_equal(st.st_mode & 0777, QUEUE_MODE_READY);
    assert_int_equal(queue_locate("FEDCB54321", all, &st), Q_DEFERRED);
    assert_int_equal(queue_remove(Q_DEFERRED, "FEDCB54321", &why), 0);
    assert_int_equal(queue_locate("FEDCB54321", all, &st), Q_COUNT);
    why_free(&why);
}

TEST(a_move_of_what_is_not_there_says_so)
{
    struct why why = WHY;

    errno = 0;
    assert_int_equal(queue_move("AAAAA00000", Q_ACTIVE, Q_DEFERRED, &why), -1);
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_int_equal(queue_remove(Q_HOLD, "AAAAA00000", &why), -1);
    assert_int_equal(errno, ENOENT);
    why_free(&why);
}

TEST(a_walk_finds_hashed_and_flat_files_and_passes_over_what_is_no_queue_id)
{
    struct queue_scan *s;
    const char *id;
    int ids = 0, names = 0;

    put(Q_DEFERRED, "12345ABCDE");
    put(Q_DEFERRED, "22345ABCDE");
    close(open("deferred/32345ABCDE", O_CREAT | O_WRONLY, 0700)); /* from before it was hashed */
    close(open("deferred/1/2/unfinished.123", O_CREAT | O_WRONLY, 0600));
    s = queue_scan_new(Q_DEFERRED);
    while ((id = queue_scan_next(s)) != NULL) {
        assert_int_equal(access(queue_scan_path(s), F_OK), 0);
        assert_non_null(strstr(id, "345ABCDE"));
        ids++;
    }
    queue_scan_free(&s);
    assert_int_equal(ids, 3);
    s = queue_scan_new(Q_DEFERRED);
    queue_scan_all(s, true);
    while (queue_scan_next(s) != NULL)
        names++;
    queue_scan_free(&s);
    assert_int_equal(names, 4);
}

TEST(a_message_that_would_leave_too_little_room_is_refused_for_now)
{
    struct why why = WHY;

    conf.queue_minfree = 0;
    assert_int_equal(queue_check_space(1000, &why), 0);
    assert_int_equal(queue_check_space(INT64_MAX / 4, &why), -1);
    assert_string_equal(why.code, "4.3.1");
    conf.queue_minfree = INT64_MAX / 4;
    assert_int_equal(queue_check_space(0, &why), -1);
    conf.queue_minfree = 0;
    why_free(&why);
}

TEST(no_path_is_made_of_what_is_no_queue_id)
{
    static const char *const bad[] = {"", "..", "../../../etc/passwd", "ABCDEF/../../x",
                                      "ABCDEF.1"};
    struct buf path = BUF(512);
    int status;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            close(STDERR_FILENO);
            queue_path(&path, Q_ACTIVE, bad[i]);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(names_and_queues_belong_together),
        T(a_hashed_queue_has_a_directory_for_each_of_the_first_characters),
        T(a_move_makes_the_directories_and_leaves_nothing_behind),
        T(a_move_of_what_is_not_there_says_so),
        T(a_walk_finds_hashed_and_flat_files_and_passes_over_what_is_no_queue_id),
        T(a_message_that_would_leave_too_little_room_is_refused_for_now),
        T(no_path_is_made_of_what_is_no_queue_id),
    };
    return cmocka_run_group_tests(tests, enter_queue, leave_queue);
}
