/*
 * Users in a file of lines: fields, what is missing, what is malformed, a file that changes.
 */
#include <unistd.h>

#include "auth/passwd_file.h"
#include "auth/user.h"
#include "base/file.h"
#include "base/str.h"

#include "test.h"

TEST(fields_are_found)
{
    struct passwd_entry e;

    assert_true(passwd_line_parse(
        STR("al@ex.org:{PLAIN}pw:1000:1001:Al:/home/al:/bin/sh:userdb_mail=maildir:~/M "
            "allow_nets=10.0.0.0/8,::1 nologin=moved userdb_quota_rule=*:storage=1G other=x"),
        &e));
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

    assert_true(passwd_line_parse(STR("al::::::: nopassword\r"), &e));
    assert_true(e.nopassword);
    assert_int_equal(e.uid, USER_NOBODY);
    assert_null(e.nologin.p);
    assert_null(e.allow_nets.p);
    assert_true(passwd_line_parse(STR("al:x"), &e));
    assert_int_equal(e.home.n, 0);
    assert_true(passwd_line_parse(STR("al:x::::::userdb_uid=5 userdb_gid=6 userdb_home=/h"), &e));
    assert_int_equal(e.uid, 5);
    assert_int_equal(e.gid, 6);
    assert_true(str_eqz(e.home, "/h"));
}

TEST(what_is_no_user_is_refused)
{
    static const char *const bad[] = {"",
                                      "#al:x",
                                      "al",
                                      ":x:1:1",
                                      "al:x:root:1",
                                      "al:x:1:-1",
                                      "al:x:1:99999999999",
                                      "al:x::::::userdb_uid=nobody"};
    struct passwd_entry e;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(passwd_line_parse(strz(bad[i]), &e));
    assert_false(passwd_line_parse((struct str){"a\0b:x", 5}, &e));
}

TEST(a_changed_file_is_read_again)
{
    char path[] = "/tmp/pombal-passwd-XXXXXX";
    struct passwd_entry e;
    struct why why = WHY;

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(
        file_replace(path, STR("# users\n\nal:one\nbo:two\nal:three\nlast:x"), 0600, &why), 0);
    struct passwd_file *f = passwd_file_open(path, &why);
    assert_non_null(f);
    assert_true(passwd_file_find(f, STR("al"), &e));
    assert_true(str_eqz(e.password, "one"));
    assert_true(passwd_file_find(f, STR("last"), &e));
    assert_false(passwd_file_find(f, STR("Al"), &e));
    assert_false(passwd_file_find(f, STR("# users"), &e));
    assert_int_equal(passwd_file_refresh(f, 0, &why), 0);
    assert_int_equal(file_replace(path, STR("al:four\n"), 0600, &why), 0);
    assert_int_equal(passwd_file_refresh(f, 500, &why), 0); /* not yet */
    assert_int_equal(passwd_file_refresh(f, 1500, &why), 1);
    assert_true(passwd_file_find(f, STR("al"), &e));
    assert_true(str_eqz(e.password, "four"));
    assert_false(passwd_file_find(f, STR("bo"), &e));
    unlink(path);
    assert_int_equal(passwd_file_refresh(f, 3000, &why), -1);
    assert_true(passwd_file_find(f, STR("al"), &e));
    passwd_file_close(&f);
    f = passwd_file_open(path, &why);
    assert_null(f);
    assert_int_equal(why.code[0], '4');
    why_free(&why);
}

RUN_TESTS(T(fields_are_found), T(what_is_no_user_is_refused), T(a_changed_file_is_read_again))
