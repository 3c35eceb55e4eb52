/*
 * A mailbox that a real Dovecot 2.3.19 left: numbers, flags, keywords and subscriptions are the
 * ones that Dovecot showed.
 */
#include "store_test.h"

static void copy_fixture(void)
{
    char command[200];

    snprintf(command, sizeof command, "cp -r t/data/dovecot-maildir/. %s", root);
    assert_int_equal(system(command), 0);
}

/* "1(S)30 ..." : uid, flags, keywords, size */
static const char *show(struct mailbox *b)
{
    static struct buf out = BUF(10000);
    struct why why = WHY;
    uint64_t size;

    buf_setz(&out, "");
    for (uint32_t n = 1; n <= mailbox_count(b); n++) {
        const struct msg *m = mailbox_msg(b, n);
        assert_int_equal(mailbox_size(b, n, &size, &why), 0);
        buf_addf(&out, "%s%u(", n > 1 ? " " : "", m->uid);
        for (int i = 0; i < 5; i++)
            if (m->flags & 1u << i)
                buf_addc(&out, "SAFTD"[i]);
        for (uint32_t i = 0; i < mailbox_keyword_count(b); i++)
            if (m->keywords >> i & 1)
                buf_addf(&out, " %.*s", (int)mailbox_keyword(b, i).n, mailbox_keyword(b, i).p);
        buf_addf(&out, ")%d", (int)size);
    }
    return out.p;
}

TASK_TEST(dovecots_mailbox_looks_as_dovecot_showed_it)
{
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct folder_list l;

    copy_fixture();
    struct store *s = open_store();
    struct mailbox *b = open_box(s, "INBOX");
    assert_int_equal(mailbox_uidvalidity(b), 1795402539);
    assert_int_equal(mailbox_uidnext(b), 10);
    assert_string_equal(show(b), "1(S)30 2(S)30 3(AF)30 4(D $Forwarded)30 5(S $Forwarded Later)30 "
                                 "7()30 8(S)30 9()30");
    mailbox_close(&b);
    b = open_box(s, "Work.Projects");
    assert_int_equal(mailbox_uidvalidity(b), 1795402540);
    assert_int_equal(mailbox_uidnext(b), 6);
    assert_string_equal(show(b), "1( Urgent)32 3(S)32 4(S)30 5(AF)30");
    mailbox_close(&b);
    assert_int_equal(store_list(s, mem, true, &l, &why), 0);
    assert_int_equal(l.n, 5);
    assert_true(str_eqz(l.at[0].name, "INBOX") && l.at[0].attrs == FOLDER_SUBSCRIBED);
    assert_true(str_eqz(l.at[1].name, "Entw&APw-rfe"));
    assert_string_equal(l.at[2].special_use, "\\Sent");
    assert_int_equal(l.at[3].attrs, FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
    assert_int_equal(l.at[4].attrs, FOLDER_SUBSCRIBED);
    arena_free(&mem);
    store_close(&s);
}

RUN_TESTS(TS(dovecots_mailbox_looks_as_dovecot_showed_it))
