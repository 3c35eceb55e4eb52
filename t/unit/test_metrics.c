#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/metrics.h"

#include "test.h"

TEST(counters_are_found_by_name_and_shared_by_file)
{
    int fd = memfd_create("metrics", MFD_CLOEXEC);
    static struct metrics_page raw, seen;

    assert_int_equal(ftruncate(fd, 4 * METRICS_PAGE), 0);
    metrics_open(fd, 2, "submission", "smtpd");
    ++*metrics_counter("mails");
    ++*metrics_counter("mails");
    ++*metrics_counter("rejects");
    assert_int_equal(pread(fd, &raw, sizeof raw, 2 * METRICS_PAGE), sizeof raw);
    assert_true(metrics_copy(&raw, &seen));
    assert_string_equal(seen.service, "submission");
    assert_string_equal(seen.program, "smtpd");
    assert_int_equal(seen.pid, getpid());
    assert_int_equal(seen.ncounters, 2);
    assert_string_equal(seen.counters[0].name, "mails");
    assert_int_equal(seen.counters[0].value, 2);
    assert_int_equal(pread(fd, &raw, sizeof raw, METRICS_PAGE), sizeof raw);
    assert_false(metrics_copy(&raw, &seen));
    close(fd);
}

TEST(more_counters_than_the_page_holds_do_no_harm)
{
    char name[20];

    for (int i = 0; i < 2 * METRICS_COUNTERS; i++) {
        snprintf(name, sizeof name, "counter_%d", i);
        ++*metrics_counter(name);
    }
    assert_int_equal(metrics_mine()->ncounters, METRICS_COUNTERS);
}

TEST(a_hostile_page_is_made_harmless)
{
    static struct metrics_page bad, seen;

    memset(&bad, 'A', sizeof bad);
    assert_false(metrics_copy(&bad, &seen)); /* wrong version */
    bad.version = METRICS_VERSION;
    bad.pid = 7;
    bad.service[3] = '\n';
    assert_true(metrics_copy(&bad, &seen));
    assert_int_equal(seen.ncounters, METRICS_COUNTERS);
    assert_int_equal(strlen(seen.service), sizeof seen.service - 1);
    assert_int_equal(seen.service[3], '?');
    assert_int_equal(strlen(seen.counters[METRICS_COUNTERS - 1].name), METRICS_NAME - 1);
}

TEST(the_worst_of_forked_processes_is_told)
{
    int status;

    metrics_worst(2000, 1000, 300);
    pid_t child = fork();
    if (child == 0) {
        metrics_forked();
        metrics_worst(1000, 7000, 200);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    metrics_worst(1, 1, 1);
    assert_int_equal(metrics_mine()->longest_turn_us, 2000);
    assert_int_equal(metrics_mine()->longest_turn_cpu_us, 7000);
    assert_int_equal(metrics_mine()->stack_used, 300);
}

RUN_TESTS(T(counters_are_found_by_name_and_shared_by_file),
          T(more_counters_than_the_page_holds_do_no_harm), T(a_hostile_page_is_made_harmless),
          T(the_worst_of_forked_processes_is_told))
