#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "service/client_count.h"
#include "service/jail_parts.h"
#include "service/spawned.h"

#include "test.h"

static struct addr address(const char *text)
{
    struct addr a;

    assert_true(addr_parse(strz(text), &a));
    return a;
}

TEST(each_address_has_its_count)
{
    struct addr a = address("192.0.2.1"), b = address("2001:db8::1");
    int64_t all;

    struct client_count *one = client_count_add(&a, &all);
    assert_int_equal(all, 1);
    struct client_count *two = client_count_add(&a, &all);
    assert_int_equal(all, 2);
    struct client_count *other = client_count_add(&b, &all);
    assert_int_equal(all, 1);
    client_count_drop(&one);
    assert_null(one);
    client_count_drop(&one);
    one = client_count_add(&a, &all);
    assert_int_equal(all, 2);
    client_count_drop(&one);
    client_count_drop(&two);
    client_count_drop(&other);
    one = client_count_add(&a, &all);
    assert_int_equal(all, 1);
    client_count_drop(&one);
}

TEST(a_network_is_one_client)
{
    struct addr a = address("2001:db8:1::1"), same = address("2001:db8:1::fff:ffff:ffff"),
                other = address("2001:db8:1:1::1");
    int64_t all;

    struct client_count *one = client_count_add(&a, &all), *two = client_count_add(&same, &all);
    assert_int_equal(all, 2);
    struct client_count *three = client_count_add(&other, &all);
    assert_int_equal(all, 1);
    client_count_drop(&one);
    client_count_drop(&two);
    client_count_drop(&three);
}

TEST(what_finds_no_place_is_not_let_in)
{
    enum { MANY = 20000 };
    static struct client_count *counts[MANY];
    struct addr a = address("192.0.2.3");
    int64_t all;
    int n = 0;

    while (n < MANY && (counts[n] = client_count_add(&a, &all)) != NULL)
        assert_int_equal(all, ++n);
    assert_in_range(n, 10001, MANY - 1); /* what sessions_per_process may be, and one */
    assert_int_equal(all, INT64_MAX);
    client_count_drop(&counts[5]);
    counts[5] = client_count_add(&a, &all);
    assert_int_equal(all, n);
    while (n > 0)
        client_count_drop(&counts[--n]);
    counts[0] = client_count_add(&a, &all);
    assert_int_equal(all, 1);
    client_count_drop(&counts[0]);
}

/* ---- several processes */

static int memory = -1;

static void give(int part, uint32_t limit)
{
    off_t at = SPAWN_PARTS_AT + (off_t)part * SPAWN_PART_SIZE;
    uint32_t none = 0;

    assert_int_equal(pwrite(memory, &none, sizeof none, at), sizeof none);
    at = (off_t)part * (off_t)sizeof limit;
    assert_int_equal(pwrite(memory, &limit, sizeof limit, at), sizeof limit);
}

static void *own_part(void)
{
    return (void *)(uintptr_t)JAIL_CLIENTS_AT; // NOLINT: see jail_parts.h
}

/* The status of a child that is another process of the service. */
static int other_process(int part, uint32_t limit, int (*run)(void))
{
    int status;

    give(part, limit);
    pid_t pid = fork();
    if (pid == 0) {
        munmap(own_part(), SPAWN_PART_SIZE);
        client_count_share(memory, part, (int)limit);
        _exit(run());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int add_one(void)
{
    struct addr a = address("192.0.2.2");
    int64_t all;
    client_count_add(&a, &all);
    return (int)all;
}

static int add_many(void)
{
    int64_t all;
    struct addr a = address("192.0.2.2");
    int n = 0;
    while (client_count_add(&a, &all) != NULL)
        n++;
    return n;
}

static int count(const char *text)
{
    struct addr a = address(text);
    int64_t all;

    struct client_count *c = client_count_add(&a, &all);
    client_count_drop(&c);
    return (int)all - 1;
}

TEST(a_process_sees_the_clients_of_the_others)
{
    struct addr a = address("192.0.2.2");
    int64_t all;

    struct client_count *one = client_count_add(&a, &all);
    assert_int_equal(all, 1);
    assert_int_equal(other_process(1, 10, add_one), 2);
    assert_int_equal(other_process(2, 10, add_one), 3);
    assert_int_equal(count("192.0.2.2"), 3);
    assert_int_equal(count("192.0.2.3"), 0);
    give(1, SPAWN_PART_ENDED);
    assert_int_equal(count("192.0.2.2"), 2);
    give(2, 0);
    give(1, 10); /* its successor has none yet */
    assert_int_equal(count("192.0.2.2"), 1);
    assert_int_equal(other_process(1, 10, add_many), 11); /* one more than its limit */
    give(1, 0);
    client_count_drop(&one);
}

TEST(an_intruder_names_no_more_clients_than_it_may_have)
{
    enum { LIMIT = 3, FIELDS = 2, PLACES = 10000, HEAD = 16 };
    static uint64_t own[2 + PLACES * FIELDS];
    struct addr a = address("192.0.2.2");
    int64_t all;

    /* As this process writes it. */
    struct client_count *one = client_count_add(&a, &all);
    for (size_t i = 2; i < sizeof own / sizeof *own; i++)
        own[i] = ((uint64_t *)own_part())[2 + i % FIELDS];
    memset(own, 0xff, HEAD);
    give(1, LIMIT);
    assert_int_equal(pwrite(memory, own, sizeof own, SPAWN_PARTS_AT + SPAWN_PART_SIZE), sizeof own);
    assert_int_equal(count("192.0.2.2"), 1 + LIMIT + 1);
    assert_int_equal(count("192.0.2.3"), 0);
    give(1, 0);
    assert_int_equal(count("192.0.2.2"), 1);
    client_count_drop(&one);
}

/* What all processes can see, none can make writable; and its own part lies where the jail lets it
 * become no longer (test_jail.c). */
TEST(a_process_can_write_its_own_part_only)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[1000], mode[5];
    unsigned long begin, end;
    int seen = 0, writable = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (strstr(line, "memfd:clients") != NULL &&
            sscanf(line, "%lx-%lx %4s", &begin, &end, mode) == 3) {
            void *at = (void *)begin; // NOLINT: of the text
            seen++;
            writable += mprotect(at, end - begin, PROT_READ | PROT_WRITE) == 0;
            assert_true(mode[1] != 'w' || (at == own_part() && end <= JAIL_LOW_END));
        }
    fclose(f);
    assert_int_equal(seen, 2);
    assert_int_equal(writable, 1);
}

static int share(void **unused)
{
    (void)unused;
    memory = memfd_create("clients", MFD_CLOEXEC);
    assert_true(memory >= 0 && ftruncate(memory, SPAWN_CLIENTS_SIZE) == 0);
    give(0, 5);
    client_count_share(memory, 0, 5);
    return 0;
}

int main(void)
{
    const struct CMUnitTest alone[] = {T(each_address_has_its_count), T(a_network_is_one_client),
                                       T(what_finds_no_place_is_not_let_in)};
    const struct CMUnitTest several[] = {T(a_process_sees_the_clients_of_the_others),
                                         T(an_intruder_names_no_more_clients_than_it_may_have),
                                         T(a_process_can_write_its_own_part_only)};

    client_count_open(32, 84);
    int failed = cmocka_run_group_tests(alone, NULL, NULL);
    if (jail_is_valgrind()) /* its own memory may be where the part must be */
        return failed;
    return failed + cmocka_run_group_tests(several, share, NULL);
}
