#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "service/client_count.h"
#include "service/client_inside.h"
#include "service/jail_parts.h"
#include "task/task.h"

#include "test.h"

enum { UNIT_MS = 600000 };
static int memory = -1;

static struct addr address(const char *text)
{
    struct addr a;

    assert_true(addr_parse(strz(text), &a));
    return a;
}

static struct client_rate *enter(const char *text)
{
    struct addr a = address(text);
    return client_rate_enter(&a);
}

/* An event in a session of its own. */
static int64_t once(const char *text, enum client_event event)
{
    struct client_rate *r = enter(text);
    int64_t n = client_rate_add(r, event);

    client_rate_leave(&r);
    assert_null(r);
    return n;
}

TEST(each_event_of_a_network_has_its_rate)
{
    assert_int_equal(once("192.0.2.1", CLIENT_CONNECTS), 1);
    assert_int_equal(once("192.0.2.1", CLIENT_CONNECTS), 2);
    assert_int_equal(once("192.0.2.1", CLIENT_MESSAGES), 1);
    assert_int_equal(once("192.0.2.2", CLIENT_CONNECTS), 1);
    assert_int_equal(once("2001:db8:1::1", CLIENT_CONNECTS), 1);
    assert_int_equal(once("2001:db8:1::fff:ffff:ffff", CLIENT_CONNECTS), 2);
    assert_int_equal(once("2001:db8:1:1::1", CLIENT_CONNECTS), 1);
    struct client_rate *r = enter("192.0.2.1");
    assert_int_equal(client_rate_look(r, CLIENT_CONNECTS), 2);
    assert_int_equal(client_rate_look(r, CLIENT_LOGINS), 0);
    client_rate_leave(&r);
}

TEST(all_begin_anew_when_the_time_is_over)
{
    struct client_rate *r = enter("192.0.2.3");

    client_rate_add(r, CLIENT_MESSAGES);
    client_rate_add(r, CLIENT_RECIPIENTS);
    r->since_ms -= UNIT_MS + 1;
    assert_int_equal(client_rate_look(r, CLIENT_MESSAGES), 0);
    assert_int_equal(client_rate_add(r, CLIENT_RECIPIENTS), 1);
    assert_int_equal(client_rate_look(r, CLIENT_MESSAGES), 0);
    r->since_ms = INT64_MAX; /* what no process of ours writes */
    assert_int_equal(client_rate_add(r, CLIENT_RECIPIENTS), 1);
    client_rate_leave(&r);
}

/* Those without a session make room, the oldest first; where all have one nobody is let in. */
TEST(a_full_memory_lets_nobody_pass_a_limit)
{
    enum { MANY = 40000 };
    static struct client_rate *held[MANY];
    struct client_rate *first = enter("192.0.2.4");
    int refused = 0, n;
    char text[40];

    client_rate_add(first, CLIENT_MESSAGES);
    for (n = 0; n < MANY; n++) {
        snprintf(text, sizeof text, "10.%d.%d.1", n >> 8, n & 255);
        once(text, CLIENT_CONNECTS);
    }
    assert_int_equal(client_rate_look(first, CLIENT_MESSAGES), 1); /* it has a session */
    for (n = 0; n < MANY; n++) {
        snprintf(text, sizeof text, "10.%d.%d.2", n >> 8, n & 255);
        held[n] = enter(text);
        refused += held[n] == NULL;
        if (held[n] == NULL)
            assert_int_equal(client_rate_add(held[n], CLIENT_CONNECTS), INT64_MAX);
    }
    assert_in_range(refused, MANY - CLIENT_RATES, MANY - CLIENT_RATES / 2);
    for (n = 0; n < MANY; n++)
        client_rate_leave(&held[n]);
    assert_int_equal(once("10.1.1.3", CLIENT_CONNECTS), 1);
    client_rate_leave(&first);
}

TEST(networks_are_counted_until_they_are_forgotten)
{
    struct client_part *own = client_part_own();
    int64_t since;

    assert_in_range(client_rate_networks(&since), 1, CLIENT_RATES);
    struct client_rate *r = enter("192.0.2.5");
    for (int i = 0; i < CLIENT_RATES; i++)
        own->rates[i].since_ms = 0;
    client_rate_networks(&since);
    assert_int_equal(client_rate_networks(&since), task_now() > UNIT_MS ? 1 : CLIENT_RATES);
    assert_true(since > 0);
    client_rate_leave(&r);
}

/* ---- several processes */

static void give(int part, uint32_t limit)
{
    off_t at = (off_t)part * (off_t)sizeof limit;

    assert_int_equal(pwrite(memory, &limit, sizeof limit, at), sizeof limit);
}

/* The status of a child that is another process of the service. */
static int other_process(int part, int (*run)(void))
{
    int status;

    give(part, 10);
    pid_t pid = fork();
    if (pid == 0) {
        munmap(client_part_own(), SPAWN_PART_SIZE);
        client_count_share(memory, part, 10);
        client_rate_open(UNIT_MS);
        _exit(run());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int add_three(void)
{
    once("192.0.2.6", CLIENT_LOGINS);
    once("192.0.2.6", CLIENT_LOGINS);
    return (int)once("192.0.2.6", CLIENT_LOGINS);
}

TEST(what_all_processes_count_is_one_rate)
{
    assert_int_equal(other_process(1, add_three), 3);
    assert_int_equal(once("192.0.2.6", CLIENT_LOGINS), 4);
    assert_int_equal(other_process(2, add_three), 7);
    give(1, SPAWN_PART_ENDED); /* what it has counted holds */
    assert_int_equal(once("192.0.2.6", CLIENT_LOGINS), 8);
    assert_int_equal(other_process(1, add_three), 11); /* its successor goes on */
    give(2, SPAWN_PART_UNUSED);
    assert_int_equal(once("192.0.2.6", CLIENT_LOGINS), 9);
}

static int before = 0;
static int64_t since(void)
{
    struct client_rate *r = enter("192.0.2.7");
    client_rate_add(r, CLIENT_LOGINS);
    r->since_ms -= before;
    return r->since_ms;
}

static int is_later(void)
{
    int64_t others = since();
    return others > task_now() - before;
}

/* So no client gets more by coming to one process first and to another one later. */
TEST(all_processes_begin_anew_at_the_same_time)
{
    before = UNIT_MS / 2;
    int64_t mine = since();
    before = 0;
    assert_true(mine < task_now());
    assert_int_equal(other_process(3, is_later), 0);
}

static int share(void **unused)
{
    (void)unused;
    memory = memfd_create("clients", MFD_CLOEXEC);
    assert_true(memory >= 0 && ftruncate(memory, SPAWN_CLIENTS_SIZE) == 0);
    give(0, 5);
    client_count_share(memory, 0, 5);
    client_rate_open(UNIT_MS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest alone[] = {T(each_event_of_a_network_has_its_rate),
                                       T(all_begin_anew_when_the_time_is_over),
                                       T(a_full_memory_lets_nobody_pass_a_limit),
                                       T(networks_are_counted_until_they_are_forgotten)};
    const struct CMUnitTest several[] = {T(what_all_processes_count_is_one_rate),
                                         T(all_processes_begin_anew_at_the_same_time)};

    client_count_open(32, 84);
    client_rate_open(UNIT_MS);
    int failed = cmocka_run_group_tests(alone, NULL, NULL);
    if (jail_is_valgrind()) /* its own memory may be where the part must be */
        return failed;
    return failed + cmocka_run_group_tests(several, share, NULL);
}
