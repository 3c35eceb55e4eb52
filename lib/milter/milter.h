/* milter.h - asking the mail filters (milters) of one session: their connections, events, verdicts
 */
#ifndef MILTER_MILTER_H
#define MILTER_MILTER_H

#include "base/str.h"
#include "milter/milter_list.h"
#include "net/addr.h"

/*
 * The protocol is Sendmail's (versions 2, 3, 4 and 6), as libmilter speaks it. There is no
 * standard; MILTER_README of Postfix says what an administrator may count on.
 *
 * A struct milters is the filters of one session. Each has its connection, which serves all
 * messages of the session. An event goes to the filters in their order, to each that is still
 * interested; the first that wants more than "go on" decides, and the later ones do not see this
 * event. What a filter says of the connection (CONNECT, HELO), it has said of all later events; an
 * "accept" of the message means that it does not see more of this message.
 *
 * A filter that cannot be reached, dies, hangs or answers what the protocol does not allow is
 * logged once ("warning: milter NAME: ..."), its connection closed, and the default action of its
 * entry is the answer to this and all later events of the session. It is not asked again before the
 * next session. That a task is cancelled is no failure of a filter: the answer is 421 then,
 * whatever its default action says. Each wait has the time of the entry: connect_ms for connecting
 * and for negotiating, command_ms for one event of the envelope, content_ms for one piece of
 * content and for each answer to the end of the message, and milter_message_time_limit for all that
 * one filter does about one message. A packet has at most MILTER_PACKET_MOST bytes.
 *
 * THE WAY OF A MESSAGE
 *
 *   smtpd      milters_new, milters_connect, milters_helo, milters_mail, milters_rcpt,
 *              milters_data; then milters_export: the state as a text, and the descriptors, which
 *              travel with the submission. While cleanup has them, smtpd does not use them; after
 *              its answer: milters_abort, as after RSET, and the next message
 *   cleanup    milters_import, milters_message (milter/milter_content.h), milters_free: the
 *              connections stay open, since smtpd has them too
 *   cleanup, for mail that no smtpd has taken
 *              milters_new, milters_connect ... milters_data, milters_message, milters_quit,
 *              milters_free
 */
struct milters;

enum { MILTER_PACKET_MOST = 1024 * 1024 };

/* What an event comes to. */
enum milter_does {
    MILTER_GOES_ON, /* nothing is to be done */
    MILTER_REPLIES, /* refused; reply is what to say */
    MILTER_HOLDS, /* the message goes into the hold queue; not final: the session goes on */
    MILTER_DISCARDS, /* taken and thrown away; no more events are needed for this message */
    MILTER_SHUTS_DOWN, /* refused; reply is 421, and the session ends */
};
struct milter_answer {
    enum milter_does does;
    /* "550 5.7.1 text", of a reply with several lines parted by LF: "550-5.7.1 a\n550 5.7.1 b".
     * Printable but for that, and at most MILTER_REPLY_MOST bytes. Else empty. */
    struct buf reply;
};
/* libmilter makes up to 32 lines of up to 980 bytes. A longer one is cut, and ends in "...". */
enum { MILTER_REPLY_MOST = 40 * 1024 };
#define MILTER_ANSWER ((struct milter_answer){MILTER_GOES_ON, BUF_TEXT(MILTER_REPLY_MOST)})
void milter_answer_free(struct milter_answer *a);
/* The parts of reply: its code (421, 450, 550 ...), the enhanced code or "", and the text behind
 * them, lines parted by LF, appended. */
int milter_answer_parts(const struct milter_answer *a, char dsn[10], struct buf *text);

/*
 * The value of a macro that a filter is to be sent, by its name without braces for one letter and
 * with them for more: "i", "{client_addr}". Null: it has no value now, and milter_macro_defaults is
 * looked at. Borrowed until the next call. j, v and {daemon_name} are not asked for. May wait.
 */
typedef const char *milter_macro_fn(void *arg, struct str name);

/* The filters of a list, none of them connected. The list must stay. Null: the list is empty; all
 * functions here accept that and do nothing. */
struct milters *milters_new(const struct milter_list *list, milter_macro_fn *macro, void *arg);
/* Closes the connections without a word. Null is accepted, *m becomes null. */
void milters_free(struct milters **m);

/*
 * (waits) The events, in the order of a session. All set *a and return a->does. milters_connect
 * opens the connections. Slices are borrowed during the call.
 */
enum milter_does milters_connect(struct milters *m, const char *client_name,
                                 const struct addr *client, struct milter_answer *a);
enum milter_does milters_helo(struct milters *m, const char *name, struct milter_answer *a);
/* args: the address as the client wrote it, with <>, and the ESMTP parameters. */
enum milter_does milters_mail(struct milters *m, const struct str *args, size_t n,
                              struct milter_answer *a);
/* refused: we have refused this recipient already, only filters that asked for that hear of it, and
 * what they say is not looked at. */
enum milter_does milters_rcpt(struct milters *m, const struct str *args, size_t n, bool refused,
                              struct milter_answer *a);
enum milter_does milters_data(struct milters *m, struct milter_answer *a);
enum milter_does milters_unknown(struct milters *m, struct str line, struct milter_answer *a);
/* Nothing is sent: a refusal at CONNECT or HELO holds for all other commands, too. */
enum milter_does milters_other(struct milters *m, struct milter_answer *a);
/* The message is over for smtpd (RSET, after the content, a refused DATA). Filters that have seen a
 * part of it are told, and all begin anew. Nothing is answered. (waits) */
void milters_abort(struct milters *m);
void milters_quit(struct milters *m); /* (waits) The session is over: tells all, and closes. */

/* Is there a filter that would be sent this message's content? Else nothing need be exported. */
bool milters_want_content(const struct milters *m);

/*
 * (waits) For another process: the state of all filters that want the content, as a text without
 * zero bytes of at most MILTERS_STATE_MOST bytes, and their descriptors in the same order, at most
 * MILTERS_MOST. These stay ours: duplicates travel. False: it did not fit, or a connection has
 * failed; the message cannot be accepted.
 */
enum { MILTERS_STATE_MOST = 32 * 1024 };
bool milters_export(struct milters *m, struct buf *state, int fds[MILTERS_MOST], size_t *n);
/* The other process has not answered: what it was lent is closed here, since the answer to its
 * event would be taken for one to ours. The session ends with 421 at the next event. */
void milters_lost(struct milters *m);
/*
 * The other end. Takes over all n descriptors, also if it fails: null and why (4.3.0), if state is
 * not one that milters_export has written, or does not have n filters. Its macros are evaluated
 * anew, so the values of a message's end are those that the importer knows. The time limits and
 * default actions of the entries come along.
 */
struct milters *milters_import(struct str state, const int *fds, size_t n, milter_macro_fn *macro,
                               void *arg, struct why *why);

#endif
