/* What a client is told while other sessions change the folder: never of a number it cannot know.
 */
#include <errno.h>
#include <poll.h>
#include <sys/file.h>

#include "base/num.h"
#include "net/sock.h"

#include "imap.h"
#include "store_test.h"

enum { MESSAGES = 3000 };

/* A client to which each write is a wait, in which another session does something. */
struct slow {
    struct store *s;
    struct mailbox *other;
    struct buf said;
    int writes;
    uint32_t uid;
};

static ssize_t slow_write(void *self, const void *p, size_t n)
{
    struct slow *c = self;
    char set[20];

    buf_add(&c->said, (struct str){p, n});
    if (++c->writes == 1)
        c->uid = deliver(c->s, "INBOX", "Subject: new\n\nnew\n");
    snprintf(set, sizeof set, "%u", c->uid);
    if (c->writes == 2)
        expunge(c->other, set, true);
    return (ssize_t)n;
}

static ssize_t slow_read(void *self, void *p, size_t n)
{
    (void)self;
    (void)p;
    (void)n;
    errno = EAGAIN;
    return -1;
}

static short slow_waits_for(void *self)
{
    (void)self;
    return POLLIN;
}

static void slow_free(void *self)
{
    (void)self;
}

static const struct stream_layer slow_layer = {
    .read = slow_read, .write = slow_write, .waits_for = slow_waits_for, .free = slow_free};

/* How many messages the client knows of at the end. */
static uint32_t follow(struct str said, uint32_t known)
{
    struct str line, word;

    while (str_split(&said, '\n', &line)) {
        if (line.n == 0)
            continue;
        uint32_t n;
        assert_true(str_word(&line, " ", &word) && str_word(&line, " ", &word));
        if (!num_parse_u32(word, 0, UINT32_MAX, &n) || !str_word(&line, " \r", &word))
            continue; /* FLAGS and the like */
        if (str_eqz(word, "EXISTS")) {
            assert_true(n >= known);
            known = n;
        } else if (str_eqz(word, "EXPUNGE")) {
            assert_in_range(n, 1, known);
            known--;
        } else if (str_eqz(word, "FETCH")) {
            assert_in_range(n, 1, known);
        }
    }
    return known;
}

static void make_messages(void)
{
    char name[60];

    for (int i = 0; i < MESSAGES; i++) {
        snprintf(name, sizeof name, "cur/%d.x:2,", 1000 + i);
        put_file(name, "Subject: x\n\nx\n");
    }
}

TASK_TEST(a_message_that_comes_and_goes_while_the_client_is_slow_is_not_removed_before_it_is_told)
{
    struct slow slow = {.s = open_store(), .said = BUF(1 << 20)};
    struct imap c = {.mem = arena_new(NULL), .store = slow.s};
    int pair[2];

    c.box = open_box(slow.s, "INBOX");
    mailbox_close(&c.box);
    make_messages();
    c.box = open_box(slow.s, "INBOX");
    slow.other = open_box(slow.s, "INBOX");
    assert_int_equal(mailbox_count(c.box), MESSAGES);
    assert_int_equal(sock_pair(pair), 0);
    c.client = stream_new(pair[0]);
    assert_true(stream_push(c.client, &slow_layer, &slow));
    set_flags(slow.other, "1:3000", FLAGS_ADD, MSG_SEEN, false);
    imap_updates(&c, true);
    stream_flush(c.client);
    assert_true(slow.writes > 2);
    assert_int_equal(follow(buf_str(&slow.said), MESSAGES), mailbox_count(c.box));
    assert_int_equal(mailbox_count(c.box), MESSAGES);
    stream_free(&c.client);
    close(pair[1]);
    mailbox_close(&slow.other);
    mailbox_close(&c.box);
    buf_free(&slow.said);
    arena_free(&c.mem);
    store_close(&slow.s);
}

/* What imap_updates says. */
static const char *say_news(struct imap *c, struct buf *said)
{
    buf_clear(said);
    imap_updates(c, true);
    stream_flush(c->client);
    return said->n > 0 ? said->p : "";
}

TASK_TEST(a_folder_that_is_busy_is_not_told_as_removed)
{
    struct store_settings hasty = settings;
    struct why why = WHY;
    struct slow slow = {.said = BUF(1 << 20), .writes = 10};
    int pair[2], other;

    hasty.lock_ms = 20;
    slow.s = store_open(root, &hasty, true, &why);
    keep_store(NULL, slow.s);
    struct imap c = {.mem = arena_new(NULL), .store = slow.s};
    assert_int_equal(store_create(slow.s, "A", &why), 0);
    c.box = open_box(slow.s, "A");
    assert_int_equal(sock_pair(pair), 0);
    c.client = stream_new(pair[0]);
    assert_true(stream_push(c.client, &slow_layer, &slow));
    put_file(".A/new/1000.x", "Subject: x\n\nx\n");
    other = open(path_of(".A"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_string_equal(say_news(&c, &slow.said), "");
    assert_false(c.logout);
    close(other);
    assert_string_equal(say_news(&c, &slow.said), "* 1 EXISTS\r\n* 1 RECENT\r\n");
    assert_int_equal(store_remove(slow.s, "A", &why), 0);
    assert_non_null(strstr(say_news(&c, &slow.said), "* BYE "));
    assert_true(c.logout);
    stream_free(&c.client);
    close(pair[1]);
    mailbox_close(&c.box);
    buf_free(&slow.said);
    arena_free(&c.mem);
    store_close(&slow.s);
    why_free(&why);
}

RUN_TESTS(
    TS(a_message_that_comes_and_goes_while_the_client_is_slow_is_not_removed_before_it_is_told),
    TS(a_folder_that_is_busy_is_not_told_as_removed))
