/*
 * From a login name to ids and directories: expansion, and what is refused.
 */
#include <unistd.h>

#include "auth/user.h"
#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

#include "test.h"

static void defaults(void)
{
    conf =
        (struct conf){.auth_username_chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "01234567890.-_@",
                      .auth_default_realm = "",
                      .auth_username_format = "%Lu",
                      .mail_location = "maildir:~/Maildir",
                      .mail_uid = "",
                      .mail_gid = "",
                      .first_valid_uid = 500,
                      .first_valid_gid = 1};
}

TEST(names_are_brought_into_the_form_of_the_tables)
{
    static const struct {
        const char *format, *realm, *given, *name; /* name null: refused */
    } cases[] = {
        {"%Lu", "", "Alice", "alice"},
        {"%Lu", "example.org", "Alice", "alice@example.org"},
        {"%Lu", "example.org", "Alice@Other.example", "alice@other.example"},
        {"%Ln", "", "Alice@Example.org", "alice"},
        {"%n", "", "Alice@Example.org", "Alice"},
        {"", "", "Alice@x", "Alice@x"},
        {"%Ln-%Ud", "", "Al@x.y", "al-X.Y"},
        {"%Lu", "", "", NULL},
        {"%Lu", "", "@example.org", NULL},
        {"%Lu", "", "a b", NULL},
        {"%Lu", "", "a/b", NULL},
        {"%Lu", "", "a:b", NULL},
        {"%Lu", "", "a*", NULL},
        {"%d", "", "alice", NULL},
        {"%Lx", "", "alice", NULL},
        {"%h", "", "alice", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf name = BUF(400);
        defaults();
        conf.auth_username_format = cases[i].format;
        conf.auth_default_realm = cases[i].realm;
        int r = user_normalise(strz(cases[i].given), &name, NULL);
        assert_int_equal(r, cases[i].name == NULL ? -1 : 0);
        if (cases[i].name != NULL)
            assert_string_equal(name.p, cases[i].name);
        buf_free(&name);
    }
}

TEST(the_mail_directory_is_expanded_and_checked)
{
    static const struct {
        const char *name, *home, *mail, *dir; /* dir null: refused */
    } cases[] = {
        {"alice", "/home/alice", "", "/home/alice/Maildir"},
        {"alice", "/home/alice", "maildir:~/mail/", "/home/alice/mail"},
        {"al@ex.org", "", "maildir:/m/%d/%n", "/m/ex.org/al"},
        {"al@ex.org", "/h", "maildir:%h/%u:INDEX=/x", "/h/al@ex.org"},
        {"alice", "", "maildir:/m/100%%/%u", "/m/100%/alice"},
        {"alice", "", "", NULL}, /* ~ without a home */
        {"alice", "/h", "mbox:~/mail", NULL},
        {"alice", "/h", "maildir:mail", NULL},
        {"..", "/h", "maildir:/m/%n", NULL},
        {".", "/h", "maildir:/m/%n", NULL},
        {"alice", "/h/..", "maildir:/m/%n", NULL},
        {"alice", "h", "maildir:/m/%n", NULL},
        {"alice", "/h", "maildir:/m/%z", NULL},
        {"alice", "/h", "maildir:/m/../x", NULL},
        {"alice", "/h", "maildir:/m\n/x", NULL},
    };
    struct user_rules rules = {.uid = 1000, .gid = 1000};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *mem = arena_new(NULL);
        struct user u = {.name = cases[i].name,
                         .uid = USER_NOBODY,
                         .gid = USER_NOBODY,
                         .home = cases[i].home,
                         .mail = cases[i].mail,
                         .quota_rule = ""};
        defaults();
        int r = user_complete(&u, &rules, mem, NULL);
        assert_int_equal(r, cases[i].dir == NULL ? -1 : 0);
        if (r == 0) {
            assert_true(str_eqz(user_maildir(&u), cases[i].dir));
            assert_int_equal(u.uid, 1000);
        }
        arena_free(&mem);
    }
}

TEST(ids_must_be_in_the_valid_range)
{
    static const struct {
        uid_t uid, gid, default_uid, default_gid;
        int result;
    } cases[] = {
        {1000, 1000, USER_NOBODY, USER_NOBODY, 0},
        {USER_NOBODY, USER_NOBODY, 600, 7, 0},
        {USER_NOBODY, 1000, USER_NOBODY, 1000, -1},
        {1000, USER_NOBODY, 1000, USER_NOBODY, -1},
        {0, 1000, 1000, 1000, -1},
        {1000, 0, 1000, 1000, -1},
        {499, 1000, 1000, 1000, -1},
        {70000, 1000, 1000, 1000, -1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *mem = arena_new(NULL);
        struct user_rules rules = {.uid = cases[i].default_uid, .gid = cases[i].default_gid};
        struct user u = {.name = "u",
                         .uid = cases[i].uid,
                         .gid = cases[i].gid,
                         .home = "/h",
                         .mail = "",
                         .quota_rule = ""};
        defaults();
        conf.last_valid_uid = 60000;
        assert_int_equal(user_complete(&u, &rules, mem, NULL), cases[i].result);
        rules.ignore_ids = true; /* not root: everybody is who we are */
        u.mail = "";
        assert_int_equal(user_complete(&u, &rules, mem, NULL), 0);
        assert_int_equal(u.uid, geteuid());
        arena_free(&mem);
    }
}

TEST(a_name_is_not_taken_without_its_realm)
{
    char realm[2000];
    struct buf name = BUF(5000);

    defaults();
    memset(realm, 'r', sizeof realm);
    realm[sizeof realm - 1] = 0;
    conf.auth_default_realm = realm;
    assert_int_equal(user_normalise(STR("tim"), &name, NULL), -1);
    buf_free(&name);
    defaults();
}

RUN_TESTS(T(a_name_is_not_taken_without_its_realm),
          T(names_are_brought_into_the_form_of_the_tables),
          T(the_mail_directory_is_expanded_and_checked), T(ids_must_be_in_the_valid_range))
