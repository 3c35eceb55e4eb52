/* Who may ask whom: roles from ids, and the table. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "ipc/proto.h"
#include "ipc/trust.h"

#include "test.h"

enum { BASE = 62000, OWNER = 501, NETWORK = 502 };

static void use(gid_t base)
{
    trust_set_ids(&(struct trust_ids){.base = base, .owner = OWNER, .network = NETWORK});
}

static void role_needs_both_its_group_and_its_uid(void **unused)
{
    static const struct {
        uid_t uid;
        gid_t gid;
        enum role role;
    } cases[] = {
        {OWNER, BASE + ROLE_QMGR, ROLE_QMGR},
        {NETWORK, BASE + ROLE_QMGR, ROLE_TOOL},
        {0, BASE + ROLE_QMGR, ROLE_TOOL},
        {NETWORK, BASE + ROLE_SMTPD, ROLE_SMTPD},
        {OWNER, BASE + ROLE_SMTPD, ROLE_TOOL},
        {0, BASE + ROLE_LOCAL, ROLE_LOCAL},
        {OWNER, BASE + ROLE_VIRTUAL, ROLE_VIRTUAL},
        {0, 0, ROLE_ROOT},
        {OWNER, 100, ROLE_TOOL},
        {OWNER, BASE, ROLE_TOOL},
        {OWNER, BASE + ROLE_SELF, ROLE_TOOL},
        {OWNER, BASE + ROLE_OTHER, ROLE_OTHER},
        {OWNER, BASE + ROLE_COUNT, ROLE_TOOL},
        {1000, 1000, ROLE_TOOL},
        {1000, BASE + ROLE_IMAP, ROLE_TOOL},
    };

    (void)unused;
    use(BASE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(trust_role(cases[i].uid, cases[i].gid), cases[i].role);
}

static void without_a_block_the_owner_is_of_the_suite_and_others_are_not(void **unused)
{
    (void)unused;
    use(0);
    assert_int_equal(trust_role(OWNER, 7), ROLE_SELF);
    assert_int_equal(trust_role(0, 0), ROLE_ROOT);
    assert_int_equal(trust_role(1000, 1000), ROLE_TOOL);
    assert_int_equal(trust_role(1000, ROLE_QMGR), ROLE_TOOL);
}

static void peer_is_who_the_kernel_says(void **unused)
{
    int pair[2], tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)unused;
    trust_set_ids(&(struct trust_ids){.owner = geteuid()});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(trust_role_of_peer(pair[0]), geteuid() == 0 ? ROLE_ROOT : ROLE_SELF);
    assert_int_equal(trust_role_of_peer(tcp), ROLE_TOOL);
    assert_int_equal(trust_role_of_peer(-1), ROLE_TOOL);
    close(pair[0]);
    close(pair[1]);
    close(tcp);
}

static void table_says_who_may_ask(void **unused)
{
    (void)unused;
    assert_true(trust_may("local", REQUEST_DELIVER, ROLE_QMGR));
    assert_false(trust_may("local", REQUEST_DELIVER, ROLE_SMTPD));
    assert_false(trust_may("smtp", REQUEST_DELIVER, ROLE_SMTPD));
    assert_false(trust_may("smtp", REQUEST_DELIVER, ROLE_TOOL));
    assert_true(trust_may("smtp", REQUEST_DELIVER, ROLE_ROOT));
    assert_false(trust_may("imap", REQUEST_SERVE, ROLE_IMAPD));
    assert_false(trust_may("qmgr", REQUEST_ARRIVED, ROLE_TOOL));
    assert_true(trust_may("qmgr", "F", ROLE_TOOL));
    assert_false(trust_may("qmgr", "F", ROLE_SMTPD));
    assert_false(trust_may("qmgr", "nothing", ROLE_CLEANUP));
    assert_false(trust_may("unheard of", REQUEST_DELIVER, ROLE_QMGR));
    assert_false(trust_has_rules("unheard of"));
    assert_true(trust_has_rules("showq"));
}

/* Strangers reach smtpd, the fronts and smtp first: what these may ask is all that a hole in them
 * opens. */
static void what_speaks_with_strangers_may_ask_little(void **unused)
{
    unsigned network = 0;
    size_t n;
    const struct trust_rule *rules = trust_rules(&n);

    (void)unused;
    for (enum role r = ROLE_SMTPD; r < ROLE_OTHER; r++)
        if (trust_uid_of_program(trust_role_name(r)) == TRUST_NETWORK)
            network |= ROLE_BIT(r);
    for (size_t i = 0; i < n; i++) {
        if ((rules[i].roles & network) == 0 || strcmp(rules[i].request, TRUST_CONNECT) == 0)
            continue;
        const char *asked[] = {REQUEST_SUBMIT,   REQUEST_SUBMIT_MILTERS, REQUEST_APPEND,
                               "CPID",           REQUEST_OPEN,           REQUEST_VERIFY,
                               REQUEST_VERIFIED, REQUEST_FLUSH_SITE,     TRUST_PASS};
        size_t known = 0, all = sizeof asked / sizeof *asked;
        while (known < all && strcmp(asked[known], rules[i].request) != 0)
            known++;
        assert_true(known < all);
    }
}

/* A role and a program are the same thing under two names. */
static void every_role_has_one_program(void **unused)
{
    (void)unused;
    for (enum role r = ROLE_SMTPD; r < ROLE_OTHER; r++)
        assert_int_equal(trust_role_of_program(trust_role_name(r)), r);
    assert_int_equal(trust_role_of_program("unheard of"), ROLE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(role_needs_both_its_group_and_its_uid),
        cmocka_unit_test(without_a_block_the_owner_is_of_the_suite_and_others_are_not),
        cmocka_unit_test(peer_is_who_the_kernel_says),
        cmocka_unit_test(table_says_who_may_ask),
        cmocka_unit_test(what_speaks_with_strangers_may_ask_little),
        cmocka_unit_test(every_role_has_one_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
