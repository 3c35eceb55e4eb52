/* Lists of mail filters, their packets, the state on its way to cleanup, and the content. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "conf/conf.h"
#include "milter/milter_content.h"
#include "milter/milter_wire.h"

#include "mini.h"
#include "test.h"

static void settings(void)
{
    conf.milter_connect_timeout = 1;
    conf.milter_command_timeout = 2;
    conf.milter_content_timeout = 3;
    conf.milter_default_action = "accept";
    conf.milter_protocol = "6";
    conf.milter_message_time_limit = 100;
    conf.milter_reply_count_limit = 12;
    conf.milter_macro_defaults = "b=2,{c = 3 4}";
    conf.milter_end_of_header_macros = conf.milter_end_of_data_macros = "i";
}

TEST(an_entry_of_a_list_has_a_place_and_settings)
{
    static const struct {
        const char *text, *said; /* name host port path connect command content default version */
    } t[] = {
        {"inet:localhost:8891", "inet:localhost:8891 localhost 8891 - 1 2 3 0 6"},
        {"inet:[::1]:25", "inet:[::1]:25 ::1 25 - 1 2 3 0 6"},
        {"unix:/run/x.sock", "unix:/run/x.sock - 0 /run/x.sock 1 2 3 0 6"},
        {"local:x", "local:x - 0 x 1 2 3 0 6"},
        {"{ inet:a:1, connect_timeout=4, command_timeout=1m, {content_timeout = 6s},"
         " default_action=shutdown, protocol=2 }",
         "inet:a:1 a 1 - 4 60 6 4 2"},
        {"{unix:x {default_action = quarantine} {protocol = 3 no_header_reply}}",
         "unix:x - 0 x 1 2 3 1 3"},
        {"inet:a", "refused"},
        {"inet:a:", "refused"},
        {"inet::25", "inet::25 localhost 25 - 1 2 3 0 6"},
        {"inet:25", "inet:25 localhost 25 - 1 2 3 0 6"},
        {"inet:a:0", "refused"},
        {"inet:a:no-such-service", "refused"},
        {"unix:", "refused"},
        {"foo:bar", "refused"},
        {"/run/x", "refused"},
        {"{}", "refused"},
        {"{inet:a:1 foo=bar}", "refused"},
        {"{inet:a:1 protocol=5}", "refused"},
        {"{inet:a:1 protocol=}", "refused"},
        {"{inet:a:1 protocol=6 6}", "refused"},
        {"{inet:a:1 connect_timeout=0}", "refused"},
        {"{inet:a:1 default_action=drop}", "refused"},
        {"{inet:a:1 timeout}", "refused"},
        {"unix:0 unix:1 unix:2 unix:3 unix:4 unix:5 unix:6 unix:7 unix:8", "refused"},
    };

    settings();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct milter_list list = {.n = 0};
        struct why why = WHY;
        char said[300] = "refused";
        if (milter_list_read(&list, t[i].text, &why) == 0) {
            const struct milter_entry *e = &list.at[0];
            assert_int_equal(list.n, 1);
            snprintf(said, sizeof said, "%s %s %d %s %d %d %d %d %u", e->name,
                     e->at.host != NULL ? e->at.host : "-", e->at.port,
                     e->at.path != NULL ? e->at.path : "-", (int)e->connect_ms / 1000,
                     (int)e->command_ms / 1000, (int)e->content_ms / 1000, (int)e->otherwise,
                     (unsigned)e->version);
        } else {
            assert_true(why_text(&why)[0] != 0);
            assert_int_equal(list.n, 0);
        }
        assert_string_equal(said, t[i].said);
        milter_list_free(&list);
        why_free(&why);
    }
}

TEST(a_reply_is_taken_if_smtp_has_it)
{
    static const struct {
        const char *text, *reply;
        int code;
        const char *dsn, *rest;
    } t[] = {
        {"550 5.7.1 no", "550 5.7.1 no", 550, "5.7.1", "no"},
        {"421 4.7.1 bye", "421 4.7.1 bye", 421, "4.7.1", "bye"},
        {"554 text", "554 text", 554, "", "text"},
        {"550 5.7.1", "550 5.7.1", 550, "5.7.1", ""},
        {"450-4.7.1 a\r\n450 4.7.1 b", "450-4.7.1 a\n450 4.7.1 b", 450, "4.7.1", "a\nb"},
        {"450-4.7.1 a\r\n450 4.7.1 b\r\n", "450-4.7.1 a\n450 4.7.1 b", 450, "4.7.1", "a\nb"},
        {"550 5.7.1 100%% \x01\xc3", "550 5.7.1 100% ??", 550, "5.7.1", "100% ??"},
        {"550 5.7.1 a\rb", "550 5.7.1 a?b", 550, "5.7.1", "a?b"},
        {"550", NULL, 0, "", ""},
        {"550 ", NULL, 0, "", ""},
        {"", NULL, 0, "", ""},
        {"250 2.0.0 ok", NULL, 0, "", ""},
        {"650 x", NULL, 0, "", ""},
        {"550 4.7.1 x", NULL, 0, "", ""},
        {"550x5.7.1 x", NULL, 0, "", ""},
        {"550-5.7.1 a\r\n450 5.7.1 b", NULL, 0, "", ""},
        {"550-5.7.1 a\r\n\r\n550 5.7.1 b", NULL, 0, "", ""},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct milter_answer a = MILTER_ANSWER;
        struct buf rest = BUF_TEXT(100);
        struct why why = WHY;
        char dsn[10];
        assert_int_equal(milter_reply_parse(strz(t[i].text), &a.reply, &why),
                         t[i].reply != NULL ? 0 : -1);
        assert_string_equal(a.reply.p, t[i].reply != NULL ? t[i].reply : "");
        if (t[i].reply != NULL) {
            assert_int_equal(milter_answer_parts(&a, dsn, &rest), t[i].code);
            assert_string_equal(dsn, t[i].dsn);
            assert_string_equal(rest.p, t[i].rest);
        }
        milter_answer_free(&a);
        buf_free(&rest);
        why_free(&why);
    }
}

/* ---- one filter, whose answers are there before they are asked for ---- */

struct world {
    const char *state; /* behind the name, the times and the default action */
    struct milter_answer answer;
    struct buf edits;
    const char *fails; /* the edit that fails; null: none */
    int at_header, at_body;
    size_t body; /* its size */
};

static int edited(struct world *w, const char *what, struct str a, struct str b, struct why *why)
{
    buf_addf(&w->edits, "%s(%.*s,%.*s)", what, (int)a.n, a.p, (int)b.n, b.p);
    return w->fails != NULL && strcmp(w->fails, what) == 0 ? why_set(why, "5.1.3", "bad one") : 0;
}

static int rewind_all(void *arg, struct why *why)
{
    struct world *w = arg;

    (void)why;
    w->at_header = w->at_body = 0;
    return 0;
}

static int next_header(void *arg, struct str *name, struct str *value, struct why *why)
{
    struct world *w = arg;

    (void)why;
    *name = w->at_header == 0 ? STR("A") : STR("B");
    *value = w->at_header == 0 ? STR("  1") : STR(" x\n y");
    return w->at_header++ < 2;
}

static int next_body(void *arg, struct buf *piece, struct why *why)
{
    struct world *w = arg;
    size_t n = w->body < 30000 ? w->body : 30000;

    (void)why;
    memset(buf_room(piece, n), 'b', n);
    buf_grown(piece, n);
    w->body -= n;
    return n > 0;
}

static int add_header(void *arg, struct str name, struct str value, struct why *why)
{
    return edited(arg, "add", name, value, why);
}

static int insert_header(void *arg, size_t i, struct str name, struct str value, struct why *why)
{
    assert_int_equal(i, 7);
    return edited(arg, "insert", name, value, why);
}

static int change_header(void *arg, size_t i, struct str name, struct str value, struct why *why)
{
    assert_int_equal(i, 2);
    return edited(arg, "change", name, value, why);
}

static int change_sender(void *arg, struct str address, struct str esmtp, struct why *why)
{
    return edited(arg, "sender", address, esmtp, why);
}

static int add_rcpt(void *arg, struct str address, struct str esmtp, struct why *why)
{
    return edited(arg, "rcpt", address, esmtp, why);
}

static int drop_rcpt(void *arg, struct str address, struct why *why)
{
    return edited(arg, "drop", address, STR(""), why);
}

static int replace_body(void *arg, struct str piece, bool whole, struct why *why)
{
    return edited(arg, whole ? "whole" : "body", piece, STR(""), why);
}

static int quarantine(void *arg, struct str reason, struct why *why)
{
    return edited(arg, "hold", reason, STR(""), why);
}

static void show(struct stream *s, void *arg)
{
    struct world *w = arg;
    struct milter_content content = {w,          rewind_all,    next_header,   next_body,
                                     add_header, insert_header, change_header, change_sender,
                                     add_rcpt,   drop_rcpt,     replace_body,  quarantine};
    struct buf state = BUF_TEXT(400);
    struct why why = WHY;
    int fd = dup(stream_fd(s));

    buf_addf(&state, "name\t1000\t1000\t0\t%s\n", w->state);
    struct milters *m = milters_import(buf_str(&state), &fd, 1, NULL, NULL, &why);
    assert_non_null(m);
    milters_message(m, &content, &w->answer);
    milters_free(&m);
    buf_free(&state);
    why_free(&why);
}

/* The letters of the packets in bytes; with macros if they are asked for. */
static void letters(struct str bytes, struct buf *out)
{
    while (bytes.n >= 5) {
        uint32_t n = milter_length(bytes.p);
        if (bytes.p[4] != 'D')
            buf_addc(out, bytes.p[4]);
        bytes = str_from(bytes, n + 4);
    }
    assert_int_equal(bytes.n, 0);
}

/* answers: packets parted by blanks; '_' is a zero byte. */
static void put_answers(const char *answers, struct buf *input)
{
    struct str rest = strz(answers), word;

    while (str_word(&rest, " ", &word)) {
        milter_put_number(input, (uint32_t)word.n);
        for (size_t i = 0; i < word.n; i++)
            buf_addc(input, word.p[i] == '_' ? 0 : word.p[i] == '^' ? ' ' : word.p[i]);
    }
}

#define ALL "6\t511\t0\t\t"

TEST(a_filter_sees_the_message_and_what_it_asks_for_is_done)
{
    static const struct {
        const char *state, *answers;
        size_t body;
        const char *shown, *edits;
        enum milter_does does;
        const char *reply, *fails;
    } t[] = {
        {ALL, "c c c c c", 4, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c", 0, "LLNE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c c c c", 140000, "LLNBBBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c s c", 140000, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "s c c c", 4, "LNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c a", 4, "LL", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c d", 4, "LLN", "", MILTER_DISCARDS, "", NULL},
        {ALL, "c c c c 4", 4, "LLNBE", "", MILTER_SHUTS_DOWN, "421 4.7.0 Server closing connection",
         NULL},
        {ALL, "c c c r", 4, "LLNB", "", MILTER_REPLIES, "550 5.7.1 Command rejected", NULL},
        {ALL, "c c c c y550^5.7.1^no_", 4, "LLNBE", "", MILTER_REPLIES, "550 5.7.1 no", NULL},
        {"6\t511\t128\t\t", "c c c", 4, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {"6\t511\t32\t\t", "c c c", 4, "NBE", "", MILTER_GOES_ON, "", NULL},
        {"6\t511\t112\t\t", "c", 4, "E", "", MILTER_GOES_ON, "", NULL},
        {ALL,
         "c c c c hN_v_ i___\007N_v_ m___\002N__ m___\002N_v_ e<a>_ e<a>_X=1_ +<b>_ 2<c>_Y=2_ "
         "-<d>_ p qwhy_ c",
         4, "LLNBE",
         "add(N, v)insert(N, v)change(N,)change(N, v)sender(<a>,)sender(<a>,X=1)rcpt(<b>,)"
         "rcpt(<c>,Y=2)drop(<d>,)hold(why,)",
         MILTER_GOES_ON, "", NULL},
        {"6\t511\t1048576\t\t", "c c c c hN_v_ hN_^v_ a", 4, "LLNBE", "add(N,v)add(N, v)",
         MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c bone btwo p bx +<a>_ c", 4, "LLNBE",
         "body(one,)body(two,)body(x,)whole(,)rcpt(<a>,)", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c bone c", 4, "LLNBE", "body(one,)whole(,)", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c bone r", 4, "LLNBE", "body(one,)whole(,)", MILTER_REPLIES,
         "550 5.7.1 Command rejected", NULL},
        {ALL, "c c c c bone +<a>_ btwo c", 4, "LLNBE", "body(one,)whole(,)rcpt(<a>,)",
         MILTER_REPLIES, "451 4.7.1 Service unavailable - try again later", NULL},
        {ALL, "c c c c +<a>_ -<b>_ c", 4, "LLNBE", "rcpt(<a>,)", MILTER_REPLIES,
         "554 5.1.3 bad one", "rcpt"},
        /* its default action is accept, but not for what it has begun to change */
        {ALL, "c c c c", 4, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c +<a>_", 4, "LLNBE", "rcpt(<a>,)", MILTER_REPLIES,
         "451 4.7.1 Service unavailable - try again later", NULL},
        {ALL, "c c c c Z", 4, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c p p p p p p p p p p p p r", 4, "LLNBE", "", MILTER_GOES_ON, "", NULL},
        {ALL, "c c c c +<a>_ p p p p p p p p p p p p c", 4, "LLNBE", "rcpt(<a>,)", MILTER_REPLIES,
         "451 4.7.1 Service unavailable - try again later", NULL},
    };

    settings();
    mini_log_start();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct world w = {.state = t[i].state,
                          .answer = MILTER_ANSWER,
                          .edits = BUF_TEXT(2000),
                          .body = t[i].body,
                          .fails = t[i].fails};
        struct buf input = BUF(2000), output = BUF(1 << 20), shown = BUF_TEXT(100);
        put_answers(t[i].answers, &input);
        mini_talk(show, &w, buf_str(&input), &output);
        letters(buf_str(&output), &shown);
        if (strcmp(shown.p, t[i].shown) != 0 || strcmp(w.edits.p, t[i].edits) != 0)
            print_error("%zu: %s\n", i, t[i].answers);
        assert_string_equal(shown.p, t[i].shown);
        assert_string_equal(w.edits.p, t[i].edits);
        assert_int_equal(w.answer.does, t[i].does);
        assert_string_equal(w.answer.reply.p, t[i].reply);
        milter_answer_free(&w.answer);
        buf_free(&w.edits);
        buf_free(&input);
        buf_free(&output);
        buf_free(&shown);
    }
    mini_log_end();
}

TEST(values_have_their_blank_only_if_that_was_agreed)
{
    static const struct {
        const char *state;
        struct str packet;
    } t[] = {{ALL, STR("LA\0 1\0")}, {"6\t511\t1048576\t\t", STR("LA\0  1\0")}};

    settings();
    for (size_t i = 0; i < 2; i++) {
        struct world w = {.state = t[i].state, .answer = MILTER_ANSWER, .edits = BUF_TEXT(2000)};
        struct buf input = BUF(100), output = BUF(1000);
        put_answers("a", &input);
        mini_talk(show, &w, buf_str(&input), &output);
        assert_true(str_search(buf_str(&output), t[i].packet) > 0);
        milter_answer_free(&w.answer);
        buf_free(&input);
        buf_free(&output);
    }
}

TEST(macros_are_those_that_the_filter_has_chosen_or_the_configured_ones)
{
    struct world w = {
        .state = "6\t511\t0\t=j c {b} nothing\t", .answer = MILTER_ANSWER, .edits = BUF_TEXT(2000)};
    struct buf input = BUF(100), output = BUF(2000);

    settings();
    put_answers("a", &input);
    mini_talk(show, &w, buf_str(&input), &output);
    assert_true(str_search(buf_str(&output), STR("DLc\0003 4\0{b}\0002\0")) > 0);
    assert_true(str_search(buf_str(&output), STR("nothing")) < 0);
    milter_answer_free(&w.answer);
    buf_free(&input);
    buf_free(&output);
}

TEST(a_malformed_state_is_refused_and_its_descriptors_are_closed)
{
    static const char *const states[] = {"",
                                         "x\n",
                                         "x\t1\t1\t0\t6\t0\t0\t\n\n",
                                         "x\t1\t1\t9\t6\t0\t0\t\t\n",
                                         "\t1\t1\t0\t6\t0\t0\t\t\n",
                                         "x\t0\t1\t0\t6\t0\t0\t\t\n",
                                         "x\t1\t1\t0\t7\t0\t0\t\t\n",
                                         "x\t1\t1\t0\t6\t0\t0\tj\t\n",
                                         "x\t1\t1\t0\t6\t0\t4294967296\t\t\n"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        struct why why = WHY;
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_null(milters_import(strz(states[i]), fds, 1, NULL, NULL, &why));
        assert_int_equal(why.code[0], '4');
        assert_int_equal(send(fds[1], "x", 1, MSG_NOSIGNAL), -1); /* nobody has the other end */
        close(fds[1]);
        why_free(&why);
    }
}

RUN_TESTS(T(an_entry_of_a_list_has_a_place_and_settings), T(a_reply_is_taken_if_smtp_has_it),
          T(a_filter_sees_the_message_and_what_it_asks_for_is_done),
          T(values_have_their_blank_only_if_that_was_agreed),
          T(macros_are_those_that_the_filter_has_chosen_or_the_configured_ones),
          T(a_malformed_state_is_refused_and_its_descriptors_are_closed))
