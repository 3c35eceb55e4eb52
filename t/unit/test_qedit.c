/*
 * Edits in place, read back by our reader. With QEDIT_KEEP=/path the last file stays there, for
 * t/compat/test_queue.py, which shows it to both postcats.
 */
#include <stdlib.h>

#include "queue/qedit.h"

#include "queue_test.h"

static struct qedit edit;
static off_t first_rcpt;
static struct str sender, subject; /* null: some */

/* A message with gaps, as a cleanup that has milters writes it. */
static void begin(void)
{
    struct qsize size = {.rcpts = 2};
    struct buf text = BUF(200);
    struct qfile *f = qfile_create(Q_INCOMING, NULL);

    assert_non_null(f);
    edit = (struct qedit){.f = f};
    qsize_format(&size, &text);
    qfile_put(f, REC_SIZE, buf_str(&text));
    qfile_putf(f, REC_TIME, "1795397122 236751");
    edit.sender = qedit_put(f, REC_FROM, sender.p != NULL ? sender : STR("s@x.test"));
    first_rcpt = qfile_put(f, REC_RCPT, STR("one@x.test"));
    qfile_put(f, REC_RCPT, STR("two@x.test"));
    edit.rcpt_gap = qfile_gap(f);
    edit.rcpt_end = qfile_tell(f);
    qfile_put(f, REC_MESG, STR(""));
    size.data_offset = edit.header = qfile_tell(f);
    qedit_put(f, REC_NORM, STR("A: 1"));
    qedit_put(f, REC_NORM, subject.p != NULL ? subject : STR("Subject: s"));
    qedit_put(f, REC_NORM, STR(" folded"));
    qedit_put(f, REC_NORM, STR("A: 2"));
    edit.header_gap = qfile_gap(f);
    edit.body = qedit_put(f, REC_NORM, STR(""));
    for (int i = 0; i < 3000; i++)
        qfile_putf(f, REC_NORM, "line %d of a body that is larger than the buffer", i);
    edit.body_gap = qfile_gap(f);
    size.size = size.content = qfile_tell(f) - size.data_offset;
    qfile_put(f, REC_XTRA, STR(""));
    qfile_put(f, REC_END, STR(""));
    qfile_patch_size(f, &size);
    buf_free(&text);
}

/* What a reader finds: "S:sender R:rcpt ... M:", header and the first line of the body, "E". */
static void read_all(struct qfile *r, struct buf *out)
{
    struct str text;
    enum rec type;
    size_t lines = 0;

    while ((type = qfile_next(r, &text)) > 0 && type != REC_END) {
        if (type == REC_SIZE || type == REC_TIME || (type == REC_NORM && lines > 20))
            continue;
        lines += type == REC_NORM;
        if (type == REC_NORM && str_starts(text, STR("line ")) && !str_starts(text, STR("line 0")))
            continue;
        buf_addf(out, "%c:%.*s\n", type, (int)text.n, text.p);
    }
    buf_addc(out, type == REC_END ? 'E' : '?');
}

static void expect(const char *want)
{
    struct buf got = BUF(100000);
    struct qfile *r = qfile_read_back(edit.f);

    assert_non_null(r);
    read_all(r, &got);
    assert_string_equal(got.p, want);
    qfile_close(&r);
    buf_free(&got);
}

static void add_rcpt(const char *address)
{
    off_t begin_at = qedit_begin_rcpts(&edit, NULL);

    qfile_put(edit.f, REC_ORCP, strz(address));
    qfile_put(edit.f, REC_RCPT, strz(address));
    assert_int_equal(qedit_end_rcpts(&edit, begin_at, NULL), 0);
}

static void replace_body(const char *line)
{
    off_t begin_at = qedit_begin_body(&edit, NULL);

    qfile_put(edit.f, REC_NORM, strz(line));
    assert_int_equal(qedit_end_body(&edit, begin_at, NULL), 0);
}

TEST(without_edits_gaps_are_passed_over)
{
    begin();
    expect(
        "S:s@x.test\nR:one@x.test\nR:two@x.test\nM:\nN:A: 1\nN:Subject: s\nN: folded\nN:A: 2\nN:\n"
        "N:line 0 of a body that is larger than the buffer\nX:\nE");
    qfile_abort(&edit.f);
}

TEST(every_kind_of_edit_is_read_back)
{
    struct why why = WHY;

    begin();
    assert_int_equal(qedit_add_header(&edit, STR("Z: last"), &why), 0);
    assert_int_equal(qedit_insert_header(&edit, 1, STR("Top: 1\n two"), &why), 0);
    assert_int_equal(qedit_replace_header(&edit, STR("subject"), 1, STR("Subject: other"), &why),
                     1);
    assert_int_equal(qedit_replace_header(&edit, STR("A"), 2, STR(""), &why), 1);
    assert_int_equal(qedit_replace_header(&edit, STR("none"), 1, STR("x: y"), &why), 0);
    assert_int_equal(qedit_add_header(&edit, STR("Z: very last"), &why), 0);
    assert_int_equal(qedit_set_sender(&edit, STR("other@y.test"), &why), 0);
    add_rcpt("three@x.test");
    assert_int_equal(qedit_drop_rcpt(&edit, first_rcpt, STR("one@x.test"), &why), 0);
    assert_int_equal(qedit_end_rcpts(&edit, qedit_begin_rcpts(&edit, &why), &why), 0); /* nobody */
    add_rcpt("four@x.test");
    replace_body("new body");
    expect(
        "S:other@y.test\n/:one@x.test\nR:two@x.test\nO:three@x.test\nR:three@x.test\n"
        "O:four@x.test\nR:four@x.test\nM:\nN:Top: 1\nN: two\nN:A: 1\nN:Subject: other\nN:Z: last\n"
        "N:Z: very last\nN:\nN:new body\nX:\nE");
    why_free(&why);
    qfile_abort(&edit.f);
}

TEST(edits_can_be_edited)
{
    struct why why = WHY;

    begin();
    for (int i = 0; i < 3; i++)
        assert_int_equal(qedit_insert_header(&edit, 1, STR("Top: x"), &why), 0);
    assert_int_equal(qedit_replace_header(&edit, STR("Top"), 2, STR("Top: y"), &why), 1);
    assert_int_equal(qedit_replace_header(&edit, STR("Top"), 1, STR(""), &why), 1);
    assert_int_equal(qedit_replace_header(&edit, STR("A"), 2, STR("A: 3"), &why), 1);
    assert_int_equal(qedit_replace_header(&edit, STR("A"), 1, STR(""), &why), 1);
    assert_int_equal(qedit_add_header(&edit, STR("B: 1"), &why), 0);
    assert_int_equal(qedit_replace_header(&edit, STR("B"), 1, STR("B: 2"), &why), 1);
    assert_int_equal(qedit_add_header(&edit, STR("C: 1"), &why), 0);
    assert_int_equal(qedit_insert_header(&edit, 99, STR("D: 1"), &why), 0);
    assert_int_equal(qedit_insert_header(&edit, 3, STR("Third: 1"), &why), 0);
    assert_int_equal(qedit_set_sender(&edit, STR(""), &why), 0);
    assert_int_equal(qedit_set_sender(&edit, STR("again@x.test"), &why), 0);
    replace_body("one");
    replace_body("two");
    expect("S:again@x.test\nR:one@x.test\nR:two@x.test\nM:\nN:Top: y\nN:Top: x\nN:Third: 1\n"
           "N:Subject: s\nN: folded\nN:A: 3\nN:B: 2\nN:C: 1\nN:D: 1\nN:\nN:two\nX:\nE");
    const char *keep = getenv("QEDIT_KEEP");
    if (keep != NULL) {
        struct buf path = BUF(200);
        queue_path(&path, Q_INCOMING, qfile_id(edit.f));
        assert_int_equal(qfile_commit(&edit.f, &why), 0);
        assert_int_equal(rename(path.p, keep), 0);
        buf_free(&path);
    } else {
        qfile_abort(&edit.f);
    }
    why_free(&why);
}

/* Shorter than a pointer, as long, longer. */
TEST(records_of_any_length_can_be_replaced)
{
    static const char text[] = "Subject: and whatever else";

    for (size_t n = 8; n < sizeof text; n++) {
        sender = subject = (struct str){text, n};
        begin();
        assert_int_equal(qedit_set_sender(&edit, STR("a@x.test"), NULL), 0);
        assert_int_equal(qedit_replace_header(&edit, STR("Subject"), 1, STR("B: 2"), NULL), 1);
        expect("S:a@x.test\nR:one@x.test\nR:two@x.test\nM:\nN:A: 1\nN:B: 2\nN:A: 2\nN:\n"
               "N:line 0 of a body that is larger than the buffer\nX:\nE");
        qfile_abort(&edit.f);
    }
    sender = subject = (struct str){0};
}

TEST(without_gaps_edits_fail)
{
    struct why why = WHY;

    begin();
    struct qedit none = {.f = edit.f};
    assert_int_equal(qedit_add_header(&none, STR("A: b"), &why), -1);
    assert_int_equal(qedit_insert_header(&none, 1, STR("A: b"), &why), -1);
    assert_int_equal(qedit_replace_header(&none, STR("A"), 1, STR("A: b"), &why), -1);
    assert_int_equal(qedit_begin_rcpts(&none, &why), -1);
    assert_int_equal(qedit_set_sender(&none, STR("a@b"), &why), -1);
    assert_int_equal(qedit_begin_body(&none, &why), -1);
    why_free(&why);
    qfile_abort(&edit.f);
}

/* Whoever reads the file must not find more pointers than it follows. */
TEST(the_number_of_edits_has_a_limit)
{
    struct why why = WHY;
    struct str text;
    int n = 0, fields = 0;
    enum rec type;

    begin();
    while (qedit_insert_header(&edit, 1, STR("Top: x"), &why) == 0)
        n++;
    assert_int_equal(n, QEDIT_MOST);
    assert_string_equal(why.code, "4.3.0");
    struct qfile *r = qfile_read_back(edit.f);
    while ((type = qfile_next(r, &text)) != REC_END) {
        assert_int_not_equal(type, REC_BAD);
        fields += type == REC_NORM && str_eqz(text, "Top: x");
    }
    assert_int_equal(fields, n);
    qfile_close(&r);
    why_free(&why);
    qfile_abort(&edit.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_edits_gaps_are_passed_over),
        T(every_kind_of_edit_is_read_back),
        T(edits_can_be_edited),
        T(records_of_any_length_can_be_replaced),
        T(without_gaps_edits_fail),
        T(the_number_of_edits_has_a_limit),
    };
    return cmocka_run_group_tests(tests, enter_queue, leave_queue);
}
