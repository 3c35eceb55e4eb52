/* submit.h - hand a message to cleanup: for smtpd, pickup, bounce and local */
#ifndef QUEUE_SUBMIT_H
#define QUEUE_SUBMIT_H

#include "base/why.h"
#include "queue/qrec.h"

/*
 * One message over one connection of the channel to public/cleanup: the attributes of proto.h
 * "submit", then queue file records (envelope, REC_MESG, content, REC_XTRA, REC_END), then one
 * answer with the queue id. Cleanup answers only at the end. A failed write sticks, and commit
 * reports it. Each record has conf.ipc_timeout to be taken; the answer has that, too, and
 * milter_message_time_limit for each milter that cleanup is to ask. The caller's process may have
 * many submissions under way: each takes a channel from a pool.
 */
struct submit;

/* Sent as a number. */
enum submit_flag {
    SUBMIT_BOUNCE = 1, /* if the message is refused, bounce it to its sender (pickup); without this
                          flag only the answer says so */
    SUBMIT_FILTER = 2, /* header_checks, body_checks */
    SUBMIT_HOLD = 4, /* into the hold queue */
    SUBMIT_DISCARD = 8, /* take it and throw it away */
    SUBMIT_BCC_OK = 16, /* always_bcc and friends */
    SUBMIT_MAP_OK = 32, /* canonical, virtual, masquerade */
    SUBMIT_EDIT = 64, /* the message may be changed when it is there: leave gaps (queue/qedit.h) */
    SUBMIT_MILTERS = 128, /* the queue id is told early, and connections to milters may follow */
    SUBMIT_LOCAL = 256, /* no smtpd has taken it: non_smtpd_milters see it */
    SUBMIT_UTF8 = 512, /* SMTPUTF8 was asked for */
    SUBMIT_FIND_UTF8 = 1024, /* cleanup sees whether it is needed (smtputf8_autodetect_classes) */
    SUBMIT_REQUIRETLS = 2048, /* REQUIRETLS was asked for */
    SUBMIT_EXTERNAL = SUBMIT_FILTER | SUBMIT_BCC_OK | SUBMIT_MAP_OK,
};

/*
 * receive_override_options of this service. submit_open_overrides reads it, before the jail; a word
 * that there is not is a conf_fault. submit_external: SUBMIT_EXTERNAL without what it switches off.
 */
enum submit_override {
    OVERRIDE_NO_UNKNOWN_RECIPIENT_CHECKS = 1,
    OVERRIDE_NO_ADDRESS_MAPPINGS = 2,
    OVERRIDE_NO_HEADER_BODY_CHECKS = 4,
    OVERRIDE_NO_MILTERS = 8,
};
void submit_open_overrides(void);
unsigned submit_overrides(void); /* bits of enum submit_override */
unsigned submit_external(void); /* bits of enum submit_flag */
/*
 * SUBMIT_FIND_UTF8, if smtputf8_autodetect_classes names this source of mail: "sendmail", "smtpd",
 * "forward", "bounce", "notify", "verify". 0 if it does not.
 */
unsigned submit_class(const char *source);

/* Bytes of a record that cleanup takes. */
enum { SUBMIT_RECORD_MAX = 60000 };
/* Connections to milters for one message: what a stream takes at a time. */
enum { SUBMIT_MILTERS_MOST = 8 };

struct submit *submit_begin(unsigned flags, struct why *why); /* (waits) connects when needed */
/*
 * With SUBMIT_MILTERS, for smtpd alone. submit_queue_id (waits) comes first and once: cleanup makes
 * the queue file and tells its id. -1 and why: there is none; abort. submit_milters (waits) hands
 * over the connections to the filters that are to see the content, once, behind the recipients and
 * before REC_MESG. state and fds: of milters_export; the descriptors stay the caller's, who leaves
 * them alone before commit or abort. They are not sent a second time: if cleanup ends meanwhile,
 * commit fails with 4.3.0.
 */
int submit_queue_id(struct submit *s, struct buf *queue_id, struct why *why);
void submit_milters(struct submit *s, struct str state, const int *fds, size_t n);
/* (waits) A record. A failure sticks, and submit_commit tells it; also of one that is too long. Of
 * content, a longer one goes in pieces. */
void submit_put(struct submit *s, enum rec type, struct str body);
void submit_putf(struct submit *s, enum rec type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* One line of content of any length, without its end: REC_CONT pieces of line_length_limit, then
 * REC_NORM. */
void submit_line(struct submit *s, struct str line);
void submit_raw(struct submit *s, struct str records); /* already encoded with qrec_put */
/* (waits) Ends the message. 0: queue_id is set and the message is on stable storage; -1 and why,
 * fit for an SMTP reply (4.x.x or 5.x.x): nothing is in the queue. */
int submit_commit(struct submit **s, struct buf *queue_id, struct why *why);
/* The same; if a milter has refused the message, reply is set to what it says: "550 5.7.1 text", of
 * several lines parted by LF. Else it is empty. answered false: nothing is known of cleanup, which
 * may still speak with the milters that it was given: see milters_lost. */
int submit_commit_reply(struct submit **s, struct buf *queue_id, struct buf *reply, bool *answered,
                        struct why *why);
void submit_abort(struct submit **s); /* cleanup drops the message; null is accepted */

#endif
