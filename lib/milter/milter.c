#include "milter/milter.h"

#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "milter/milter_inside.h"
#include "net/stream.h"
#include "task/task.h"

#define TRY_LATER "451 4.7.1 Service unavailable - try again later"
#define GOOD_BYE  "421 4.7.0 Server closing connection"
#define WE_END    "421 4.3.2 Service shutting down"

/* ---- the end of a filter ---- */

void milter_closes(struct milter *m)
{
    stream_abort(&m->stream);
    m->state = MILTER_GONE;
}

static void hold_default(struct milter *m)
{
    switch (m->entry->otherwise) {
    case MILTER_DEFAULT_ACCEPT:
        milter_reply(&m->held, MILTER_GOES_ON, "");
        break;
    case MILTER_DEFAULT_QUARANTINE:
        milter_reply(&m->held, MILTER_HOLDS, "");
        break;
    case MILTER_DEFAULT_REJECT:
        milter_reply(&m->held, MILTER_REPLIES, "550 5.5.0 Service unavailable");
        break;
    case MILTER_DEFAULT_TEMPFAIL:
        milter_reply(&m->held, MILTER_REPLIES, TRY_LATER);
        break;
    case MILTER_DEFAULT_SHUTDOWN:
        milter_reply(&m->held, MILTER_SHUTS_DOWN, GOOD_BYE);
        break;
    }
}

void milter_shut(struct milter *m)
{
    if (m->stream != NULL && m->borrowed)
        shutdown(stream_fd(m->stream), SHUT_RDWR);
    milter_closes(m);
}

void milter_fails(struct milter *m, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(1000);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    if (task_is_cancelled())
        ; /* it has not failed: we are to end, and cannot wait for it */
    else if (m->stream == NULL) /* it names itself: "connect to Milter service ..." */
        msg_warn_each("%s", text.p);
    else
        msg_warn_each("milter %s: %s", m->entry->name, text.p);
    buf_free(&text);
    milter_shut(m);
    if (task_is_cancelled())
        milter_reply(&m->held, MILTER_SHUTS_DOWN, WE_END);
    else
        hold_default(m);
}

void milter_talks_nonsense(struct milter *m, const char *what)
{
    milter_fails(m, "%s", what);
    if (m->held.does == MILTER_REPLIES)
        milter_reply(&m->held, MILTER_REPLIES,
                     "451 4.3.5 Server configuration problem - try again later");
}

/* ---- one event ---- */

/* A refusal at CONNECT or HELO is one of the session. */
static enum milter_does refuse(struct milter *m, const struct milter_event *e, const char *text,
                               struct milter_answer *a)
{
    milter_reply(a, MILTER_REPLIES, text);
    if (e->of_session) {
        milter_answer_copy(&m->held, a);
        milter_closes(m);
    }
    return a->does;
}

static void passes(struct milter *m, const struct milter_event *e)
{
    if (e->of_session)
        milter_closes(m);
    else if (e->command != MILTER_UNKNOWN) /* which is no part of a message */
        m->state = MILTER_PASSED;
}

static void replies(struct milter *m, const struct milter_event *e, struct str text,
                    struct milter_answer *a)
{
    struct buf reply = BUF_TEXT(MILTER_REPLY_MOST);
    struct why why = WHY;

    if (milter_reply_parse(text, &reply, &why) == 0) {
        refuse(m, e, reply.p, a);
    } else {
        milter_talks_nonsense(m, why_text(&why));
        milter_answer_copy(a, &m->held);
    }
    buf_free(&reply);
    why_free(&why);
}

bool milter_judges(struct milter *m, const struct milter_event *e, const struct milter_said *said,
                   struct milter_answer *a)
{
    switch (said->word) {
    case MILTER_CONTINUE:
        return true;
    case MILTER_SKIP:
        m->skips |= e->unwanted;
        return true;
    case MILTER_ACCEPT:
        passes(m, e);
        return true;
    case MILTER_DISCARD:
        if (e->of_session) {
            msg_warn_each("milter %s: DISCARD action is not allowed for connect or helo",
                          m->entry->name);
        } else if (e->command != MILTER_UNKNOWN) {
            m->state = MILTER_PASSED;
            milter_reply(a, MILTER_DISCARDS, "");
        }
        return true;
    case MILTER_REJECT:
        refuse(m, e, "550 5.7.1 Command rejected", a);
        return true;
    case MILTER_TEMPFAIL:
        refuse(m, e, TRY_LATER, a);
        return true;
    case MILTER_REPLY:
        replies(m, e, said->text, a);
        return true;
    case MILTER_SHUTDOWN:
        milter_reply(&m->held, MILTER_SHUTS_DOWN, GOOD_BYE);
        milter_answer_copy(a, &m->held);
        milter_closes(m);
        return true;
    default:
        return false;
    }
}

/* That it has seen enough of a message says nothing of the session. */
static bool is_listening(const struct milter *m, const struct milter_event *e)
{
    return m->state == MILTER_ASKED || (m->state == MILTER_PASSED && e->of_session);
}

bool milter_wants(const struct milter *m, const struct milter_event *e)
{
    return is_listening(m, e) && ((m->terms.habits | m->skips | m->lacks) & e->unwanted) == 0;
}

void milter_hear_answer(struct milter *m, const struct milter_event *e, int64_t deadline,
                        struct milter_answer *a)
{
    struct buf packet = BUF(MILTER_PACKET_MOST); /* asked: by milter_hear */
    struct milter_said said = {0};
    bool holds = false, done = false;

    while (!done && milter_hear(m, e->name, deadline, &packet, &said)) {
        done = milter_judges(m, e, &said, a);
        if (said.word == MILTER_QUARANTINE)
            holds = true;
        else if (!done && said.word != MILTER_PROGRESS) {
            milter_fails(m, "unexpected filter response '%c' after event SMFIC_%s", (char)said.word,
                         e->name);
            break;
        }
    }
    if (!done)
        milter_answer_copy(a, &m->held);
    if (holds && a->does == MILTER_GOES_ON)
        milter_reply(a, MILTER_HOLDS, "");
    buf_free(&packet);
}

/* Bytes that nobody has asked for would be taken for the answer to the next event. */
static bool is_quiet(struct milter *m)
{
    char byte;

    if (!m->lent && stream_ahead(m->stream) == 0)
        return true;
    m->lent = false;
    if (stream_ahead(m->stream) == 0 &&
        recv(stream_fd(m->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
        return true;
    milter_fails(m, "the connection was closed, or it said what it was not asked for");
    return false;
}

bool milter_send_event(struct milters *all, struct milter *m, const struct milter_event *e,
                       struct str data, int64_t deadline)
{
    struct buf out = BUF(MILTER_PACKET_MOST); /* asked: by milter_send */

    milter_put_macros(&out, all, m, e->stage, e->command);
    size_t begin = milter_packet_begin(&out, e->command);
    buf_add(&out, data);
    milter_packet_end(&out, begin);
    bool sent = milter_send(m, &out, e->name, deadline);
    buf_free(&out);
    return sent;
}

/* A filter that does not want an event may want its macros: they go along with the next one. */
static void put_macros_only(struct milters *all, struct milter *m, const struct milter_event *e)
{
    struct buf out = BUF(MILTER_PACKET_MOST);

    if (!is_listening(m, e) || ((m->skips | m->lacks) & e->unwanted) != 0)
        return;
    milter_put_macros(&out, all, m, e->stage, e->command);
    stream_set_deadline(m->stream, task_now() + m->entry->command_ms);
    if (buf_ok(&out)) /* a failure shows at the next event */
        stream_put(m->stream, buf_str(&out));
    buf_free(&out);
}

static void ask_one(struct milters *all, struct milter *m, const struct milter_event *e,
                    const struct buf *data, struct milter_answer *a)
{
    int64_t limit = e->command == MILTER_CONNECT ? m->entry->connect_ms : m->entry->command_ms;
    int64_t deadline = task_now() + limit;

    if (milter_wants(m, e) && is_quiet(m)) {
        m->told |= e->command != MILTER_CONNECT && e->command != MILTER_UNKNOWN;
        if (!buf_ok(data))
            milter_fails(m, "SMFIC_%s is too long", e->name);
        else if (milter_send_event(all, m, e, buf_str(data), deadline) &&
                 (m->terms.habits & e->silent) == 0)
            milter_hear_answer(m, e, deadline, a);
    } else {
        put_macros_only(all, m, e);
    }
    if (m->state == MILTER_GONE && a->does == MILTER_GOES_ON)
        milter_answer_copy(a, &m->held);
}

/* Whoever only wants the message held has not decided: the others are still asked. */
static enum milter_does ask_all(struct milters *all, const struct milter_event *e,
                                const struct buf *data, struct milter_answer *a)
{
    bool holds = false;

    milter_reply(a, MILTER_GOES_ON, "");
    for (size_t i = 0; all != NULL && i < all->n; i++) {
        if (e->command == MILTER_CONNECT && all->at[i].state == MILTER_UNASKED)
            milter_open(&all->at[i]);
        ask_one(all, &all->at[i], e, data, a);
        if (a->does != MILTER_GOES_ON && a->does != MILTER_HOLDS)
            return a->does;
        holds |= a->does == MILTER_HOLDS;
        a->does = MILTER_GOES_ON;
    }
    if (holds)
        a->does = MILTER_HOLDS;
    return a->does;
}

/* ---- the events ---- */

enum milter_does milters_connect(struct milters *m, const char *client_name,
                                 const struct addr *client, struct milter_answer *a)
{
    static const struct milter_event e = {.command = MILTER_CONNECT,
                                          .stage = MILTER_AT_CONNECT,
                                          .unwanted = MILTER_NO_CONNECT,
                                          .silent = MILTER_SILENT_CONNECT,
                                          .name = "CONNECT",
                                          .of_session = true};
    struct buf data = BUF_TEXT(1024);
    char text[ADDR_TEXT], port[2] = {(char)(client->port >> 8), (char)(client->port & 0xff)};

    milter_put_text(&data, strz(client_name));
    if (client->family == AF_INET || client->family == AF_INET6) {
        buf_addc(&data, client->family == AF_INET ? '4' : '6');
        buf_add(&data, (struct str){port, 2});
        milter_put_text(&data, strz(addr_text(client, text)));
    } else {
        buf_addc(&data, 'U');
    }
    ask_all(m, &e, &data, a);
    buf_free(&data);
    return a->does;
}

static enum milter_does ask_text(struct milters *m, const struct milter_event *e, struct str text,
                                 struct milter_answer *a)
{
    struct buf data = BUF(MILTER_PACKET_MOST); /* asked: by ask */

    milter_put_text(&data, text);
    ask_all(m, e, &data, a);
    buf_free(&data);
    return a->does;
}

enum milter_does milters_helo(struct milters *m, const char *name, struct milter_answer *a)
{
    static const struct milter_event e = {.command = MILTER_HELO,
                                          .stage = MILTER_AT_HELO,
                                          .unwanted = MILTER_NO_HELO,
                                          .silent = MILTER_SILENT_HELO,
                                          .name = "HELO",
                                          .of_session = true};

    return ask_text(m, &e, strz(name), a);
}

static void put_args(struct buf *data, const struct str *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        milter_put_text(data, args[i]);
}

enum milter_does milters_mail(struct milters *m, const struct str *args, size_t n,
                              struct milter_answer *a)
{
    static const struct milter_event e = {.command = MILTER_MAIL,
                                          .stage = MILTER_AT_MAIL,
                                          .unwanted = MILTER_NO_MAIL,
                                          .silent = MILTER_SILENT_MAIL,
                                          .name = "MAIL"};
    struct buf data = BUF(MILTER_PACKET_MOST); /* asked: by ask */

    put_args(&data, args, n);
    ask_all(m, &e, &data, a);
    buf_free(&data);
    return a->does;
}

static const struct milter_event rcpt_event = {.command = MILTER_RCPT,
                                               .stage = MILTER_AT_RCPT,
                                               .unwanted = MILTER_NO_RCPT,
                                               .silent = MILTER_SILENT_RCPT,
                                               .name = "RCPT"};

static void tell_refused(struct milters *all, const struct buf *data)
{
    for (size_t i = 0; i < all->n; i++) {
        struct milter_answer ignored = MILTER_ANSWER;
        if ((all->at[i].terms.habits & MILTER_REFUSED_RCPTS) != 0)
            ask_one(all, &all->at[i], &rcpt_event, data, &ignored);
        milter_answer_free(&ignored);
    }
}

enum milter_does milters_rcpt(struct milters *m, const struct str *args, size_t n, bool refused,
                              struct milter_answer *a)
{
    struct buf data = BUF(MILTER_PACKET_MOST); /* asked: by ask */

    milter_reply(a, MILTER_GOES_ON, "");
    put_args(&data, args, n);
    if (!refused)
        ask_all(m, &rcpt_event, &data, a);
    else if (m != NULL)
        tell_refused(m, &data);
    buf_free(&data);
    return a->does;
}

enum milter_does milters_data(struct milters *m, struct milter_answer *a)
{
    static const struct milter_event e = {.command = MILTER_DATA,
                                          .stage = MILTER_AT_DATA,
                                          .unwanted = MILTER_NO_DATA,
                                          .silent = MILTER_SILENT_DATA,
                                          .name = "DATA"};
    struct buf nothing = BUF_TEXT(1);

    return ask_all(m, &e, &nothing, a);
}

enum milter_does milters_unknown(struct milters *m, struct str line, struct milter_answer *a)
{
    static const struct milter_event e = {.command = MILTER_UNKNOWN,
                                          .stage = MILTER_AT_UNKNOWN,
                                          .unwanted = MILTER_NO_UNKNOWN,
                                          .silent = MILTER_SILENT_UNKNOWN,
                                          .name = "UNKNOWN"};

    return ask_text(m, &e, line, a);
}

enum milter_does milters_other(struct milters *m, struct milter_answer *a)
{
    milter_reply(a, MILTER_GOES_ON, "");
    for (size_t i = 0; m != NULL && i < m->n && a->does == MILTER_GOES_ON; i++)
        if (m->at[i].state == MILTER_GONE && m->at[i].held.does != MILTER_HOLDS)
            milter_answer_copy(a, &m->at[i].held);
    return a->does;
}

/* ---- the session ---- */

struct milters *milters_new(const struct milter_list *list, milter_macro_fn *macro, void *arg)
{
    if (list->n == 0)
        return NULL;
    struct milters *m = mem_new(sizeof *m);
    m->n = list->n;
    m->macro = macro;
    m->arg = arg;
    for (size_t i = 0; i < list->n; i++) {
        m->at[i] = (struct milter){.entry = &list->at[i], .held = MILTER_ANSWER};
        m->at[i].list_text = BUF(MILTER_TERMS_MOST); /* asked: by milter_hear */
    }
    return m;
}

void milters_free(struct milters **m)
{
    if (*m == NULL)
        return;
    for (size_t i = 0; i < (*m)->n; i++) {
        stream_abort(&(*m)->at[i].stream);
        milter_answer_free(&(*m)->at[i].held);
        buf_free(&(*m)->at[i].list_text);
    }
    milter_list_free(&(*m)->own);
    free(*m);
    *m = NULL;
}

void milter_say(struct milter *m, enum milter_command command)
{
    struct buf out = BUF(16); /* fits: a packet without data */

    milter_packet_end(&out, milter_packet_begin(&out, command));
    stream_set_deadline(m->stream, task_now() + m->entry->command_ms);
    stream_put(m->stream, buf_str(&out));
    stream_flush(m->stream); /* a failure shows at the next event */
    buf_free(&out);
}

void milters_abort(struct milters *m)
{
    for (size_t i = 0; m != NULL && i < m->n; i++) {
        if (m->at[i].stream != NULL && m->at[i].told)
            milter_say(&m->at[i], MILTER_ABORT);
        m->at[i].told = false;
        m->at[i].skips = 0;
        if (m->at[i].state == MILTER_PASSED)
            m->at[i].state = MILTER_ASKED;
    }
}

void milters_quit(struct milters *m)
{
    milters_abort(m);
    for (size_t i = 0; m != NULL && i < m->n; i++)
        if (m->at[i].stream != NULL) {
            milter_say(&m->at[i], MILTER_QUIT);
            milter_closes(&m->at[i]);
        }
}

bool milters_want_content(const struct milters *m)
{
    for (size_t i = 0; m != NULL && i < m->n; i++)
        if (m->at[i].state == MILTER_ASKED)
            return true;
    return false;
}
