/*
 * Whom a delivery report names: the records of the log, and of an expired message everybody else.
 */
#include <unistd.h>

#include "queue/qfile.h"
#include "queue/qid.h"
#include "queue/report_source.h"

#include "queue_test.h"

enum { RCPTS = 7 };
static off_t places[RCPTS];
static bool redirect; /* the next message that is made: to@x.test */

/* A message to r0@x.test ... in active; its id goes to id. */
static void make(struct buf *id)
{
    struct qsize size = {.rcpts = RCPTS};
    struct qfile *f = qfile_create(Q_INCOMING, NULL);
    struct buf placeholder = BUF(200);

    qsize_format(&size, &placeholder);
    qfile_put(f, REC_SIZE, buf_str(&placeholder));
    qfile_putf(f, REC_TIME, "1795397122 236751");
    qfile_put(f, REC_FROM, STR("s@x.test"));
    if (redirect)
        qfile_put(f, REC_RDIR, STR("to@x.test"));
    for (int i = 0; i < RCPTS; i++) {
        if (i == 3)
            qfile_putf(f, REC_ATTR, "notify_flags=1");
        places[i] = qfile_putf(f, REC_RCPT, "r%d@x.test", i);
    }
    qfile_put(f, REC_MESG, STR(""));
    size.data_offset = qfile_tell(f);
    qfile_put(f, REC_NORM, STR("text"));
    size.size = size.content = qfile_tell(f) - size.data_offset;
    qfile_put(f, REC_XTRA, STR(""));
    qfile_put(f, REC_END, STR(""));
    qfile_patch_size(f, &size);
    buf_setz(id, qfile_id(f));
    assert_int_equal(qfile_commit(&f, NULL), 0);
    assert_int_equal(queue_move(id->p, Q_INCOMING, Q_ACTIVE, NULL), 0);
    buf_free(&placeholder);
}

static void mark_done(const char *id, int i)
{
    struct qfile *f = qfile_open(Q_ACTIVE, id, QFILE_DELIVER, NULL);

    assert_int_equal(qfile_mark_done(f, places[i], NULL), 0);
    qfile_close(&f);
}

static void add_record(enum queue log, const char *id, int i, struct str more)
{
    struct bounce_record r = {.recipient = "",
                              .original = "",
                              .dsn_orcpt = "",
                              .status = "4.2.2",
                              .action = "delayed",
                              .diag_type = "",
                              .diag_text = "",
                              .mta_type = "",
                              .mta_name = "",
                              .reason = "full",
                              .at = places[i]};
    struct buf path = BUF(500), text = BUF(1000), name = BUF(100), all = BUF(100000);

    buf_addf(&name, "r%d@x.test", i);
    r.recipient = name.p;
    bounce_record_format(&r, &text);
    queue_path(&path, log, id);
    queue_make_dirs(log, id, NULL);
    if (access(path.p, F_OK) == 0)
        assert_int_equal(file_read(path.p, &all, NULL), 0);
    buf_add(&all, buf_str(&text));
    buf_add(&all, more);
    assert_int_equal(file_replace(path.p, buf_str(&all), 0600, NULL), 0);
    buf_free(&path);
    buf_free(&text);
    buf_free(&name);
    buf_free(&all);
}

/* "r0 4.2.2, r1 4.4.7 | ..."; a bar between portions. */
static const char *named(enum queue log, const char *id, bool last_word, size_t max)
{
    static char text[1000];
    struct delivery d = {.queue = Q_ACTIVE, .queue_id = id};
    struct report_source *s = report_source_new(log, &d, last_word);
    struct bounce_log portion;
    size_t n = 0;

    text[0] = 0;
    for (;;) {
        struct arena *mem = arena_new(NULL);
        assert_int_equal(report_source_next(s, max, mem, &portion, NULL), 0);
        assert_true(portion.n <= max);
        if (portion.n > 0 && n > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, " |");
        for (size_t i = 0; i < portion.n; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, " %.2s %s", portion.at[i].recipient,
                                  portion.at[i].status);
        arena_free(&mem);
        if (portion.n == 0)
            break;
    }
    report_source_free(&s);
    return text;
}

TEST(an_expired_message_s_report_names_everybody_who_is_left)
{
    struct buf id = BUF(QID_MAX);

    make(&id);
    mark_done(id.p, 0);
    add_record(Q_DEFER, id.p, 4, STR(""));
    add_record(Q_DEFER, id.p, 2, STR("\n<r9@x"));
    add_record(Q_DEFER, id.p, 5, STR(""));
    assert_string_equal(named(Q_DEFER, id.p, true, 100),
                        " r4 4.2.2 r2 4.2.2 r5 4.2.2 | r1 4.4.7 r3 4.4.7 r6 4.4.7");
    assert_string_equal(named(Q_DEFER, id.p, true, 2),
                        " r4 4.2.2 r2 4.2.2 | r5 4.2.2 | r1 4.4.7 | r3 4.4.7 | r6 4.4.7");
    assert_string_equal(named(Q_DEFER, id.p, false, 100), " r4 4.2.2 r2 4.2.2 r5 4.2.2");
    buf_free(&id);
}

/* A log that is older than the marks: a queue manager has died, or the log could not be removed. */
TEST(whoever_is_done_meanwhile_is_not_named)
{
    struct buf id = BUF(QID_MAX);

    make(&id);
    add_record(Q_DEFER, id.p, 1, STR(""));
    add_record(Q_DEFER, id.p, 2, STR(""));
    add_record(Q_DEFER, id.p, 3, STR(""));
    add_record(Q_BOUNCE, id.p, 1, STR(""));
    mark_done(id.p, 1);
    mark_done(id.p, 2);
    assert_string_equal(named(Q_DEFER, id.p, false, 100), " r3 4.2.2");
    assert_string_equal(named(Q_DEFER, id.p, false, 1), " r3 4.2.2");
    assert_string_equal(named(Q_DEFER, id.p, true, 2),
                        " r3 4.2.2 | r0 4.4.7 | r4 4.4.7 r5 4.4.7 | r6 4.4.7");
    assert_string_equal(named(Q_BOUNCE, id.p, false, 100), " r1 4.2.2");
    buf_free(&id);
}

TEST(a_redirected_message_has_one_recipient)
{
    struct buf id = BUF(QID_MAX);

    redirect = true;
    make(&id);
    redirect = false;
    assert_string_equal(named(Q_DEFER, id.p, true, 100), " to 4.4.7");
    mark_done(id.p, 0);
    assert_string_equal(named(Q_DEFER, id.p, true, 100), "");
    buf_free(&id);
}

TEST(no_record_at_all_is_no_reason_to_say_nothing)
{
    struct buf id = BUF(QID_MAX);

    make(&id);
    for (int i = 1; i < RCPTS; i++)
        mark_done(id.p, i);
    assert_string_equal(named(Q_DEFER, id.p, true, 100), " r0 4.4.7");
    mark_done(id.p, 0);
    assert_string_equal(named(Q_DEFER, id.p, true, 100), "");
    buf_free(&id);
}

TEST(what_cannot_be_read_is_not_taken_for_the_end)
{
    struct delivery d = {.queue = Q_ACTIVE, .queue_id = "4ABCDE123456789"};
    struct report_source *s = report_source_new(Q_DEFER, &d, true);
    struct arena *mem = arena_new(NULL);
    struct bounce_log portion;
    struct why why = WHY;

    assert_int_equal(report_source_next(s, 100, mem, &portion, &why), -1);
    assert_int_equal(why.code[0], '4');
    report_source_free(&s);
    why_free(&why);
    arena_free(&mem);
}

/* Larger than the pieces it is read in: no record is lost or read twice at their borders. */
TEST(a_large_log_is_read_whole)
{
    enum { MANY = 60000 };
    struct buf text = BUF(64 << 20), path = BUF(500);
    struct arena *mem = arena_new(NULL);
    struct bounce_log log;
    off_t at = 0;
    size_t n = 0;

    for (int i = 0; i < MANY; i++)
        buf_addf(&text,
                 "\n<r%d@x.test>: why\nrecipient=r%d@x.test\noffset=%d\nstatus=4.0.0\n"
                 "reason=something that is a little longer, so that there are several pieces\n\n",
                 i, i, i + 1);
    assert_true(buf_ok(&text));
    queue_path(&path, Q_BOUNCE, "4ABCDE123456789");
    assert_int_equal(file_replace(path.p, buf_str(&text), 0600, NULL), 0);
    do {
        assert_int_equal(bounce_log_next(Q_BOUNCE, "4ABCDE123456789", &at, 7001, mem, &log, NULL),
                         0);
        for (size_t i = 0; i < log.n; i++)
            assert_int_equal(log.at[i].at, ++n);
    } while (log.n > 0);
    assert_int_equal(n, MANY);
    arena_free(&mem);
    buf_free(&text);
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_expired_message_s_report_names_everybody_who_is_left),
        T(whoever_is_done_meanwhile_is_not_named),
        T(a_redirected_message_has_one_recipient),
        T(no_record_at_all_is_no_reason_to_say_nothing),
        T(what_cannot_be_read_is_not_taken_for_the_end),
        T(a_large_log_is_read_whole),
    };
    return cmocka_run_group_tests(tests, enter_queue, leave_queue);
}
