/*
 * Users in a file of lines: fields, what is missing, what is malformed, a file that changes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/passwd_file.h"
#include "auth/user.h"
#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"

#include "test.h"

TEST(fields_are_found)
{
    struct passwd_entry e;

    assert_true(passwd_line_parse(
        STR("al@ex.org:{PLAIN}pw:1000:1001:Al:/home/al:/bin/sh:userdb_mail=maildir:~/M "
            "allow_nets=10.0.0.0/8,::1 nologin=moved userdb_quota_rule=*:storage=1G other=x"),
        &e, NULL));
    assert_true(str_eqz(e.name, "al@ex.org"));
    assert_true(str_eqz(e.password, "{PLAIN}pw"));
    assert_int_equal(e.uid, 1000);
    assert_int_equal(e.gid, 1001);
    assert_true(str_eqz(e.home, "/home/al"));
    assert_true(str_eqz(e.mail, "maildir:~/M"));
    assert_true(str_eqz(e.allow_nets, "10.0.0.0/8,::1"));
    assert_true(str_eqz(e.nologin, "moved"));
    assert_true(str_eqz(e.quota_rule, "*:storage=1G"));
    assert_false(e.nopassword);

    assert_true(passwd_line_parse(STR("al::::::: nopassword\r"), &e, NULL));
    assert_true(e.nopassword);
    assert_int_equal(e.uid, USER_NOBODY);
    assert_null(e.nologin.p);
    assert_null(e.allow_nets.p);
    assert_true(passwd_line_parse(STR("al:x"), &e, NULL));
    assert_int_equal(e.home.n, 0);
    assert_true(
        passwd_line_parse(STR("al:x::::::userdb_uid=5 userdb_gid=6 userdb_home=/h"), &e, NULL));
    assert_int_equal(e.uid, 5);
    assert_int_equal(e.gid, 6);
    assert_true(str_eqz(e.home, "/h"));
}

TEST(what_is_no_user_is_refused_with_its_reason)
{
    static const struct {
        const char *line, *problem; /* null: nothing is wrong with it */
    } bad[] = {{"", NULL},
               {"\r", NULL},
               {"#al:x", NULL},
               {"al", "it has no colon after the name"},
               {":x:1:1", "it has no name"},
               {"al:x:root:1", "uid and gid must be numbers"},
               {"al:x:1:-1", "uid and gid must be numbers"},
               {"al:x:1:99999999999", "uid and gid must be numbers"},
               {"al:x::::::userdb_uid=nobody", "userdb_uid and userdb_gid must be numbers"}};
    struct passwd_entry e;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *problem = "?";
        assert_false(passwd_line_parse(strz(bad[i].line), &e, &problem));
        if (bad[i].problem == NULL)
            assert_null(problem);
        else
            assert_string_equal(problem, bad[i].problem);
    }
    assert_false(passwd_line_parse((struct str){"a\0b:x", 5}, &e, NULL));
}

TEST(limits_that_are_not_enforced_are_found)
{
    assert_true(str_eqz(passwd_line_unenforced(STR("al:x:::::: userdb_mail=maildir:/m "
                                                   "userdb_quota_rule=*:bytes=1M")),
                        "userdb_quota_rule"));
    assert_true(str_eqz(passwd_line_unenforced(STR("al:x::::::userdb_quota_rule2=x")),
                        "userdb_quota_rule2"));
    assert_true(
        str_eqz(passwd_line_unenforced(STR("al:x::::::allow_real_nets=::1")), "allow_real_nets"));
    assert_int_equal(passwd_line_unenforced(STR("al:x::::::allow_nets=::1 nologin")).n, 0);
    assert_int_equal(passwd_line_unenforced(STR("#al:x::::::userdb_quota_rule=x")).n, 0);
    assert_int_equal(passwd_line_unenforced(STR("al:x")).n, 0);
}

/* A file with that text; path is a template of mkstemp. */
static struct passwd_file *open_new(char *path, struct str text)
{
    struct why why = WHY;

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_replace(path, text, 0600, &why), 0);
    struct passwd_file *f = passwd_file_open(path, NULL, &why);
    assert_non_null(f);
    return f;
}

static struct buf told = BUF_TEXT(1000);

static void tell(const struct passwd_file *f, unsigned line, const char *problem)
{
    (void)f;
    buf_addf(&told, "%u: %s\n", line, problem);
}

TEST(problems_are_told_with_their_lines)
{
    char path[] = "/tmp/pombal-passwd-XXXXXX";
    struct str field;

    conf.auth_default_pass_scheme = "CRYPT";
    struct passwd_file *f = open_new(path, STR("# users\nal:{PLAIN}x\nbo\ncy:{NOSUCH}x\n\n"
                                               "di:{SHA256.hex}zz\nel::::::: nopassword\n"
                                               "fi:{PLAIN}x::::::userdb_quota_rule=y\n"));
    passwd_file_problems(f, tell);
    assert_string_equal(told.p,
                        "3: it has no colon after the name\n"
                        "4: unknown password scheme \"NOSUCH\"\n"
                        "6: password of scheme SHA256 is malformed or not supported here\n");
    assert_int_equal(passwd_file_unenforced(f, "", &field), 8);
    assert_true(str_eqz(field, "userdb_quota_rule"));
    assert_int_equal(passwd_file_unenforced(f, "x, userdb_quota_rule", &field), 0);
    passwd_file_close(&f);
    buf_free(&told);
    unlink(path);
}

static void expect_password(const struct passwd_file *f, const char *name, const char *password)
{
    struct passwd_entry e;

    assert_int_equal(passwd_file_find(f, strz(name), &e), password != NULL);
    if (password != NULL)
        assert_true(str_eqz(e.password, password));
}

TEST(a_changed_file_is_read_again_at_once)
{
    char path[] = "/tmp/pombal-passwd-XXXXXX";
    struct why why = WHY;

    struct passwd_file *f = open_new(path, STR("# users\n\nal:one\nbo:two\nal:three\nlast:x"));
    expect_password(f, "al", "one");
    expect_password(f, "last", "x");
    expect_password(f, "Al", NULL);
    expect_password(f, "# users", NULL);
    assert_int_equal(passwd_file_refresh(f, &why), 0);
    assert_int_equal(file_replace(path, STR("al:four\n"), 0600, &why), 0);
    assert_int_equal(passwd_file_refresh(f, &why), 1);
    expect_password(f, "al", "four");
    expect_password(f, "bo", NULL);
    unlink(path);
    assert_int_equal(passwd_file_refresh(f, &why), -1);
    passwd_file_close(&f);
    f = passwd_file_open(path, NULL, &why);
    assert_null(f);
    assert_int_equal(why.code[0], '4');
    why_free(&why);
}

TEST(a_file_that_is_written_to_in_the_same_tick_is_read_again)
{
    char path[] = "/tmp/pombal-passwd-XXXXXX";
    struct why why = WHY;

    struct passwd_file *f = open_new(path, STR("al:0\n"));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (char c = '0'; c <= '9'; c++) {
        char text[] = {c, 0};
        assert_int_equal(pwrite(fd, &c, 1, 3), 1);
        assert_true(passwd_file_refresh(f, &why) >= 0);
        expect_password(f, "al", text);
    }
    close(fd);
    passwd_file_close(&f);
    unlink(path);
    why_free(&why);
}

RUN_TESTS(T(fields_are_found), T(what_is_no_user_is_refused_with_its_reason),
          T(limits_that_are_not_enforced_are_found), T(problems_are_told_with_their_lines),
          T(a_changed_file_is_read_again_at_once),
          T(a_file_that_is_written_to_in_the_same_tick_is_read_again))
