/* milter_inside.h - one filter of a session, shared by the files of lib/milter */
#ifndef MILTER_MILTER_INSIDE_H
#define MILTER_MILTER_INSIDE_H

#include "milter/milter.h"
#include "milter/milter_wire.h"

struct stream;

enum milter_state {
    MILTER_UNASKED, /* not connected yet */
    MILTER_ASKED, /* connected: it sees what happens */
    MILTER_PASSED, /* it has seen enough of this message */
    MILTER_GONE, /* it has seen enough of the session, or cannot be asked: held is its answer */
};

struct milter {
    const struct milter_entry *entry;
    struct stream *stream; /* null unless connected */
    enum milter_state state;
    struct milter_answer held; /* its answer to all later events */
    struct milter_terms terms; /* lists: slices of list_text */
    struct buf list_text;
    uint32_t lacks; /* flags as habits: events that its version does not have */
    uint32_t skips; /* the same: events that it has seen enough of, in this message */
    bool told; /* something since the last abort */
    bool lent; /* another process has used the connection */
    bool borrowed; /* it is another process's connection, from milters_import */
};

/* Bytes of the answer to a negotiation, mostly lists of macros. */
enum { MILTER_TERMS_MOST = 2048 };

struct milters {
    struct milter at[MILTERS_MOST];
    size_t n;
    milter_macro_fn *macro;
    void *arg;
    struct milter_list own; /* of milters_import: the entries */
};

/* An event: what it is called in the log, and which flags of the negotiation are about it. */
struct milter_event {
    enum milter_command command;
    enum milter_stage stage;
    uint32_t unwanted, silent;
    const char *name; /* of SMFIC_name */
    bool of_session; /* its answers hold for the session: CONNECT, HELO */
};

/* Sets the answer. */
enum milter_does milter_reply(struct milter_answer *a, enum milter_does does, const char *text);
enum milter_does milter_answer_copy(struct milter_answer *a, const struct milter_answer *from);

/*
 * It cannot be asked any more: logs "milter NAME: text", closes the connection for all that have
 * it, and sets held from the default action. If the task is cancelled, nothing is logged, and held
 * is 421.
 */
void milter_fails(struct milter *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As milter_closes. What another process has of this connection must not find half a packet, or
 * half an answer: the filter sees the end, and so do we in the other process. */
void milter_shut(struct milter *m);
/* No more events of this session; "goes on" is the answer held, if there is none yet. */
void milter_closes(struct milter *m);
/* A reply that SMTP does not have: it fails; a default action that refuses says 451 4.3.5. */
void milter_talks_nonsense(struct milter *m, const char *what);

/* milter_open.c. (waits) Connects and negotiates. False: it has failed. */
bool milter_open(struct milter *m);

/* milter_macros.c. The packet with the macros of a stage. */
void milter_put_macros(struct buf *out, const struct milters *all, const struct milter *m,
                       enum milter_stage stage, enum milter_command command);

/* (waits) Sends what is in out. False: it has failed. */
bool milter_send(struct milter *m, const struct buf *out, const char *event, int64_t deadline_ms);
/* (waits) One reply. packet has its bytes, of which said has slices; of the negotiation's, which is
 * read by milter_terms_parse, only the word. False: it has failed, as logged. */
bool milter_hear(struct milter *m, const char *event, int64_t deadline_ms, struct buf *packet,
                 struct milter_said *said);
/* Does what a filter may say to any event: continue, accept, reject ... False: it is another word,
 * and nothing has changed. */
bool milter_judges(struct milter *m, const struct milter_event *e, const struct milter_said *said,
                   struct milter_answer *a);

/* (waits) The macros of the event and the event. False: it has failed. */
bool milter_send_event(struct milters *all, struct milter *m, const struct milter_event *e,
                       struct str data, int64_t deadline_ms);
/* (waits) What has no answer: that the message, or the session, is over. */
void milter_say(struct milter *m, enum milter_command command);
/* Does it want to see such an event now? */
bool milter_wants(const struct milter *m, const struct milter_event *e);
/* (waits) Until it has said what it thinks of the event; a is set. */
void milter_hear_answer(struct milter *m, const struct milter_event *e, int64_t deadline_ms,
                        struct milter_answer *a);

#endif
