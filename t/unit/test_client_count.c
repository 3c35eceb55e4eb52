#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "service/client_count.h"

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

TEST(a_process_sees_the_counts_of_the_others)
{
    struct addr a = address("192.0.2.2");
    int64_t all;
    int status;

    struct client_count *one = client_count_add(&a, &all);
    pid_t pid = fork();
    if (pid == 0) {
        struct client_count *mine = client_count_add(&a, &all);
        bool both = mine != NULL && all == 2;
        client_count_drop(&mine);
        _exit(both ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct client_count *two = client_count_add(&a, &all);
    assert_int_equal(all, 2);
    client_count_drop(&one);
    client_count_drop(&two);
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

TEST(addresses_without_room_are_counted_together)
{
    enum { MANY = 100000 };
    static struct client_count *counts[MANY];
    struct addr a = address("10.0.0.0");
    int64_t all, most = 0;

    for (int i = 0; i < MANY; i++) {
        a.ip[1] = (unsigned char)(i >> 16);
        a.ip[2] = (unsigned char)(i >> 8);
        a.ip[3] = (unsigned char)i;
        counts[i] = client_count_add(&a, &all);
        assert_non_null(counts[i]);
        most = all > most ? all : most;
        assert_true(i > 2000 || all == 1);
    }
    assert_true(most > 50); /* which a limit would have refused */
    for (int i = 0; i < MANY; i++)
        client_count_drop(&counts[i]);
    counts[0] = client_count_add(&a, &all);
    assert_int_equal(all, 1);
    client_count_drop(&counts[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_address_has_its_count), T(a_process_sees_the_counts_of_the_others),
        T(a_network_is_one_client), T(addresses_without_room_are_counted_together)};

    client_count_open(32, 84);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
