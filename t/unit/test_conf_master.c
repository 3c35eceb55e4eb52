/*
 * master.cf: columns, defaults, arguments in braces, options, errors.
 */
#include "base/str.h"
#include "conf/conf_master.h"

#include "test.h"

static const char text[] = "# comment\n"
                           "smtp inet n - - - - smtpd\n"
                           "127.0.0.1:10025 inet n - y - 5 smtpd -v\n"
                           "  -o syslog_name=postfix/x\n"
                           "# inside\n"
                           "  -o { smtpd_client_restrictions = permit_mynetworks, reject }\n"
                           "  -oempty=\n"
                           "  -o lists=inline:{{a=5 b}},${x?{c d}}\n"
                           "pickup unix n - n 60 1 pickup\n"
                           "tlsmgr unix - - n 1000? 1 tlsmgr\n"
                           "vac unix - n n - 0 pipe flags=R user=vac argv={/usr/bin/vac x} -o y\n"
                           "postlog unix-dgram n - n - 1 postlogd\n";

TEST(services_have_columns_arguments_and_options)
{
    struct conf_master m;
    struct why why = WHY;

    if (conf_master_parse(strz(text), "master.cf", true, 100, &m, &why) < 0)
        fail_msg("%s", why_text(&why));
    assert_int_equal(m.n, 6);
    assert_true(m.at[0].chroot && m.at[0].unprivileged && !m.at[0].is_private);
    assert_int_equal(m.at[0].maxproc, 100);
    assert_int_equal(m.at[0].argc, 1);
    assert_null(m.at[0].argv[1]);

    const struct conf_service *s = &m.at[1];
    assert_int_equal(s->maxproc, 5);
    assert_int_equal(s->first_line, 3);
    assert_int_equal(s->last_line, 8);
    assert_int_equal(s->noptions, 4);
    assert_string_equal(s->options[0].name, "syslog_name");
    assert_string_equal(s->options[0].value, "postfix/x");
    assert_string_equal(s->options[1].value, "permit_mynetworks, reject");
    assert_string_equal(s->options[2].name, "empty");
    assert_string_equal(s->options[3].value, "inline:{{a=5 b}},${x?{c d}}");
    assert_string_equal(s->argv[5], "smtpd_client_restrictions = permit_mynetworks, reject");

    assert_int_equal(m.at[2].wakeup, 60);
    assert_false(m.at[2].wakeup_if_used);
    assert_true(m.at[3].wakeup_if_used && m.at[3].is_private && m.at[3].wakeup == 1000);
    assert_int_equal(m.at[4].maxproc, 0);
    assert_int_equal(m.at[4].noptions, 0);
    assert_int_equal(m.at[5].type, SERVICE_UNIX_DGRAM);
    assert_ptr_equal(conf_master_find(&m, "vac", SERVICE_UNIX), &m.at[4]);
    assert_null(conf_master_find(&m, "vac", SERVICE_INET));
    assert_true(conf_service_matches(s, STR("inet")));
    assert_true(conf_service_matches(s, STR("127.0.0.1:10025/inet")));
    assert_true(conf_service_matches(s, STR("*/inet")));
    assert_false(conf_service_matches(s, STR("smtp/inet")));
    conf_master_free(&m);
}

TEST(errors_name_line_column_and_what_is_expected)
{
    static const char *const cases[][2] = {
        {"smtp inet n - - - smtpd", "line 1: missing \"command\" column"},
        {"\nsmtp ine n - - - - smtpd", "line 2: type \"ine\": expected inet, unix"},
        {"smtp inet n - x - - smtpd", "chroot \"x\": expected y, n or -"},
        {"smtp inet n - - 1m - smtpd", "wakeup time \"1m\""},
        {"smtp inet n - - - -1 smtpd", "process limit \"-1\""},
        {"smtp inet y - - - - smtpd", "private \"y\""},
        {"smtp inet n - - - - /bin/smtpd", "command \"/bin/smtpd\""},
        {"smtp inet n - - - - smtpd -o", "-o \"\": expected name=value"},
        {"smtp inet n - - - - smtpd -o {a=b", "expected a closing }"},
        {" smtp inet n - - - - smtpd", "must not begin with a blank"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf_master m;
        struct why why = WHY;
        assert_int_equal(conf_master_parse(strz(cases[i][0]), "master.cf", true, 100, &m, &why),
                         -1);
        if (strstr(why_text(&why), cases[i][1]) == NULL)
            fail_msg("%s\ninstead of\n%s", why_text(&why), cases[i][1]);
        why_free(&why);
    }
}

RUN_TESTS(T(services_have_columns_arguments_and_options),
          T(errors_name_line_column_and_what_is_expected))
