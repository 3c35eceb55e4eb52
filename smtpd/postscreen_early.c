/*
 * Before the greeting: a client that speaks before its turn is no mail server, and meanwhile DNS
 * lists are asked.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/outcome.h"
#include "task/task.h"

#include "postscreen.h"

static void log_early(const struct screen *s, struct str text)
{
    struct buf shown = BUF_TEXT(5000), delay = BUF_TEXT(40);

    encode_escapes(&shown, text);
    outcome_put_delay(&delay, clock_us() - s->began_us);
    msg_info("PREGREET %zu after %s from %s: %.100s", text.n, delay.p, s->who, shown.p);
    buf_free(&shown);
    buf_free(&delay);
}

/* What it has sent stays in the socket, for smtpd. False: the client is to go. */
static bool look_at_input(struct screen *s)
{
    char bytes[1024];
    ssize_t n = recv(stream_fd(s->stream), bytes, sizeof bytes - 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        screen_log_hangup(s, "before");
        return false;
    }
    s->spoke = true;
    if ((s->todo & SCREEN_BIT(PREGREET)) == 0)
        return true;
    log_early(s, (struct str){bytes, (size_t)n});
    return !screen_fail(s, PREGREET, screen_action(conf.postscreen_greet_action),
                        "521 5.5.1 Protocol error", "550 5.5.1 Protocol error");
}

/* Nothing that is still waited for can change anything. */
static bool is_decided(const struct screen *s)
{
    bool waits =
        (s->todo & SCREEN_BIT(PREGREET)) != 0 && !s->spoke && !(s->passed & SCREEN_BIT(PREGREET));

    return !waits && (s->dnsbl == NULL || screen_dnsbl_done(s));
}

/* Who is in a list of good clients need not pass any other test, if it has not failed one. */
static void skip_tests(struct screen *s, int64_t until)
{
    for (enum screen_test t = 0; t < SCREEN_TESTS; t++) {
        if (s->stamps.until[t] < until)
            s->stamps.until[t] = until;
        s->passed |= s->todo & SCREEN_BIT(t);
    }
}

static int64_t within(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

static void pass_dnsbl(struct screen *s, int64_t score, int64_t ttl)
{
    int64_t low = conf.postscreen_dnsbl_min_ttl, high = conf.postscreen_dnsbl_max_ttl;
    int64_t until = clock_wall() + within(ttl, low, high > low ? high : low);

    s->stamps.until[DNSBL] = until;
    s->passed |= SCREEN_BIT(DNSBL);
    if (conf.postscreen_dnsbl_allowlist_threshold < 0 &&
        score <= conf.postscreen_dnsbl_allowlist_threshold && s->failed == 0)
        skip_tests(s, until);
}

/* All lists have answered, and the client need not wait. */
static void look_at_good(struct screen *s)
{
    int64_t ttl, score = screen_dnsbl_score(s, NULL, &ttl);

    if (score < conf.postscreen_dnsbl_threshold && !s->spoke)
        pass_dnsbl(s, score, ttl);
}

/* False: the client is to go. */
static bool judge_score(struct screen *s)
{
    const char *name;
    int64_t ttl, score;

    screen_dnsbl_collect(s);
    score = screen_dnsbl_score(s, &name, &ttl);
    if (score < conf.postscreen_dnsbl_threshold) {
        pass_dnsbl(s, score, ttl);
        return true;
    }
    msg_info("DNSBL rank %lld for %s", (long long)score, s->who);
    const char *drop =
        arena_printf(s->mem, "521 5.7.1 Service unavailable; client [%s] blocked using %s",
                     s->peer.addr_text, name != NULL ? name : "its score");
    const char *enforce = arena_printf(s->mem, "550%s", drop + 3);
    return !screen_fail(s, DNSBL, screen_action(conf.postscreen_dnsbl_action), drop, enforce);
}

/* False: the client is to go. */
static bool wait_and_look(struct screen *s, int64_t deadline)
{
    bool looked = false;

    while (!is_decided(s)) {
        enum wait r = s->spoke ? task_park(deadline) : stream_wait_unread(s->stream, deadline);
        if (r == WAIT_CANCELLED) {
            s->gone = true;
            return false;
        }
        if (r == WAIT_TIMEOUT || task_now() >= deadline)
            return true;
        if (!s->spoke && r == WAIT_READY && !look_at_input(s))
            return false;
        if (s->dnsbl != NULL && !looked && screen_dnsbl_done(s)) {
            looked = true;
            look_at_good(s);
        }
    }
    return true;
}

static bool run_tests(struct screen *s)
{
    int64_t deadline = task_now() + conf.postscreen_greet_wait * 1000;

    if ((s->todo & SCREEN_BIT(PREGREET)) != 0) {
        stream_putf(s->stream, "220-%s\r\n", conf.postscreen_greet_banner);
        stream_flush(s->stream);
    }
    if (!wait_and_look(s, deadline))
        return false;
    if ((s->todo & SCREEN_BIT(PREGREET)) != 0 && !s->spoke &&
        (s->passed & SCREEN_BIT(PREGREET)) == 0) {
        s->stamps.until[PREGREET] = clock_wall() + conf.postscreen_greet_ttl;
        s->passed |= SCREEN_BIT(PREGREET);
    }
    return s->dnsbl == NULL || judge_score(s);
}

bool screen_early(struct screen *s)
{
    if ((s->todo & SCREEN_BIT(DNSBL)) != 0)
        screen_dnsbl_begin(s);
    bool stays = run_tests(s);
    screen_dnsbl_end(s);
    return stays;
}
