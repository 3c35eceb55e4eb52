/*
 * The way of a client: limits, the access list, what is known of it, the tests, and then smtpd or
 * good-bye.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/proxy_header.h"
#include "queue/outcome.h"
#include "task/task.h"

#include "postscreen.h"

static struct {
    struct hash *clients; /* address to the number of its connections */
    int64_t testing, waiting; /* clients whose tests are not over; that smtpd has not taken yet */
    bool stress;
    enum screen_action denied;
} gate;

enum screen_action screen_action(const char *value)
{
    return strcmp(value, "drop") == 0      ? SCREEN_DROP
           : strcmp(value, "enforce") == 0 ? SCREEN_ENFORCE
                                           : SCREEN_IGNORE;
}

void screen_open_gate(void)
{
    gate.clients = hash_new();
    gate.denied = screen_action(conf.postscreen_denylist_action);
}

/* ---- how many there are ---- */

static int64_t count_client(const struct screen *s, int64_t more)
{
    struct str key = strz(s->peer.addr_text);
    int64_t n = (int64_t)(intptr_t)hash_find(gate.clients, key) + more;

    if (n > 0)
        hash_put(gate.clients, key, (void *)(intptr_t)n);
    else
        hash_drop(gate.clients, key);
    return n;
}

static void count_testing(int64_t more)
{
    int64_t limit = conf.postscreen_pre_queue_limit;

    gate.testing += more;
    bool on = gate.stress ? gate.testing > limit * 7 / 10 : gate.testing >= limit * 9 / 10;
    if (limit <= 0 || on == gate.stress)
        return;
    gate.stress = on;
    msg_info("%s STRESS mode with %lld connections", on ? "entering" : "leaving",
             (long long)gate.testing);
    conf_set_stress(on);
}

/* ---- the end ---- */

static void say_goodbye(struct screen *s)
{
    if (!s->gone)
        stream_flush(s->stream);
    msg_info("DISCONNECT %s", s->who);
}

void screen_log_hangup(struct screen *s, const char *when)
{
    struct buf delay = BUF_TEXT(40);

    outcome_put_delay(&delay, clock_us() - s->began_us);
    msg_info("HANGUP after %s from %s in tests %s SMTP handshake", delay.p, s->who, when);
    buf_free(&delay);
    s->gone = true;
}

static void pass_on(struct screen *s)
{
    count_testing(-1);
    if (conf.postscreen_post_queue_limit > 0 && gate.waiting >= conf.postscreen_post_queue_limit) {
        msg_info("reject: connect from %s: all server ports busy", s->who);
        screen_reply(s, "421 4.3.2 All server ports are busy");
        say_goodbye(s);
    } else {
        gate.waiting++;
        bool taken = screen_pass(s);
        gate.waiting--;
        if (!taken) {
            screen_reply(s, "421 4.3.2 No system resources");
            say_goodbye(s);
        }
    }
    count_testing(1); /* screen_session takes it off again */
}

/* What has been found out is remembered, also if some tests are still to be done. */
static void conclude(struct screen *s)
{
    if (s->failed != 0 || s->denied)
        s->passed = 0;
    if (s->passed != 0 && s->passed == s->todo)
        msg_info("PASS %s %s", s->is_new ? "NEW" : "OLD", s->who);
    if (s->passed != 0)
        screen_cache_put(s->peer.addr_text, &s->stamps);
    if (s->keep || s->gone)
        say_goodbye(s);
    else
        pass_on(s);
}

bool screen_fail(struct screen *s, enum screen_test test, enum screen_action action,
                 const char *drop, const char *enforce)
{
    if (action == SCREEN_IGNORE)
        return false;
    s->failed |= SCREEN_BIT(test);
    s->keep = true;
    if (action == SCREEN_ENFORCE)
        s->rcpt_reply = enforce;
    else
        screen_reply(s, "%s", drop);
    return action == SCREEN_DROP;
}

/* ---- the begin ---- */

static bool is_used(enum screen_test test)
{
    const bool used[SCREEN_TESTS] = {
        [PREGREET] = conf.postscreen_greet_banner[0] != 0,
        [DNSBL] = screen_dnsbl_used(),
        [PIPELINING] = conf.postscreen_pipelining_enable,
        [NON_SMTP] = conf.postscreen_non_smtp_command_enable,
        [BARE_NEWLINE] = conf.postscreen_bare_newline_enable,
    };

    return used[test];
}

/* Which tests are to be done. False: none, because the client is known. */
static bool choose_tests(struct screen *s, bool look_up)
{
    int64_t now = clock_wall();

    bool found = look_up && screen_cache_find(s->peer.addr_text, &s->stamps);
    s->is_new = !found;
    for (enum screen_test t = 0; t < SCREEN_TESTS; t++) {
        int64_t *until = &s->stamps.until[t];
        if (!is_used(t)) {
            if (*until == STAMP_NEW)
                *until = STAMP_DISABLED;
            continue;
        }
        if (*until == STAMP_NEW)
            s->is_new = true;
        if (now > *until)
            s->todo |= SCREEN_BIT(t);
    }
    return !found || s->todo != 0;
}

/* True: the client is to go on with the tests. */
static bool look_at_list(struct screen *s, enum screen_access access)
{
    bool polite = conf.respectful_logging;

    if (access == ACCESS_FAILED) {
        screen_reply(s, "421 4.3.2 Service currently unavailable");
        s->keep = true;
        return false;
    }
    if (access == ACCESS_PERMIT)
        msg_info("%s %s", polite ? "ALLOWLISTED" : "WHITELISTED", s->who);
    if (access != ACCESS_REJECT)
        return access == ACCESS_DUNNO;
    msg_info("%s %s", polite ? "DENYLISTED" : "BLACKLISTED", s->who);
    if (gate.denied == SCREEN_IGNORE)
        return true;
    s->denied = s->keep = true;
    s->rcpt_reply = "550 5.3.2 Service currently unavailable";
    if (gate.denied == SCREEN_DROP)
        screen_reply(s, "521 5.3.2 Service currently unavailable");
    return gate.denied != SCREEN_DROP;
}

static bool is_too_much(struct screen *s)
{
    if (conf.postscreen_pre_queue_limit <= 0 || gate.testing < conf.postscreen_pre_queue_limit)
        return false;
    msg_info("reject: connect from %s: all screening ports busy", s->who);
    screen_reply(s, "421 4.3.2 All screening ports are busy");
    s->keep = true;
    return true;
}

static void test_client(struct screen *s)
{
    s->rcpt_reply = "450 4.3.2 Service currently unavailable";
    if (!look_at_list(s, screen_access(s)))
        return;
    if (!choose_tests(s, !s->denied)) {
        msg_info("PASS OLD %s", s->who);
        return;
    }
    if (!screen_may_pass_here(s)) {
        msg_info("%s VETO %s", conf.respectful_logging ? "ALLOWLIST" : "WHITELIST", s->who);
        s->denied = s->keep = true;
    }
    if (is_too_much(s) || ((s->todo & EARLY_TESTS) != 0 && !screen_early(s)))
        return;
    if (s->keep || (s->todo & DEEP_TESTS & ~s->passed) != 0) {
        s->keep = true;
        screen_talk(s);
    }
}

static void serve(struct screen *s)
{
    int64_t limit = conf.postscreen_client_connection_count_limit;

    count_testing(1);
    if (count_client(s, 1) > limit && limit > 0) {
        msg_info("NOQUEUE: reject: CONNECT from %s: too many connections", s->who);
        screen_reply(s, "421 4.7.0 Error: too many connections");
        s->keep = true;
    } else {
        test_client(s);
    }
    conclude(s);
    count_client(s, -1);
    count_testing(-1);
}

/* (waits) Who the client behind a proxy is. False: that is not known. */
static bool ask_proxy(struct screen *s)
{
    int64_t deadline = task_now() + conf.postscreen_upstream_proxy_timeout * 1000;
    struct proxy_header header;
    struct why why = WHY;

    if (conf.postscreen_upstream_proxy_protocol[0] == 0)
        return true;
    bool known = proxy_header_read(s->stream, deadline, &header, &why) == 0;
    if (!known) {
        msg_warn_each("haproxy read: %s from %s", why_text(&why), s->peer.addr_text);
        stream_putz(s->stream, "421 4.3.2 No system resources\r\n");
        stream_flush(s->stream);
    } else if (!header.local) {
        peer_set(&s->peer, &header.client, &header.server);
    }
    why_free(&why);
    return known;
}

void screen_session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    struct screen s = {.mem = mem, .stream = client, .peer = *peer, .where = "CONNECT"};
    char local[ADDR_TEXT];

    s.began_us = clock_us();
    if (!ask_proxy(&s))
        return;
    s.who = arena_printf(mem, "[%s]:%u", s.peer.addr_text, s.peer.addr.port);
    msg_info("CONNECT from %s to [%s]:%u", s.who, addr_text(&s.peer.local, local),
             s.peer.local.port);
    serve(&s);
}
