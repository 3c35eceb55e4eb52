/* qmgr.h - the queue manager's data: messages, transports, destinations, jobs, entries */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "queue/delivery.h"

/*
 *   message  a file in active/, known by its queue id
 *     job    its part for one transport: what preemption works on
 *       peer   its part for one destination of that transport
 *         entry  some recipients: one request to an agent
 *   transport   a service of master.cf; gives work to as many tasks as it may have deliveries
 *     dest      a next hop of that transport: its concurrency window, its back-off
 *
 * A message's recipients are taken in batches, so that a list of a million needs no more memory
 * than qmgr_message_recipient_limit allows: all of a batch lives in one arena, which goes with the
 * last of its entries.
 */
struct message {
    struct list link; /* state.active */
    struct arena *mem; /* the message's own strings */
    struct arena *batch; /* recipients, jobs, peers, entries */
    struct delivery d; /* without recipients */
    struct qsize size;
    off_t next; /* more recipients in the file from there; 0: no more */
    size_t pending; /* entries of this batch that are not done; one more while it is assigned */
    size_t nrcpts; /* of this batch, for the memory bound */
    struct list jobs;
    bool bounced, traced, deferred; /* what happened to some recipient: which logs there are */
    bool expired_by_force; /* postsuper -e */
};

struct job {
    struct list in_message;
    struct list in_transport; /* in order of arrival */
    struct message *message;
    struct transport *transport;
    struct list peers;
    int64_t rank; /* the job with the smallest rank goes first; set again when it preempts */
    size_t total, given; /* entries: of this batch, handed to agents so far */
    size_t nrcpts; /* of this batch, in transport->rcpts too */
    size_t slots_used; /* delivery slots used by jobs that preempted this one */
    bool preempting;
};

struct peer {
    struct list in_job;
    struct list in_dest; /* by rank of the job */
    struct job *job;
    struct dest *dest;
    struct list todo; /* entries */
};

struct entry {
    struct list link;
    struct peer *peer;
    struct message *message;
    struct rcpt *rcpts;
    size_t nrcpts, room;
    unsigned attempts; /* deliveries during which the agent died */
    const char *code, *text; /* why it is deferred or bounced without asking an agent */
};

struct timer {
    struct heap_node node;
    void (*fn)(void *arg);
    void *arg;
};

struct dest {
    struct transport *transport;
    char *name; /* the next hop in lower case; with a user in front when recipients go one by one */
    char *nexthop;
    struct heap_node ready; /* in transport->ready: has work and may be asked */
    struct list peers;
    struct peer *assigned; /* one of them: it has got a recipient last; null: unknown */
    size_t busy; /* deliveries under way */
    double window; /* how many there may be */
    double success, failure, failed_cohorts; /* feedback that is not yet a whole step */
    struct timer timer;
    bool resting; /* in its rate delay: no new delivery until the timer */
    bool
        remembered; /* kept until the timer without mail, so that its recent failures still count */
    char *dead_code, *dead_text; /* why it is throttled, until the timer; null: it is not */
};

/* "1", "0.5", "1/concurrency", "0.5 / sqrt_concurrency" */
struct feedback {
    double value;
    enum { FEEDBACK_CONST, FEEDBACK_INVERSE, FEEDBACK_SQRT } kind;
};

struct transport {
    char *name;
    struct channel *channel;
    struct hash *dests;
    struct heap ready; /* dests by rank of their first job */
    struct list jobs;
    size_t workers, max_workers;
    size_t rcpts; /* in memory */
    bool answers; /* the last request was answered */
    struct timer timer;
    bool resting; /* transport rate delay */
    char *dead_text; /* why it is throttled; null: it is not */
    bool deferred_by_admin; /* defer_transports */
    /* Parameters, <transport>_x. */
    size_t concurrency, initial, recipient_limit;
    size_t rcpts_limit; /* <transport>_recipient_limit: in memory */
    double failed_cohort_limit;
    struct feedback positive, negative;
    int64_t rate_delay_ms, dest_rate_delay_ms;
    int64_t slot_cost, slot_loan, slot_discount, min_slots;
    size_t since_preemption; /* entries given since candidates were looked at */
};

/* qmgr.c */
bool qmgr_draining(void);
size_t qmgr_count(void); /* messages in memory */
bool qmgr_room(void); /* is there room for one more message? */
struct message *qmgr_find(const char *queue_id);
void qmgr_add(struct message *m);
void qmgr_drop(struct message *m); /* frees it */
/* How many recipients one more batch may have, given the room in its transports. */
size_t qmgr_rcpt_room(size_t transport_room);
void qmgr_count_rcpts(ptrdiff_t change);
int64_t qmgr_next_rank(void);
/* Has a flush of the whole queue (postqueue -f) been requested after that time? */
bool qmgr_flushed_since(int64_t wall_us);

/* A file stays in the active queue though no message in memory stands for it: a disk that is full
 * or read-only did not let it be moved. qmgr_recover_active makes it new mail again. */
void qmgr_left_behind(void);
/* Whatever is in the active queue and not in memory goes back to incoming: the agents' marks say
 * what is left to do. Does nothing if nothing was left behind; what cannot be moved stays so. */
void qmgr_recover_active(void);

/* qmgr_message.c */
/* These (wait) while recipients are resolved. Cleanup's announcement; the request's attributes are
 * copied. */
void message_arrived(struct attrs *ask);
/* A file found by a scan; false: leave it (not complete, not due, known). */
bool message_take_file(enum queue from, const char *id, const char *path, bool ignore_time);
void message_release(struct message *m); /* one entry has ended; the last one ends the batch */

/* qmgr_assign.c */
/* (waits) Resolves the recipients of a batch and gives them to jobs, peers and entries. */
void message_assign(struct message *m, struct rcpt *rcpts, size_t n);

/* qmgr_done.c */
/* Every recipient was tried: sends the reports that follow, then removes or defers the file. */
void message_done(struct message *m);
bool message_reports_idle(void); /* no report is being asked for */
int64_t message_backoff_s(const struct message *m); /* seconds until the next attempt */

/* qmgr_transport.c */
struct transport *transport_of(const char *name); /* found or made */
/* Starts one more worker task, if there is work for it and a place among max_workers. */
void transport_start_worker(struct transport *t);
/* Throttles the transport: all mail that waits for it is deferred for transport_retry_time. */
void transport_fail(struct transport *t, const struct why *why);
void transport_wake_all(void); /* postqueue -f: ends all throttling */
void transport_open(void); /* before the jail: reads master.cf */
/* Of master.cf, type unix; null: there is none, or it is disabled. */
const struct conf_service *transport_service(const char *name);

/* qmgr_check.c: for check, all that says where mail goes. Faults with conf_fault. */
void qmgr_check_routes(void);
bool transport_idle(void); /* no delivery is under way anywhere */

/* qmgr_dest.c */
/* Found or made. recipient: part of its name if the transport takes one recipient at a time. */
struct dest *dest_of(struct transport *t, const char *nexthop, const char *recipient);
void dest_update(struct dest *d); /* after any change: puts it among the ready ones, or frees it if
                                     it is no longer needed */
void dest_add_peer(struct dest *d, struct peer *p);
void dest_drop_peer(struct dest *d, struct peer *p); /* it has nothing to do any more */
void dest_rerank(struct dest *d, struct peer *p); /* the rank of p's job has changed */
void dest_reset(struct dest *d); /* ends its throttling and forgets its failures */
void dest_delay(struct dest *d); /* after a delivery: its rate delay begins, if it has one */
/* Keeps its failures for minimal_backoff_time, also while there is no mail for it. */
void dest_note_failure(struct dest *d);
/* The destination is dead: all mail that waits for it is deferred for minimal_backoff_time. */
void dest_throttle(struct dest *d, const struct why *why);

/* qmgr_feedback.c */
bool feedback_parse(const char *text, struct feedback *f); /* false: not in the form above */
void feedback_success(struct dest *d); /* a delivery worked: its window may grow */
bool feedback_failure(struct dest *d); /* true: the destination is dead now */

/* qmgr_job.c */
struct peer *job_peer(struct message *m, struct dest *d); /* makes job and peer when needed */
struct entry *job_select(struct transport *t); /* the next entry; null: nothing may go now */
void job_requeue(struct entry *e); /* puts e back, to be selected again */
/* Frees the jobs at the end of a batch. Returns how many recipients the next batch may have, by the
 * room in their transports (<transport>_recipient_limit). */
size_t job_drop_all(struct message *m);
void job_count_rcpt(struct job *j);

/* qmgr_deliver.c */
void deliver_entry(struct transport *t, struct entry *e); /* (waits) */
/* Ends an entry without asking an agent, in a task of its own. The first digit of code decides: 4
 * defers its recipients, 5 bounces them, 2 discards them. */
void deliver_refuse(struct entry *e, const char *code, const char *text);
void deliver_refuse_all(struct dest *d, const char *code, const char *text);
bool deliver_refused_idle(void); /* all refusals have been recorded */

/* qmgr_scan.c */
void scan_start(void); /* starts the scans at start, and every queue_run_delay */
void scan_request(enum queue q, bool ignore_time); /* ignore_time: also files that are not due */
void scan_room(void); /* there is room in the active queue again */
bool scan_flush_id(
    const char *id); /* postqueue -i; false: not deferred or incoming, or already known */
size_t scan_flush_site(const char *domain); /* postqueue -s; (waits) how many messages */

/* qmgr_timer.c */
void timer_set(struct timer *t, int64_t at_ms, void (*fn)(void *),
               void *arg); /* task_now() ms; replaces what was set */
void timer_clear(struct timer *t);

#endif
