/*
 * What views tell: a client that only believes what it is told knows in the end what there is,
 * whatever others do meanwhile, in this process and in another, with checkpoints in between.
 */
#include "store/view.h"

#include "store_test.h"

static const char hello[] = "Subject: hello\n\nhello\n";
enum { CLIENTS = 4, ROUNDS = 12, STEPS = 1500, FEW = 60 };

struct seen {
    uint32_t uid, flags;
    bool fresh; /* it has yet to ask for the flags */
};
struct client {
    struct store *s;
    struct mailbox *b;
    VEC(struct seen) at;
};

static uint32_t seed, files_put;
static char folder[20]; /* a new one for each round */

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static uint32_t flags_of(const struct client *c, uint32_t number)
{
    return mailbox_msg(c->b, number)->flags & MSG_FLAGS;
}

static void look(struct client *c)
{
    c->at.n = 0;
    for (uint32_t n = 1; n <= mailbox_count(c->b); n++)
        *VEC_ADD(&c->at) = (struct seen){mailbox_msg(c->b, n)->uid, flags_of(c, n), false};
}

/* As a client: a number that was not told, or flags of it twice in one go, are an error. */
static void pull(struct client *c, bool may_expunge)
{
    struct why why = WHY;
    enum mail_event e;
    uint32_t number = 0, last = 0;

    assert_int_equal(mailbox_check(c->b, &why), 0);
    while ((e = mailbox_pull(c->b, may_expunge, &number, &why)) != MAIL_NONE) {
        if (e == MAIL_ADDED) {
            assert_int_equal(number, c->at.n + 1);
            *VEC_ADD(&c->at) = (struct seen){mailbox_msg(c->b, number)->uid, 0, true};
        } else if (e == MAIL_FLAGS) {
            assert_in_range(number, last + 1, c->at.n);
            assert_false(c->at.at[number - 1].fresh);
            c->at.at[number - 1].flags = flags_of(c, number);
            last = number;
        } else if (e == MAIL_EXPUNGED) {
            assert_in_range(number, 1, c->at.n);
            memmove(c->at.at + number - 1, c->at.at + number,
                    (c->at.n - number) * sizeof *c->at.at);
            c->at.n--;
        }
    }
    assert_int_equal(mailbox_count(c->b), c->at.n);
    for (uint32_t n = 1; n <= c->at.n; n++) {
        struct seen *seen = &c->at.at[n - 1];
        assert_int_equal(seen->uid, mailbox_msg(c->b, n)->uid);
        if (seen->fresh)
            *seen = (struct seen){seen->uid, flags_of(c, n), false};
        if (!(mailbox_msg(c->b, n)->flags & SLOT_GONE)) /* it will be told as expunged */
            assert_int_equal(seen->flags, flags_of(c, n));
    }
    why_free(&why);
}

/* A client that changes flags silently knows what it did: to the messages it was shown. */
static void change(struct client *c)
{
    uint32_t low = 1 + rnd((uint32_t)c->at.n), high = low + rnd(3);
    struct flag_change change = {
        .op = (enum flag_op)rnd(3), .flags = rnd(32), .silent = rnd(2) == 0};
    struct uidset which = UIDSET;

    high = high < c->at.n ? high : (uint32_t)c->at.n;
    pull(c, false); /* so that nothing of others is mixed with it */
    uidset_add(&which, c->at.at[low - 1].uid, c->at.at[high - 1].uid);
    assert_int_equal(mailbox_flag(c->b, &which, &change, NULL), 0);
    for (uint32_t n = low; change.silent && n <= high; n++)
        c->at.at[n - 1].flags = flags_of(c, n);
    uidset_free(&which);
}

static void remove_some(struct client *c)
{
    struct uidset which = UIDSET;
    uint32_t low = 1 + rnd((uint32_t)c->at.n);

    uidset_add(&which, c->at.at[low - 1].uid, c->at.at[low - 1].uid + rnd(FEW));
    assert_int_equal(mailbox_expunge(c->b, &which, true, NULL), 0);
    uidset_free(&which);
}

static void checkpoint(struct client *c)
{
    struct folder *f = c->b->f;

    assert_int_equal(folder_lock(f, NULL), 0);
    assert_int_equal(folder_refresh(f, true, NULL), 0);
    assert_int_equal(folder_checkpoint(f, NULL), 0);
    folder_unlock(f);
    folder_tidy(f);
}

static void put_foreign(void)
{
    struct buf name = BUF(100);

    buf_addf(&name, ".%s/%s/%u.foreign.h", folder, rnd(2) == 0 ? "new" : "cur", 1000 + files_put++);
    put_file(name.p, hello);
    buf_free(&name);
}

/* Another program marks a message as read, or removes it. */
static void touch_foreign(void)
{
    struct buf dir = BUF(100), from = BUF(600), to = BUF(600);
    const char *sub = rnd(2) == 0 ? "new" : "cur";
    uint32_t at = rnd(FEW);

    buf_addf(&dir, ".%s/%s", folder, sub);
    DIR *d = opendir(path_of(dir.p));
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL && at-- > 0;) {
        if (at > 0 || e->d_name[0] == '.')
            continue;
        size_t base = strcspn(e->d_name, ":");
        buf_addf(&from, ".%s/%s/%s", folder, sub, e->d_name);
        buf_addf(&to, ".%s/cur/%.*s:2,%s", folder, (int)base, e->d_name, rnd(2) == 0 ? "S" : "FR");
        if (rnd(5) == 0)
            unlink(path_of(from.p));
        else
            (void)!rename(path_of(from.p), path_of(to.p));
    }
    closedir(d);
    buf_free(&dir);
    buf_free(&from);
    buf_free(&to);
}

static void step(struct client *c)
{
    uint32_t what = rnd(100);

    if (what < 12)
        deliver(c->s, folder, hello);
    else if (what < 15)
        put_foreign();
    else if (what < 18)
        touch_foreign();
    else if (what < 60 && c->at.n > 0)
        change(c);
    else if (what < 63 && c->at.n > FEW)
        remove_some(c);
    else if (what < 64)
        checkpoint(c);
    else if (what < 66) {
        mailbox_close(&c->b);
        c->b = open_box(c->s, folder);
        look(c);
    } else if (what < 90)
        pull(c, rnd(2) == 0);
}

static int files_of_folder(void)
{
    char new[40], cur[40];

    snprintf(new, sizeof new, ".%s/new", folder);
    snprintf(cur, sizeof cur, ".%s/cur", folder);
    return files_in(new) + files_in(cur);
}

static void in_turn(struct client *clients)
{
    for (uint32_t i = 0; i < STEPS; i++)
        step(&clients[rnd(CLIENTS)]);
}

static unsigned running;

static void live(void *arg)
{
    for (uint32_t i = 0; i < STEPS / CLIENTS; i++)
        step(arg);
    running--;
}

/* With real syncs and locks to wait for, each is in the middle of something most of the time. */
static void at_once(struct client *clients)
{
    running = 0;
    for (size_t k = 0; k < CLIENTS; k++, running++)
        task_start("client", live, &clients[k]);
    while (running > 0)
        task_sleep(task_now() + 1);
}

static void play(struct store *here, struct store *there, void (*how)(struct client *))
{
    struct client clients[CLIENTS] = {{.s = here}, {.s = here}, {.s = there}, {.s = there}};

    for (size_t k = 0; k < CLIENTS; k++)
        clients[k].b = open_box(clients[k].s, folder);
    how(clients);
    for (size_t k = 0; k < CLIENTS; k++)
        pull(&clients[k], true);
    for (size_t k = 0; k < CLIENTS; k++) {
        pull(&clients[k], true);
        assert_int_equal(clients[k].at.n, clients[0].at.n);
        for (size_t n = 0; n < clients[k].at.n; n++)
            assert_int_equal(clients[k].at.at[n].flags, clients[0].at.at[n].flags);
    }
    assert_int_equal(files_of_folder(), clients[0].at.n);
    for (size_t k = 0; k < CLIENTS; k++) {
        mailbox_close(&clients[k].b);
        VEC_FREE(&clients[k].at);
    }
}

static void rounds(const struct store_settings *set, void (*how)(struct client *))
{
    struct store *here = store_open(root, set, true, NULL),
                 *there = store_open(root, set, true, NULL);

    for (uint32_t round = 0; round < ROUNDS; round++) {
        seed = round * 7919;
        snprintf(folder, sizeof folder, "round%u", round);
        assert_int_equal(store_create(here, folder, NULL), 0);
        play(here, there, how);
    }
    store_close(&here);
    store_close(&there);
}

TASK_TEST(who_believes_what_it_is_told_knows_what_there_is)
{
    rounds(&settings, in_turn);
}

TASK_TEST(so_do_those_who_do_it_at_once)
{
    static const struct store_settings synced = {.hostname = "test"};
    rounds(&synced, at_once);
}

RUN_TESTS(TS(who_believes_what_it_is_told_knows_what_there_is), TS(so_do_those_who_do_it_at_once))
