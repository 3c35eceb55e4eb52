/* Who may write what into the log. */
#include "base/buf.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/log_line.h"

#include "test.h"

static bool is_daemon(struct str program)
{
    return str_eqz(program, "smtpd") || str_eqz(program, "imap") || str_eqz(program, "cleanup") ||
           str_eqz(program, "qmgr");
}

/* Of the processes that cleanup speaks for. */
static void find_program(pid_t pid, char *name, size_t room)
{
    snprintf(name, room, "%s", pid == 9 ? "smtpd" : pid == 10 ? "pickup" : pid == 1 ? "init" : "");
}

static const struct log_rules rules = {is_daemon, find_program};

TEST(a_line_is_logged_as_it_is_only_in_the_name_of_its_sender)
{
    static const struct {
        const char *line, *logged; /* null: as it is */
        struct log_sender from;
    } rows[] = {
        {"postfix/smtpd[7]: connect", NULL, {7, 100, true, "smtpd"}},
        {"postfix/submission/smtpd[7]: connect", NULL, {7, 100, true, "smtpd"}},
        {"postfix/smtpd[7]: ended meanwhile", NULL, {7, 100, true, ""}},
        /* A name longer than the kernel keeps. */
        {"postfix/a-program-of-many-letters[7]: x", NULL, {7, 100, true, "a-program-of-ma"}},

        {"postfix/smtpd[8]: another process", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"postfix/qmgr[7]: another program", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"no name", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"[7]: no name", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"a b[7]: a name with a blank", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"a: b/smtpd[7]: two names", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"postfix/smtpd[07x]: no number", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},
        {"postfix/smtpd[7] no colon", "smtpd[7]: uid 100 says: ", {7, 100, true, "smtpd"}},

        /* cleanup knows the queue id of what came by these two. */
        {"postfix/smtpd[9]: ID: client=x", NULL, {7, 100, true, "cleanup"}},
        {"postfix/pickup[10]: ID: uid=0", NULL, {7, 100, true, "cleanup"}},
        {"postfix/smtpd[11]: ended", NULL, {7, 100, true, "cleanup"}},
        {"postfix/smtpd[10]: another", "cleanup[7]: uid 100 says: ", {7, 100, true, "cleanup"}},
        {"postfix/smtpd[1]: another", "cleanup[7]: uid 100 says: ", {7, 100, true, "cleanup"}},
        {"postfix/qmgr[9]: ID: removed", "cleanup[7]: uid 100 says: ", {7, 100, true, "cleanup"}},
        {"postfix/smtpd[9]: x", "cleanup[7]: uid 1000 says: ", {7, 1000, false, "cleanup"}},

        /* By the public socket: tools, and whoever calls himself by a name that is nobody's. */
        {"postfix/sendmail[7]: fatal", NULL, {7, 1000, false, "sendmail"}},
        {"mine[7]: x", NULL, {7, 1000, false, "postlog"}},
        {"postfix/smtpd[7]: x", "smtpd[7]: uid 1000 says: ", {7, 1000, false, "smtpd"}},
        {"dovecot[7]: imap-login: x", "x[7]: uid 1000 says: ", {7, 1000, false, "x"}},
        {"dovecot[7]: imap-login: x", NULL, {7, 0, false, "x"}},
        {"imap[7]: x", "unknown[7]: uid 1000 says: ", {7, 1000, false, ""}},
        {"mine[8]: x", "postlog[7]: uid 1000 says: ", {7, 1000, false, "postlog"}},
        {"postfix/smtpd[7]: root may", NULL, {7, 0, false, "postlog"}},
        {"x[1]: another namespace", "unknown[0]: uid 1000 says: ", {0, 1000, false, ""}},
    };

    conf.login_syslog_name = "dovecot";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_TEXT(4000), expected = BUF_TEXT(4000);
        log_line_check(strz(rows[i].line), &rows[i].from, &rules, &out);
        if (rows[i].logged != NULL)
            buf_addz(&expected, rows[i].logged);
        buf_addz(&expected, rows[i].line);
        assert_string_equal(out.p, expected.p);
        buf_free(&out);
        buf_free(&expected);
    }
}

TEST(of_a_line_without_brackets_nothing_behind_it_is_read)
{
    struct log_sender from = {7, 100, true, "smtpd"};
    struct buf out = BUF_TEXT(4000);
    char *digit = malloc(1);

    *digit = '7';
    log_line_check((struct str){digit, 1}, &from, &rules, &out);
    assert_string_equal(out.p, "smtpd[7]: uid 100 says: 7");
    free(digit);
    buf_free(&out);
}

TEST(a_line_is_cleaned_and_cut)
{
    struct log_sender from = {7, 100, true, "smtpd"};
    struct buf line = BUF(10000), out = BUF_TEXT(4000);

    buf_addz(&line, "postfix/smtpd[7]: a\rb\x01 ");
    for (int i = 0; i < 5000; i++)
        buf_addc(&line, 'x');
    log_line_check(buf_str(&line), &from, &rules, &out);
    assert_true(str_starts(buf_str(&out), STR("postfix/smtpd[7]: a?b? xxx")));
    assert_int_equal(out.n, 2000);
    buf_free(&line);
    buf_free(&out);
}

TEST(the_name_of_a_process)
{
    assert_true(log_name_is(STR("postfix/submission/smtpd[7]"), "smtpd", 7));
    assert_true(log_name_is(STR("smtpd[7]"), "smtpd", 7));
    assert_false(log_name_is(STR("smtpd[7]"), "smtpd", 8));
    assert_false(log_name_is(STR("smtpd[7]"), "pickup", 7));
    assert_false(log_name_is(STR("smtpd[7]: x"), "smtpd", 7));
    assert_false(log_name_is(STR("a b/smtpd[7]"), "smtpd", 7));
    assert_false(log_name_is(STR("smtpd"), "smtpd", 7));
}

RUN_TESTS(T(a_line_is_logged_as_it_is_only_in_the_name_of_its_sender),
          T(of_a_line_without_brackets_nothing_behind_it_is_read), T(a_line_is_cleaned_and_cut),
          T(the_name_of_a_process))
