/*
 * main.cf as a whole: values, defaults, overrides, bounds, errors that say where and what.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "conf/conf_param.h"
#include "conf/conf_snapshot.h"

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

static bool is_number(const struct conf_param *p)
{
    return p->reason == CONF_EFFECTIVE && (p->type == CONF_TYPE_INT || p->type == CONF_TYPE_TIME);
}

static int64_t value_of(const struct conf_param *p)
{
    return *(const int64_t *)((const char *)&conf + p->offset);
}

static void set_number(struct buf *text, const struct conf_param *p, int64_t value)
{
    buf_addf(text, "%s = %lld%s\n", p->name, (long long)value,
             p->type == CONF_TYPE_TIME ? "s" : "");
}

/* All parameters at once at their bound, or at the next value inside. */
static void take_all(bool high, int64_t inside)
{
    struct buf text = BUF(1 << 20);
    struct why why = WHY;

    for (size_t i = 0; i < conf_nparams; i++)
        if (is_number(&conf_params[i]))
            set_number(&text, &conf_params[i],
                       high ? conf_param_high(&conf_params[i]) - inside
                            : conf_params[i].low + inside);
    if (load(text.p, NULL, &why) < 0)
        fail_msg("%s", why_text(&why));
    for (size_t i = 0; i < conf_nparams; i++)
        if (is_number(&conf_params[i]))
            assert_int_equal(value_of(&conf_params[i]),
                             high ? conf_param_high(&conf_params[i]) - inside
                                  : conf_params[i].low + inside);
    buf_free(&text);
}

static void refuse(const struct conf_param *p, const char *value, const char *expected)
{
    struct buf text = BUF(1000);
    struct why why = WHY;

    buf_addf(&text, "%s = %s\n", p->name, value);
    if (load(text.p, NULL, &why) == 0 || strstr(why_text(&why), expected) == NULL)
        fail_msg("%s: %s", text.p, why_text(&why));
    why_free(&why);
    buf_free(&text);
}

TEST(numbers_and_times_take_their_bounds_and_no_more)
{
    char value[40];

    for (int64_t inside = 0; inside < 2; inside++) {
        take_all(false, inside);
        take_all(true, inside);
    }
    for (size_t i = 0; i < conf_nparams; i++) {
        const struct conf_param *p = &conf_params[i];
        if (!is_number(p))
            continue;
        const char *unit = p->type == CONF_TYPE_TIME ? "s" : "";
        snprintf(value, sizeof value, "%lld%s", (long long)conf_param_high(p) + 1, unit);
        refuse(p, value, "more than the maximum");
        snprintf(value, sizeof value, "%lld%s", (long long)p->low - 1, unit);
        refuse(p, value, p->low > 0 ? "less than the minimum" : *unit ? "is not" : "less than");
    }
}

TEST(what_is_no_number_or_time_is_refused)
{
    const struct conf_param *n = conf_param_find(STR("smtpd_recipient_limit"));
    const struct conf_param *t = conf_param_find(STR("smtpd_timeout"));

    refuse(n, "9223372036854775807", "more than the maximum 2147483647");
    refuse(t, "9223372036854775807s", "more than the maximum 2147483647");
    refuse(t, "3551w", "more than the maximum 2147483647"); /* in 2038 and later */
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775808",
                                      "18446744073709551617",
                                      "1 2",
                                      "0x10",
                                      "1k",
                                      "1.5",
                                      "+1",
                                      "--1",
                                      "",
                                      "15250284452472w",
                                      "99999999999999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuse(n, bad[i], "");
        refuse(t, bad[i], "");
    }
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

static void write_file(const char *name, const char *text)
{
    struct buf path = BUF(1000);

    buf_addf(&path, "%s/%s", dir, name);
    assert_int_equal(file_replace(path.p, strz(text), 0644, NULL), 0);
    buf_free(&path);
}

TEST(myorigin_may_name_a_file_whose_first_line_counts)
{
    struct why why = WHY;
    struct buf text = BUF(1000);

    write_file("mailname", " mail.example.org \nother.example.org\n");
    buf_addf(&text, "myorigin = $config_directory/mailname\nmydestination = $myorigin\n");
    assert_int_equal(load(text.p, NULL, &why), 0);
    assert_string_equal(conf.myorigin, "mail.example.org");
    assert_string_equal(conf.mydestination, "mail.example.org");
    write_file("mailname", "\nmail.example.org\n");
    assert_int_equal(load(text.p, NULL, &why), -1);
    assert_non_null(strstr(why_text(&why), "main.cf, line 1: myorigin = "));
    assert_non_null(strstr(why_text(&why), "is empty"));
    why_clear(&why);
    assert_int_equal(load("myorigin = /nonexistent/mailname\n", NULL, &why), -1);
    assert_non_null(strstr(why_text(&why), "/nonexistent/mailname"));
    assert_int_equal(load("mydestination = /nonexistent/names\n", NULL, NULL), 0);
    buf_free(&text);
    why_free(&why);
}

TEST(a_snapshot_is_read_instead_of_the_files)
{
    struct conf_snapshot one, two;
    struct why why = WHY;

    write_file("main.cf", "smtpd_timeout = 11s\n");
    write_file("master.cf", "smtp inet n - n - - smtpd\n");
    assert_int_equal(conf_snapshot_take(dir, &one, &why), 0);
    write_file("main.cf", "smtpd_timeout = 22s\nmax_idle = 1\n");
    conf_snapshot_use(one);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(conf_load(dir, NULL, NULL, &why), 0);
        assert_int_equal(conf.smtpd_timeout, 11);
    }
    assert_int_equal(conf_snapshot_take(dir, &two, &why), 0);
    conf_snapshot_use(two);
    assert_int_equal(conf_load(dir, NULL, NULL, &why), 0);
    assert_int_equal(conf.smtpd_timeout, 22);
    assert_int_not_equal(conf_snapshot_number(one), conf_snapshot_number(two));
    assert_int_equal(conf_snapshot_number(CONF_NO_SNAPSHOT), 0);
    conf_snapshot_use(CONF_NO_SNAPSHOT);
    conf_snapshot_close(&one);
    conf_snapshot_close(&two);
    assert_int_equal(conf_snapshot_take("/nonexistent", &one, &why), -1);
    why_free(&why);
}

static bool is_missing(const char *name, const char *value)
{
    return conf_missing_param(conf_param_find(strz(name)), value);
}

TEST(a_value_that_asks_for_nothing_is_not_missing)
{
    assert_int_equal(load("", NULL, NULL), 0);
    assert_true(is_missing("best_mx_transport", "local"));
    assert_false(is_missing("best_mx_transport", " "));
    assert_true(is_missing("ignore_mx_lookup_error", "yes"));
    assert_false(is_missing("ignore_mx_lookup_error", "No"));
    assert_true(is_missing("tls_wildcard_matches_multiple_labels", "no"));
    assert_false(is_missing("address_verify_map", "btree:/x")); /* no harm without verify */
    assert_false(is_missing("smtpd_banner", "x"));
}

TEST(what_is_missing_is_found_by_kind_and_name)
{
    assert_null(conf_missing_find(MISSING_PROGRAM, STR("mysql")));
    assert_null(conf_missing_find(MISSING_PROGRAM, STR("trivial-rewrite"))->effect);
    assert_non_null(conf_missing_find(MISSING_PROGRAM, STR("qmqpd"))->effect);
    assert_non_null(conf_missing_table(STR("proxy:mysql:/etc/x.cf")));
    assert_non_null(conf_missing_table(STR("ldap:x")));
    assert_null(conf_missing_table(STR("hash:/etc/aliases")));
    assert_null(conf_missing_table(STR("mysql")));
    assert_int_equal(load("pombal_accept_missing = mysql, best_mx_transport\n", NULL, NULL), 0);
    assert_true(conf_missing_accepted("mysql"));
    assert_false(conf_missing_accepted("ldap"));
}

TEST(a_fault_is_counted_and_says_where_it_is)
{
    size_t before = conf_faults();

    assert_int_equal(load("\nmynetworks = 10.1.0.0/8\nmine = x\n", NULL, NULL), 0);
    assert_int_equal(conf_line("mynetworks"), 2);
    assert_int_equal(conf_line("mine"), 3);
    assert_int_equal(conf_line("smtpd_banner"), 0);
    conf_fault("mynetworks", "bad %s", "mask");
    conf_fault("no_such_parameter", "bad");
    assert_int_equal(conf_faults(), before + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_come_from_main_cf_then_from_overrides),
        T(every_default_is_valid),
        T(stress_comes_and_goes_and_takes_along_what_refers_to_it),
        T(the_table_is_sorted_and_names_are_found),
        T(numbers_and_times_take_their_bounds_and_no_more),
        T(what_is_no_number_or_time_is_refused),
        T(errors_name_file_line_parameter_and_bound),
        T(transport_parameters_fall_back_to_their_default),
        T(lmtp_takes_its_own_values),
        T(the_environment_keeps_what_is_named),
        T(myorigin_may_name_a_file_whose_first_line_counts),
        T(a_snapshot_is_read_instead_of_the_files),
        T(a_value_that_asks_for_nothing_is_not_missing),
        T(what_is_missing_is_found_by_kind_and_name),
        T(a_fault_is_counted_and_says_where_it_is),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
