/*
 * Queue files and the directories they move through, in a queue of their own.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "queue/delivery.h"
#include "queue/qfile.h"
#include "queue/qid.h"

#include "queue_test.h"

/* A small message; its id goes to id. */
static void make(const char *sender, size_t lines, struct buf *id)
{
    struct qsize size = {.rcpts = 2};
    struct qfile *f = qfile_create(Q_INCOMING, NULL);
    struct buf placeholder = BUF(200);

    assert_non_null(f);
    qsize_format(&size, &placeholder);
    qfile_put(f, REC_SIZE, buf_str(&placeholder));
    qfile_putf(f, REC_TIME, "1795397122 236751");
    qfile_putf(f, REC_ATTR, "create_time=1795397120");
    qfile_putf(f, REC_ATTR, "log_client_name=localhost");
    qfile_put(f, REC_FROM, strz(sender));
    qfile_putf(f, REC_ATTR, "notify_flags=10");
    qfile_putf(f, REC_ATTR, "dsn_orig_rcpt=rfc822;one@x.test");
    qfile_put(f, REC_ORCP, STR("one@x.test"));
    qfile_put(f, REC_RCPT, STR("one@y.test"));
    qfile_put(f, REC_RCPT, STR("two@x.test"));
    qfile_put(f, REC_MESG, STR(""));
    size.data_offset = qfile_tell(f);
    for (size_t i = 0; i < lines; i++)
        qfile_putf(f, REC_NORM, "line %zu of the message", i);
    size.size = size.content = qfile_tell(f) - size.data_offset;
    qfile_put(f, REC_XTRA, STR(""));
    qfile_put(f, REC_ATTR, STR("encoding=8bit"));
    qfile_put(f, REC_END, STR(""));
    qfile_patch_size(f, &size);
    buf_setz(id, qfile_id(f));
    /* Nothing can be seen before the commit. */
    assert_false(queue_stat(Q_INCOMING, id->p, NULL));
    assert_int_equal(qfile_commit(&f, NULL), 0);
    assert_null(f);
    buf_free(&placeholder);
}

TEST(a_committed_message_reads_back)
{
    struct buf id = BUF(QID_MAX);
    struct arena *mem = arena_new(NULL);
    struct envelope e;
    struct stat st;
    struct why why = WHY;

    make("sender@x.test", 3, &id);
    assert_true(queue_stat(Q_INCOMING, id.p, &st));
    assert_int_equal(st.st_mode & 07777, QUEUE_MODE_READY);
    uint64_t inode;
    assert_true(qid_inode(buf_str(&id), &inode));
    assert_int_equal(inode, st.st_ino);
    struct qfile *f = qfile_open(Q_INCOMING, id.p, QFILE_READ, &why);
    assert_non_null(f);
    assert_int_equal(envelope_read(f, 0, 100, mem, &e, &why), 0);
    assert_false(e.truncated);
    assert_int_equal(e.next, 0);
    assert_string_equal(e.d.sender, "sender@x.test");
    assert_string_equal(e.d.encoding, "8bit");
    assert_string_equal(e.d.client_name, "localhost");
    assert_true(e.d.arrival_us == 1795397122236751);
    assert_true(e.d.created_s == 1795397120);
    assert_int_equal(e.d.nrcpts, 2);
    assert_string_equal(e.d.rcpts[0].address, "one@y.test");
    assert_string_equal(e.d.rcpts[0].original, "one@x.test");
    assert_string_equal(e.d.rcpts[0].dsn_orcpt, "rfc822;one@x.test");
    assert_int_equal(e.d.rcpts[0].dsn_notify, DSN_SUCCESS | DSN_DELAY);
    assert_string_equal(e.d.rcpts[1].address, "two@x.test");
    assert_string_equal(e.d.rcpts[1].original, "");
    assert_int_equal(e.d.rcpts[1].dsn_notify, 0);
    qfile_close(&f);
    arena_free(&mem);
    buf_free(&id);
    why_free(&why);
}

TEST(large_files_are_read_in_pieces)
{
    struct buf id = BUF(QID_MAX);
    struct arena *mem = arena_new(NULL);
    struct envelope e;
    struct str body;
    char expect[60];

    make("", 20000, &id);
    struct qfile *f = qfile_open(Q_INCOMING, id.p, QFILE_READ, NULL);
    assert_int_equal(envelope_read(f, 0, 100, mem, &e, NULL), 0);
    assert_true(e.d.content_size > 300000);
    assert_int_equal(qfile_seek(f, e.d.data_offset, NULL), 0);
    for (size_t i = 0; i < 20000; i++) {
        assert_int_equal(qfile_next(f, &body), REC_NORM);
        snprintf(expect, sizeof expect, "line %zu of the message", i);
        assert_true(str_eqz(body, expect));
    }
    assert_int_equal(qfile_next(f, &body), REC_XTRA);
    assert_int_equal(qfile_next(f, &body), REC_ATTR);
    assert_int_equal(qfile_next(f, &body), REC_END);
    assert_int_equal(qfile_next(f, &body), REC_EOF);
    qfile_close(&f);
    arena_free(&mem);
    buf_free(&id);
}

TEST(recipients_are_marked_and_then_passed_over)
{
    struct buf id = BUF(QID_MAX);
    struct arena *mem = arena_new(NULL);
    struct envelope e;
    struct why why = WHY;

    make("s@x.test", 1, &id);
    struct qfile *f = qfile_open(Q_INCOMING, id.p, QFILE_DELIVER, NULL);
    assert_int_equal(envelope_read(f, 0, 100, mem, &e, NULL), 0);
    assert_int_equal(qfile_mark_done(f, e.d.rcpts[0].at, &why), 0);
    assert_int_equal(qfile_mark_done(f, e.d.rcpts[0].at, &why), 0);
    /* Never into what is no recipient. */
    assert_int_equal(qfile_mark_done(f, 0, &why), -1);
    assert_int_equal(qfile_mark_done(f, 1000000, &why), -1);
    qfile_close(&f);
    f = qfile_open(Q_INCOMING, id.p, QFILE_READ, NULL);
    assert_int_equal(envelope_read(f, 0, 100, mem, &e, NULL), 0);
    assert_int_equal(e.d.nrcpts, 1);
    assert_int_equal(e.done, 1);
    assert_string_equal(e.d.rcpts[0].address, "two@x.test");
    assert_string_equal(e.d.rcpts[0].dsn_orcpt, "");
    qfile_close(&f);
    arena_free(&mem);
    buf_free(&id);
    why_free(&why);
}

TEST(recipients_come_in_batches)
{
    struct buf id = BUF(QID_MAX);
    struct arena *mem = arena_new(NULL);
    struct envelope e;

    make("s@x.test", 1, &id);
    struct qfile *f = qfile_open(Q_INCOMING, id.p, QFILE_READ, NULL);
    assert_int_equal(envelope_read(f, 0, 1, mem, &e, NULL), 0);
    assert_int_equal(e.d.nrcpts, 1);
    assert_true(e.next > 0);
    /* what stands behind the content belongs to the message, not to later recipients */
    assert_string_equal(e.d.encoding, "8bit");
    assert_string_equal(e.d.rcpts[0].dsn_orcpt, "rfc822;one@x.test");
    assert_int_equal(envelope_read(f, e.next, 1, mem, &e, NULL), 0);
    assert_int_equal(e.d.nrcpts, 1);
    assert_string_equal(e.d.rcpts[0].address, "two@x.test");
    assert_string_equal(e.d.sender, "s@x.test");
    assert_int_equal(envelope_read(f, e.next, 1, mem, &e, NULL), 0);
    assert_int_equal(e.d.nrcpts, 0);
    assert_int_equal(e.next, 0);
    qfile_close(&f);
    arena_free(&mem);
    buf_free(&id);
}

TEST(agents_share_a_file_and_its_owner_does_not)
{
    struct buf id = BUF(QID_MAX);

    make("s@x.test", 1, &id);
    struct qfile *a = qfile_open(Q_INCOMING, id.p, QFILE_DELIVER, NULL);
    struct qfile *b = qfile_open(Q_INCOMING, id.p, QFILE_DELIVER, NULL);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(qfile_open(Q_INCOMING, id.p, QFILE_OWN, NULL));
    assert_int_equal(errno, EAGAIN);
    qfile_close(&a);
    qfile_close(&b);
    a = qfile_open(Q_INCOMING, id.p, QFILE_OWN, NULL);
    assert_non_null(a);
    assert_null(qfile_open(Q_INCOMING, id.p, QFILE_DELIVER, NULL));
    qfile_close(&a);
    assert_null(qfile_open(Q_ACTIVE, id.p, QFILE_OWN, NULL));
    assert_int_equal(errno, ENOENT);
    buf_free(&id);
}

TEST(moves_make_the_directories_they_need)
{
    struct buf id = BUF(QID_MAX), path = BUF(200), expect = BUF(200);
    bool seen = false;
    const char *name;

    make("s@x.test", 1, &id);
    assert_int_equal(queue_move(id.p, Q_INCOMING, Q_DEFERRED, NULL), 0);
    queue_path(&path, Q_DEFERRED, id.p);
    buf_addf(&expect, "deferred/%c/%c/%s", id.p[0], id.p[1], id.p);
    assert_string_equal(path.p, expect.p);
    struct queue_scan *scan = queue_scan_new(Q_DEFERRED);
    while ((name = queue_scan_next(scan)) != NULL)
        if (strcmp(name, id.p) == 0) {
            seen = true;
            assert_string_equal(queue_scan_path(scan), path.p);
        }
    queue_scan_free(&scan);
    assert_true(seen);
    static const enum queue places[] = {Q_ACTIVE, Q_DEFERRED, Q_COUNT};
    assert_int_equal(queue_locate(id.p, places, NULL), Q_DEFERRED);
    assert_int_equal(queue_remove(Q_DEFERRED, id.p, NULL), 0);
    assert_int_equal(queue_locate(id.p, places, NULL), Q_COUNT);
    assert_int_equal(queue_move(id.p, Q_DEFERRED, Q_ACTIVE, NULL), -1);
    assert_int_equal(errno, ENOENT);
    buf_free(&id);
    buf_free(&path);
    buf_free(&expect);
}

TEST(an_aborted_message_leaves_nothing)
{
    struct qfile *f = qfile_create(Q_INCOMING, NULL);
    struct queue_scan *scan;
    const char *name;

    for (int i = 0; i < 10000; i++)
        qfile_put(f, REC_NORM, STR("some line that fills the buffer and the file"));
    qfile_abort(&f);
    assert_null(f);
    scan = queue_scan_new(Q_INCOMING);
    queue_scan_all(scan, true);
    while ((name = queue_scan_next(scan)) != NULL)
        assert_true(strchr(name, '.') == NULL);
    queue_scan_free(&scan);
}

TEST(too_little_space_is_said)
{
    struct why why = WHY;

    conf.queue_minfree = INT64_MAX / 2;
    assert_int_equal(queue_check_space(0, &why), -1);
    assert_string_equal(why.code, "4.3.1");
    conf.queue_minfree = 0;
    assert_int_equal(queue_check_space(1000, &why), 0);
    why_free(&why);
}

TEST(pointers_are_followed_and_never_for_ever)
{
    struct buf id = BUF(QID_MAX);
    struct str body;
    struct qfile *f = qfile_create(Q_INCOMING, NULL);

    off_t first = qfile_putf(f, REC_PTR, "%15d", 0);
    qfile_put(f, REC_NORM, STR("old"));
    off_t back = qfile_put(f, REC_NORM, STR("end"));
    off_t at = qfile_put(f, REC_NORM, STR("new"));
    qfile_putf(f, REC_PTR, "%15lld", (long long)back);
    char text[20];
    snprintf(text, sizeof text, "%15lld", (long long)at);
    assert_int_equal(qfile_patch(f, first, REC_PTR, strz(text)), 0);
    buf_setz(&id, qfile_id(f));
    assert_int_equal(qfile_commit(&f, NULL), 0);
    f = qfile_open(Q_INCOMING, id.p, QFILE_READ, NULL);
    assert_int_equal(qfile_next(f, &body), REC_NORM);
    assert_true(str_eqz(body, "new"));
    assert_int_equal(qfile_next(f, &body), REC_NORM);
    assert_true(str_eqz(body, "end"));
    enum rec type;
    while ((type = qfile_next(f, &body)) == REC_NORM)
        ;
    assert_int_equal(type, REC_BAD);
    qfile_close(&f);
    buf_free(&id);
}

TEST(a_passed_descriptor_is_taken_if_it_is_a_queue_file_of_the_owner)
{
    struct buf id = BUF(QID_MAX), path = BUF(200);
    struct str body;

    make("sender@x.test", 3, &id);
    assert_int_equal(queue_move(id.p, Q_INCOMING, Q_ACTIVE, NULL), 0);
    int fd = qfile_open_to_pass(id.p, NULL);
    assert_true(fd >= 0);
    /* The name is of no use any more. */
    queue_path(&path, Q_ACTIVE, id.p);
    struct qfile *f = qfile_passed(fd, id.p, geteuid(), NULL);
    assert_non_null(f);
    assert_int_equal(qfile_fd(f), fd);
    assert_null(qfile_open(Q_ACTIVE, id.p, QFILE_OWN, NULL)); /* it is locked all the time */
    assert_int_equal(unlink(path.p), 0);
    assert_int_equal(qfile_next(f, &body), REC_SIZE);
    qfile_close(&f);
    assert_int_equal(qfile_open_to_pass(id.p, NULL), -1);
    assert_int_equal(errno, ENOENT);
    buf_free(&id);
    buf_free(&path);
}

TEST(other_descriptors_are_no_queue_files)
{
    struct buf id = BUF(QID_MAX);
    struct why why = WHY;

    make("sender@x.test", 3, &id);
    assert_int_equal(queue_move(id.p, Q_INCOMING, Q_ACTIVE, NULL), 0);
    assert_null(qfile_passed(qfile_open_to_pass(id.p, NULL), id.p, geteuid() + 1, &why));
    assert_null(qfile_passed(-1, id.p, geteuid(), &why));
    assert_null(qfile_passed(open("/dev/null", O_RDWR), id.p, geteuid(), &why));
    assert_null(qfile_passed(open("incoming", O_RDONLY), id.p, geteuid(), &why));
    int unfinished = open("unfinished", O_RDWR | O_CREAT, 0600);
    assert_true(unfinished >= 0);
    assert_null(qfile_passed(unfinished, id.p, geteuid(), &why));
    assert_string_equal(why.code, "5.3.0");
    why_free(&why);
    buf_free(&id);
}

TEST(who_has_written_a_file_can_show_it)
{
    struct buf id = BUF(QID_MAX), other = BUF(QID_MAX);
    struct stat st;
    int fd = -1;

    make("sender@x.test", 3, &other);
    struct qfile *f = qfile_create(Q_INCOMING, NULL);
    qfile_put(f, REC_END, STR(""));
    buf_setz(&id, qfile_id(f));
    assert_int_equal(qfile_commit_keep(&f, &fd, NULL), 0);
    assert_true(queue_is_file(Q_INCOMING, id.p, fd, &st));
    assert_false(queue_is_file(Q_INCOMING, other.p, fd, &st));
    assert_false(queue_is_file(Q_ACTIVE, id.p, fd, &st));
    assert_false(queue_is_file(Q_INCOMING, id.p, -1, &st));
    close(fd);
    buf_free(&id);
    buf_free(&other);
}

TEST(whoever_knows_only_the_name_of_a_file_has_nothing_to_show)
{
    static const int flags[] = {O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY, O_WRONLY};
    struct buf id = BUF(QID_MAX), path = BUF(200);
    struct stat st;

    make("sender@x.test", 1, &id);
    queue_path(&path, Q_INCOMING, id.p);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = open(path.p, flags[i] | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_false(queue_is_file(Q_INCOMING, id.p, fd, &st));
        close(fd);
    }
    buf_free(&id);
    buf_free(&path);
}

TEST(an_id_has_one_message)
{
    struct buf id = BUF(QID_MAX), other = BUF(QID_MAX), path = BUF(200), second = BUF(200);
    struct stat st;

    make("sender@x.test", 1, &id);
    make("sender@x.test", 1, &other);
    queue_path(&path, Q_INCOMING, id.p);
    assert_int_equal(stat(path.p, &st), 0);
    assert_int_equal(queue_move(id.p, Q_INCOMING, Q_DEFERRED, NULL), 0);
    assert_false(queue_is_taken(id.p, &st)); /* by none but this one */
    queue_path(&path, Q_INCOMING, other.p);
    queue_path(&second, Q_INCOMING, id.p);
    assert_int_equal(rename(path.p, second.p), 0);
    assert_int_equal(stat(second.p, &st), 0);
    assert_true(queue_is_taken(id.p, &st));
    assert_int_equal(queue_remove(Q_DEFERRED, id.p, NULL), 0);
    assert_false(queue_is_taken(id.p, &st)); /* of a queue that was copied */
    buf_free(&id);
    buf_free(&other);
    buf_free(&path);
    buf_free(&second);
}

TEST(a_record_that_does_not_fit_fails_the_message)
{
    struct qfile *f = qfile_create(Q_INCOMING, NULL);
    char *text = mem_new(REC_MAX + 2);
    struct buf out = BUF(4 * REC_MAX);
    struct why why = WHY;

    memset(text, 'x', REC_MAX + 1);
    qrec_putf(&out, REC_ATTR, "%s", text);
    assert_false(buf_ok(&out));
    qfile_putf(f, REC_ATTR, "a=%s", text);
    qfile_put(f, REC_END, STR(""));
    assert_int_equal(qfile_commit(&f, &why), -1);
    why_free(&why);
    buf_free(&out);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_committed_message_reads_back),
        T(large_files_are_read_in_pieces),
        T(recipients_are_marked_and_then_passed_over),
        T(recipients_come_in_batches),
        T(agents_share_a_file_and_its_owner_does_not),
        T(moves_make_the_directories_they_need),
        T(an_aborted_message_leaves_nothing),
        T(too_little_space_is_said),
        T(pointers_are_followed_and_never_for_ever),
        T(a_passed_descriptor_is_taken_if_it_is_a_queue_file_of_the_owner),
        T(other_descriptors_are_no_queue_files),
        T(who_has_written_a_file_can_show_it),
        T(whoever_knows_only_the_name_of_a_file_has_nothing_to_show),
        T(an_id_has_one_message),
        T(a_record_that_does_not_fit_fails_the_message),
    };
    return cmocka_run_group_tests(tests, enter_queue, leave_queue);
}
