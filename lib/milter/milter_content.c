/*
 * The content part: one filter after the other sees the whole message, and then says what is to
 * become of it.
 */
#include "milter/milter_content.h"

#include <string.h>

#include "conf/conf.h"
#include "milter/milter_inside.h"
#include "net/stream.h"
#include "task/task.h"

enum { CHUNK = 65535 }; /* of the body, as filters know it from Sendmail */

static const struct milter_event header_event = {.command = MILTER_HEADER,
                                                 .stage = MILTER_AT_END_OF_HEADER,
                                                 .unwanted = MILTER_NO_HEADERS,
                                                 .silent = MILTER_SILENT_HEADER,
                                                 .name = "HEADER"};
static const struct milter_event eoh_event = {.command = MILTER_END_OF_HEADER,
                                              .stage = MILTER_AT_END_OF_HEADER,
                                              .unwanted = MILTER_NO_END_OF_HEADER,
                                              .silent = MILTER_SILENT_END_OF_HEADER,
                                              .name = "EOH"};
static const struct milter_event body_event = {.command = MILTER_BODY,
                                               .stage = MILTER_AT_END,
                                               .unwanted = MILTER_NO_BODY,
                                               .silent = MILTER_SILENT_BODY,
                                               .name = "BODY"};
static const struct milter_event end_event = {
    .command = MILTER_END, .stage = MILTER_AT_END, .name = "BODYEOB"};

/* One filter and the message. */
struct show {
    struct milters *all;
    struct milter *m;
    const struct milter_content *content;
    struct milter_answer *a;
    int64_t until; /* the end of all of it */
    bool edited; /* the message is not what it was */
    bool answered; /* it has said what it thinks of the whole */
    bool given_up; /* by us: a is our answer, and its edits are not done any more */
    enum { BODY_AS_IT_WAS, BODY_COMES, BODY_REPLACED } body;
    int64_t words; /* of its answer to the end */
};

static int64_t deadline_of(const struct show *s)
{
    int64_t next = task_now() + s->m->entry->content_ms;

    return next < s->until ? next : s->until;
}

/* Does it still see this message? */
static bool goes_on(const struct show *s)
{
    return s->m->state == MILTER_ASKED && s->a->does == MILTER_GOES_ON;
}

/* The message cannot be read or changed as it must. That is no fault of the filter: what it still
 * says is read, and the next message of the session is shown to it as ever. */
static void gives_up(struct show *s, const struct why *why)
{
    struct buf text = BUF_TEXT(MILTER_REPLY_MOST);
    const char *code = why_later(why) ? "451" : strcmp(why->code, "5.3.4") == 0 ? "552" : "554";

    buf_addf(&text, "%s %s %s", code, why->code, why_text(why));
    milter_reply(s->a, MILTER_REPLIES, text.p);
    buf_free(&text);
    s->given_up = true;
}

static void show_event(struct show *s, const struct milter_event *e, struct str data)
{
    if (!milter_wants(s->m, e))
        return;
    if (!milter_send_event(s->all, s->m, e, data, deadline_of(s)))
        milter_answer_copy(s->a, &s->m->held);
    else if ((s->m->terms.habits & e->silent) == 0)
        milter_hear_answer(s->m, e, deadline_of(s), s->a);
}

static struct str without_blank(struct str value)
{
    return value.n > 0 && value.p[0] == ' ' ? str_from(value, 1) : value;
}

static void show_header(struct show *s)
{
    struct buf data = BUF(MILTER_PACKET_MOST / 2);
    struct str name, value;
    struct why why = WHY;
    int more = s->content->rewind(s->content->arg, &why) < 0 ? -1 : 1;

    while (goes_on(s) && milter_wants(s->m, &header_event) && more > 0 &&
           (more = s->content->next_header(s->content->arg, &name, &value, &why)) > 0) {
        buf_clear(&data);
        milter_put_text(&data, name);
        bool whole = (s->m->terms.habits & MILTER_LEADING_SPACE) != 0;
        milter_put_text(&data, whole ? value : without_blank(value));
        if (buf_ok(&data))
            show_event(s, &header_event, buf_str(&data));
        else
            more = why_set(&why, "5.3.4", "a header field is too long");
    }
    if (more < 0)
        gives_up(s, &why);
    buf_free(&data);
    why_free(&why);
}

/* All whole chunks of what has gathered, or, at the end, all of it. */
static void show_chunks(struct show *s, struct buf *gathered, bool end)
{
    while (goes_on(s) && gathered->n > 0 && (end || gathered->n >= CHUNK)) {
        struct str chunk = str_upto(buf_str(gathered), CHUNK);
        show_event(s, &body_event, chunk);
        buf_skip(gathered, chunk.n);
    }
}

static void show_body(struct show *s)
{
    struct buf gathered = BUF(CHUNK + MILTER_PIECE);
    struct why why = WHY;
    int more = 1;

    while (goes_on(s) && milter_wants(s->m, &body_event) && more > 0) {
        more = s->content->next_body(s->content->arg, &gathered, &why);
        if (!buf_ok(&gathered))
            more = why_set(&why, "4.3.0", "a piece of the body is too long");
        if (more >= 0)
            show_chunks(s, &gathered, more == 0);
    }
    if (more < 0)
        gives_up(s, &why);
    buf_free(&gathered);
    why_free(&why);
}

/* ---- its edits ---- */

/* Values come without the blank behind the colon, unless both know better. */
static struct str with_blank(const struct show *s, struct str value, struct buf *room)
{
    if ((s->m->terms.habits & MILTER_LEADING_SPACE) != 0)
        return value;
    buf_setz(room, " ");
    buf_add(room, value);
    return buf_str(room);
}

static int edit_header(struct show *s, const struct milter_said *said, struct why *why)
{
    const struct milter_content *c = s->content;
    struct buf room = BUF(MILTER_PACKET_MOST + 1);
    bool removes = said->word == MILTER_CHANGE_HEADER && said->more.n == 0;
    struct str value = removes ? said->more : with_blank(s, said->more, &room);
    int result = -1;

    if (!buf_ok(&room))
        why_set(why, "5.3.4", "a header field is too long");
    else if (said->word == MILTER_ADD_HEADER)
        result = c->add_header(c->arg, said->text, value, why);
    else if (said->word == MILTER_INSERT_HEADER)
        result = c->insert_header(c->arg, said->index, said->text, value, why);
    else
        result = c->change_header(c->arg, said->index, said->text, value, why);
    buf_free(&room);
    return result;
}

/* The new body has come when something else comes. */
static int end_body(struct show *s, struct why *why)
{
    if (s->body != BODY_COMES)
        return 0;
    s->body = BODY_REPLACED;
    return s->content->replace_body(s->content->arg, STR(""), true, why);
}

static int edit_body(struct show *s, const struct milter_said *said, struct why *why)
{
    if (s->body == BODY_REPLACED) {
        milter_talks_nonsense(
            s->m, "body replacement requests can't currently be mixed with other requests");
        return 0;
    }
    s->body = BODY_COMES;
    return s->content->replace_body(s->content->arg, said->text, false, why);
}

/* False: it is no edit. */
static bool is_edit(enum milter_word word)
{
    return word != 0 && memchr("+-2behimq", (int)word, 9) != NULL;
}

static int edit(struct show *s, const struct milter_said *said, struct why *why)
{
    const struct milter_content *c = s->content;

    switch (said->word) {
    case MILTER_CHANGE_SENDER:
        return c->change_sender(c->arg, said->text, said->more, why);
    case MILTER_ADD_RCPT:
    case MILTER_ADD_RCPT_ARGS:
        return c->add_rcpt(c->arg, said->text, said->more, why);
    case MILTER_DROP_RCPT:
        return c->drop_rcpt(c->arg, said->text, why);
    case MILTER_QUARANTINE:
        return c->quarantine(c->arg, said->text, why);
    case MILTER_REPLACE_BODY:
        return edit_body(s, said, why);
    default:
        return edit_header(s, said, why);
    }
}

/* Its verdict, which counts unless we have one already. False: it is none. */
static bool judges_end(struct show *s, const struct milter_said *said)
{
    struct milter_answer ignored = MILTER_ANSWER;
    bool done = milter_judges(s->m, &end_event, said, s->given_up ? &ignored : s->a);

    if (!done)
        milter_fails(s->m, "unexpected filter response '%c' after event SMFIC_BODYEOB",
                     (char)said->word);
    milter_answer_free(&ignored);
    return done;
}

/* One word of its answer to the end of the message. True: that was the last. */
static bool end_word(struct show *s, const struct milter_said *said)
{
    struct why why = WHY;
    bool done = false;
    int result = 0;

    if (said->word == MILTER_PROGRESS)
        return false;
    if (said->word != MILTER_REPLACE_BODY && !s->given_up)
        result = end_body(s, &why);
    if (!is_edit(said->word)) {
        done = judges_end(s, said);
    } else if (result == 0 && !s->given_up) {
        s->edited = true;
        result = edit(s, said, &why);
    }
    if (result < 0)
        gives_up(s, &why);
    why_free(&why);
    return done;
}

static void show_end(struct show *s)
{
    struct buf packet = BUF(MILTER_PACKET_MOST); /* asked: by milter_hear */
    struct milter_said said;
    bool done = false;

    if (milter_send_event(s->all, s->m, &end_event, STR(""), deadline_of(s)))
        while (!done && s->m->stream != NULL &&
               milter_hear(s->m, end_event.name, deadline_of(s), &packet, &said)) {
            if (++s->words > conf.milter_reply_count_limit)
                milter_fails(s->m, "more than milter_reply_count_limit replies to one message");
            else
                done = end_word(s, &said);
        }
    s->answered = done;
    if (!done && !s->given_up)
        milter_answer_copy(s->a, &s->m->held);
    /* its answer counts, but whoever uses the connection next would hear the rest */
    if (s->m->stream != NULL && stream_ahead(s->m->stream) > 0)
        milter_fails(s->m, "it said more than an answer to SMFIC_BODYEOB");
    buf_free(&packet);
}

static void show_to(struct show *s)
{
    s->m->told = true;
    show_header(s);
    if (goes_on(s))
        show_event(s, &eoh_event, STR(""));
    if (goes_on(s))
        show_body(s);
    if (goes_on(s))
        show_end(s);
    else if (s->given_up && s->m->stream != NULL)
        milter_say(s->m, MILTER_ABORT);
    /* It has failed in the middle: nobody wants half of its changes. */
    if (s->edited && !s->answered && s->m->state == MILTER_GONE &&
        (s->a->does == MILTER_GOES_ON || s->a->does == MILTER_HOLDS))
        milter_reply(s->a, MILTER_REPLIES, "451 4.7.1 Service unavailable - try again later");
}

enum milter_does milters_message(struct milters *m, const struct milter_content *content,
                                 struct milter_answer *a)
{
    bool holds = false;

    milter_reply(a, MILTER_GOES_ON, "");
    for (size_t i = 0; m != NULL && i < m->n; i++) {
        struct show s = {.all = m,
                         .m = &m->at[i],
                         .content = content,
                         .a = a,
                         .until = task_now() + conf.milter_message_time_limit * 1000};
        if (s.m->state == MILTER_ASKED)
            show_to(&s);
        s.m->told = false; /* it has seen the end: there is nothing to abort */
        if (a->does != MILTER_GOES_ON && a->does != MILTER_HOLDS)
            return a->does;
        holds |= a->does == MILTER_HOLDS;
        a->does = MILTER_GOES_ON;
    }
    if (holds)
        a->does = MILTER_HOLDS;
    return a->does;
}
