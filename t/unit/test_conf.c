/*
 * main.cf as a whole: values, defaults, overrides, bounds, errors that say where and what.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_param.h"

#include "test.h"

static char dir[] = "/tmp/test_conf.XXXXXX";

static int load(const char *text, const char *const *overrides, struct why *why)
{
    struct buf path = BUF(1000);

    buf_addf(&path, "%s/main.cf", dir);
    assert_int_equal(file_replace(path.p, strz(text), 0644, why), 0);
    buf_free(&path);
    return conf_load(dir, "smtp", overrides, why);
}

static int prepare(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int clean(void **state)
{
    (void)state;
    conf_unload();
    return file_remove_all(dir);
}

TEST(values_come_from_main_cf_then_from_overrides)
{
    static const char *const overrides[] = {"smtpd_timeout=2m", "mine = $mail_name", NULL};

    assert_int_equal(load("compatibility_level = 3.6\nmyhostname = mx.example.org\n"
                          "smtpd_timeout = 10s\nqueue_run_delay = 7\nmynetworks = 10.0.0.0/8\n"
                          "maximal_queue_lifetime = 2\nsmtpd_helo_required = Yes\n"
                          "luser_relay = $user@x\nmydestination = $myhostname,\n  localhost\n",
                          overrides, NULL),
                     0);
    assert_int_equal(conf.smtpd_timeout, 120);
    assert_int_equal(conf.queue_run_delay, 7);
    assert_int_equal(conf.maximal_queue_lifetime, 2 * 86400);
    assert_true(conf.smtpd_helo_required);
    assert_false(conf.append_dot_mydomain);
    assert_string_equal(conf.mydomain, "example.org");
    assert_string_equal(conf.luser_relay, "$user@x");
    assert_string_equal(conf.mydestination, "mx.example.org,  localhost");
    assert_string_equal(conf_find("mine"), "Postfix");
    assert_string_equal(conf_find("service_name"), "smtp");
    assert_null(conf_find("no_such"));
    assert_true(conf_is_set("smtpd_timeout"));
    assert_false(conf_is_set("smtpd_recipient_limit"));
}

TEST(every_default_is_valid)
{
    struct why why = WHY;

    if (load("", NULL, &why) < 0)
        fail_msg("%s", why_text(&why));
    assert_true(conf.append_dot_mydomain);
    assert_int_equal(conf.smtpd_timeout, 300);
    assert_int_equal(load("stress = yes\n", NULL, NULL), 0);
    assert_int_equal(conf.smtpd_timeout, 10);
}

TEST(stress_comes_and_goes_and_takes_along_what_refers_to_it)
{
    assert_int_equal(load("smtpd_banner = ${stress?{busy}:{idle}}\nmine = ${stress?{7}:{8}}\n"
                          "smtpd_soft_error_limit = $mine\n",
                          NULL, NULL),
                     0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(conf.smtpd_timeout, 300);
        assert_int_equal(conf.smtpd_hard_error_limit, 20);
        assert_int_equal(conf.smtpd_soft_error_limit, 8);
        assert_string_equal(conf.smtpd_banner, "idle");
        conf_set_stress(true);
        assert_int_equal(conf.smtpd_timeout, 10);
        assert_int_equal(conf.smtpd_hard_error_limit, 1);
        assert_int_equal(conf.smtpd_soft_error_limit, 7);
        assert_string_equal(conf.smtpd_banner, "busy");
        assert_string_equal(conf_find("stress"), "yes");
        conf_set_stress(false);
    }
    static const char *const never[] = {"stress=", NULL};
    assert_int_equal(load("", never, NULL), 0); /* the administrator does not want it */
    conf_set_stress(true);
    assert_int_equal(conf.smtpd_timeout, 300);
}

TEST(the_table_is_sorted_and_names_are_found)
{
    for (size_t i = 0; i < conf_nparams; i++)
        if (conf_param_find(strz(conf_params[i].name)) != &conf_params[i])
            fail_msg("%s is not where the order of its name wants it", conf_params[i].name);
    assert_null(conf_param_find(STR("smtpd_timeou")));
}

TEST(errors_name_file_line_parameter_and_bound)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"a = 1\nsmtpd_timeout = 5x\n", "/main.cf, line 2: smtpd_timeout = 5x: \"5x\" is not a "
                                        "time: a number and one of s m h d w"},
        {"smtpd_timeout = 0\n", "/main.cf, line 1: smtpd_timeout = 0: less than the minimum 1"},
        {"delay_logging_resolution_limit=7",
         "delay_logging_resolution_limit = 7: more than the maximum 6"},
        {"smtpd_helo_required = maybe", "\"maybe\" is neither yes nor no"},
        {"myhostname =", "myhostname = : must not be empty"},
        {"x\n",
         "/main.cf, line 1: missing '=' after attribute name: \"x\"; a line is: name = value"},
        {"myorigin = $mydestination\nmydestination = $myorigin\n", "refers to itself"},
        {"myorigin = ${x", "truncated macro reference at: \"${x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct why why = WHY;
        assert_int_equal(load(cases[i].text, NULL, &why), -1);
        if (strstr(why_text(&why), cases[i].expected) == NULL)
            fail_msg("%s\ninstead of\n%s", why_text(&why), cases[i].expected);
        why_free(&why);
    }
}

TEST(transport_parameters_fall_back_to_their_default)
{
    assert_int_equal(load("relay_destination_concurrency_limit = $foo\nfoo = 7\n"
                          "slow_destination_rate_delay = 2m\n",
                          NULL, NULL),
                     0);
    assert_int_equal(conf_int_of("relay", "_destination_concurrency_limit", 20), 7);
    assert_int_equal(conf_int_of("smtp", "_destination_concurrency_limit", 20), 20);
    assert_int_equal(conf_int_of("local", "_destination_concurrency_limit", 20), 2);
    assert_int_equal(conf_time_of("slow", "_destination_rate_delay", 0), 120);
    assert_string_equal(conf_find("smtp_destination_concurrency_limit"), "20");
}

TEST(lmtp_takes_its_own_values)
{
    assert_int_equal(
        load("lmtp_connect_timeout = 3s\nlmtp_lhlo_name = me\nsmtp_helo_name = you\n", NULL, NULL),
        0);
    assert_string_equal(conf.smtp_helo_name, "you");
    conf_use_lmtp();
    assert_string_equal(conf.smtp_helo_name, "me");
    assert_int_equal(conf.smtp_connect_timeout, 3);
}

TEST(the_environment_keeps_what_is_named)
{
    assert_int_equal(load("import_environment = TZ {XYZ = a b} LANG=C\n", NULL, NULL), 0);
    setenv("TZ", "UTC", 1);
    setenv("EVIL", "1", 1);
    conf_clean_environment();
    assert_string_equal(getenv("TZ"), "UTC");
    assert_string_equal(getenv("XYZ"), "a b");
    assert_string_equal(getenv("LANG"), "C");
    assert_null(getenv("EVIL"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_come_from_main_cf_then_from_overrides),
        T(every_default_is_valid),
        T(stress_comes_and_goes_and_takes_along_what_refers_to_it),
        T(the_table_is_sorted_and_names_are_found),
        T(errors_name_file_line_parameter_and_bound),
        T(transport_parameters_fall_back_to_their_default),
        T(lmtp_takes_its_own_values),
        T(the_environment_keeps_what_is_named),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
