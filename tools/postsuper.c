/*
 * NAME
 *   postsuper - the administrator's hands in the queue
 *
 * SYNOPSIS
 *   postsuper [-psSv] [-c config_dir] [-d queue_id] [-e queue_id] [-f queue_id] [-h queue_id]
 *             [-H queue_id] [-r queue_id] [queue...]
 *
 * DESCRIPTION
 *   -d deletes messages, -h puts them on hold, -H releases them, -r has them made anew by cleanup
 *   (so that changed rewriting applies), -e returns them to their senders at the next attempt, -f
 *   also when they are on hold. A message whose sender is still to be told of recipients that are
 *   done is not requeued: the queue manager sends the report first. What fails is told, and ends in
 *   exit status 1. Each may be given several times; the queue id "-" reads ids from
 *   standard input, ALL means every message. -s puts names and places of queue files right after a
 *   restore or a change of hash_queue_names, -p removes old temporary files; without options both
 *   are done. While the mail system runs, long ids are kept where enable_long_queue_ids is no. The
 *   queues are those named, or those that the option is meant for.
 *
 * SECURITY
 *   For the superuser, who becomes the mail owner, or the mail owner himself.
 *
 * SEE ALSO
 *   postqueue(1), postcat(1), qmgr(8)
 */
#include "postsuper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "queue/qid.h"
#include "service/openlog.h"

#include "running.h"

enum { MODE_EXPIRE = 0010, ACTIONS = 6 };

static const enum queue logs[] = {Q_BOUNCE, Q_DEFER, Q_TRACE, Q_COUNT};

/* What to do with one message that was found in a queue: true when it was done. */
typedef bool action_fn(const char *id, enum queue q);

struct action;

/* An option with its queue id, in the order given. */
struct order {
    const struct action *action;
    const char *id;
};

static struct {
    VEC(struct order) orders;
    enum queue queues[Q_COUNT + 1]; /* named on the command line */
    size_t nqueues;
    bool structure, purge;
    bool running; /* the mail system */
    size_t done[ACTIONS];
    bool failed; /* something was there and could not be done */
} super;

/* A message that has moved on is looked for again; any other failure is told, and the command's
 * exit status says so, too. */
static bool succeeded(int result, const char *id, const char *what)
{
    if (result < 0 && errno != ENOENT) {
        msg_warn("%s: cannot be %s: %s", id, what, strerror(errno));
        super.failed = true;
    }
    return result == 0;
}

static bool move(const char *id, enum queue from, enum queue to, const char *what)
{
    return succeeded(queue_move(id, from, to, NULL), id, what);
}

static bool delete_one(const char *id, enum queue q)
{
    if (!succeeded(queue_remove(q, id, NULL), id, "removed"))
        return false;
    for (const enum queue *log = logs; *log != Q_COUNT; log++)
        queue_remove(*log, id, NULL);
    return true;
}

static bool set_time(const char *id, enum queue q)
{
    struct buf path = BUF(512);
    bool set;

    queue_path(&path, q, id);
    set = succeeded(utimensat(AT_FDCWD, path.p, NULL, 0), id, "made due");
    buf_free(&path);
    return set;
}

static bool hold_one(const char *id, enum queue q)
{
    return move(id, q, Q_HOLD, "placed on hold");
}

/* Due at once: it has waited long enough. */
static bool release_one(const char *id, enum queue q)
{
    return set_time(id, q) && move(id, q, Q_DEFERRED, "released from hold");
}

/* The log of recipients that are done goes with this queue id: under the new one nobody would be
 * told what became of them. */
static bool owes_report(const char *id)
{
    if (!queue_may_have(Q_BOUNCE, id) && !queue_may_have(Q_TRACE, id))
        return false;
    msg_warn("%s: cannot be requeued before its sender has had the report that is due", id);
    super.failed = true;
    return true;
}

/* pickup takes it from there and cleanup makes a new message of what is left to do. */
static bool requeue_one(const char *id, enum queue q)
{
    if (owes_report(id) || !set_time(id, q) || !move(id, q, Q_MAILDROP, "requeued"))
        return false;
    queue_remove(Q_DEFER, id, NULL);
    return true;
}

static bool expire_one(const char *id, enum queue q)
{
    struct buf path = BUF(512);
    struct stat st;
    bool done;

    queue_path(&path, q, id);
    done = lstat(path.p, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & MODE_EXPIRE) &&
           succeeded(chmod(path.p, (st.st_mode & 07777) | MODE_EXPIRE), id, "expired") &&
           set_time(id, q);
    buf_free(&path);
    return done;
}

static bool expire_and_release_one(const char *id, enum queue q)
{
    bool expired = expire_one(id, q);

    return (q == Q_HOLD && release_one(id, q)) || expired;
}

static const struct action {
    char option;
    action_fn *run;
    const char *one, *all; /* for the log */
    enum queue queues[5]; /* closed by Q_COUNT */
} actions[ACTIONS] = {
    {'d', delete_one, "removed", "Deleted", {Q_HOLD, Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT}},
    {'r', requeue_one, "requeued", "Requeued", {Q_HOLD, Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT}},
    {'h',
     hold_one,
     "placed on hold",
     "Placed on hold",
     {Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT}},
    {'H', release_one, "released from hold", "Released from hold", {Q_HOLD, Q_COUNT}},
    {'e',
     expire_one,
     "expired",
     "Force-expired",
     {Q_HOLD, Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT}},
    {'f',
     expire_and_release_one,
     "expired",
     "Force-expired",
     {Q_HOLD, Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_COUNT}},
};
static const enum queue *queues_for(const struct action *a)
{
    return super.nqueues > 0 ? super.queues : a->queues;
}

static void count(const struct action *a)
{
    super.done[a - actions]++;
}

/* A message may move on while we look for it: one more look finds it. */
static void do_one(const struct action *a, const char *id)
{
    if (!qid_valid(strz(id))) {
        msg_warn("invalid mail queue id: %s", id);
        return;
    }
    for (int round = 0; round < 2; round++)
        for (const enum queue *q = queues_for(a); *q != Q_COUNT; q++)
            if (queue_may_have(*q, id) && a->run(id, *q)) {
                msg_info("%s: %s", id, a->one);
                count(a);
                return;
            }
}

/* Only counted, as by Postfix: of a hundred thousand nobody wants to read. */
static void do_all(const struct action *a)
{
    for (const enum queue *q = queues_for(a); *q != Q_COUNT; q++) {
        struct queue_scan *scan = queue_scan_new(*q);
        const char *id;
        while ((id = queue_scan_next(scan)) != NULL)
            if (a->run(id, *q))
                count(a);
        if (queue_scan_failed(scan)) {
            msg_warn("cannot read all of the %s queue", queue_name(*q));
            super.failed = true;
        }
        queue_scan_free(&scan);
    }
}

static void do_input(const struct action *a)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stdin)) >= 0) {
        struct str rest = str_trim((struct str){line, (size_t)n});
        if (rest.n == 0)
            continue;
        char *id = mem_dup(rest.p, rest.n);
        do_one(a, id);
        free(id);
    }
    free(line);
}

static void do_order(const struct order *o)
{
    if (strcmp(o->id, "ALL") == 0)
        do_all(o->action);
    else if (strcmp(o->id, "-") == 0)
        do_input(o->action);
    else
        do_one(o->action, o->id);
}

static void report(void)
{
    for (size_t i = 0; i < ACTIONS; i++) {
        bool asked = super.done[i] > 0;
        VEC_EACH (&super.orders, o)
            asked |= o->action == &actions[i];
        if (asked)
            msg_info("%s: %zu message%s", actions[i].all, super.done[i],
                     super.done[i] == 1 ? "" : "s");
    }
}

/* Logs first: a message that gets another name takes them along. Orphans last: only where every
 * message is in its place it is certain that a log has none. */
static void check_structure(void)
{
    static const enum queue all[] = {Q_BOUNCE, Q_DEFER,    Q_TRACE, Q_MAILDROP, Q_INCOMING,
                                     Q_ACTIVE, Q_DEFERRED, Q_HOLD,  Q_COUNT};
    size_t fixed = 0;

    for (const enum queue *q = super.nqueues > 0 ? super.queues : all; *q != Q_COUNT; q++) {
        if (super.purge)
            fix_purge(*q);
        if (super.structure)
            fixed += fix_names(*q, super.running, &super.failed);
    }
    if (super.structure && super.nqueues == 0 && !super.failed)
        for (const enum queue *log = logs; *log != Q_COUNT; log++)
            fix_orphans(*log, &super.failed);
    if (fixed > 0)
        msg_info("Renamed to match inode number or place: %zu file%s", fixed,
                 fixed == 1 ? "" : "s");
}

static const struct action *find_action(int option)
{
    for (size_t i = 0; i < ACTIONS; i++)
        if (actions[i].option == option)
            return &actions[i];
    return NULL;
}

static const char *options(int argc, char **argv)
{
    const char *dir = NULL;
    int option;

    while ((option = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1) {
        const struct action *a = find_action(option);
        if (a != NULL) {
            *VEC_ADD(&super.orders) = (struct order){a, optarg};
            continue;
        }
        switch (option) {
        case 'c':
            dir = optarg;
            break;
        case 'p':
            super.purge = true;
            break;
        case 's':
        case 'S':
            super.structure = true;
            break;
        case 'v':
            msg_debug_topics("all");
            break;
        default:
            msg_fatal("usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id "
                      "(expire)] [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H "
                      "queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] "
                      "[-s (structure fix)] [-S (redundant structure fix)][-v (verbose)] "
                      "[queue...]");
        }
    }
    if (super.orders.n == 0 && !super.purge && !super.structure)
        super.purge = super.structure = true;
    return dir;
}

static void take_queues(char **names)
{
    for (; *names != NULL; names++) {
        enum queue q;
        if (!queue_by_name(*names, &q) || super.nqueues == Q_COUNT)
            msg_fatal("no mail queue: %s", *names);
        super.queues[super.nqueues++] = q;
    }
    super.queues[super.nqueues] = Q_COUNT;
}

/* Files keep their owner, and a fault of ours stays in the queue. */
static void become_mail_owner(void)
{
    const struct passwd *pw = getpwnam(conf.mail_owner);
    struct stat st;

    if (getuid() == 0 && pw != NULL) {
        /* A queue of root's own (a test) is handled as root. */
        if (stat(queue_name(Q_INCOMING), &st) == 0 && st.st_uid == 0)
            return;
        if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
            setuid(pw->pw_uid) < 0)
            msg_fatal("cannot become %s: %s", conf.mail_owner, strerror(errno));
    } else if (getuid() != 0 && (stat(queue_name(Q_INCOMING), &st) < 0 || st.st_uid != getuid())) {
        msg_fatal("use of this command is reserved for the superuser");
    }
}

int main(int argc, char **argv)
{
    struct why why = WHY;
    const char *dir;

    msg_open("postsuper");
    msg_to_stderr(true);
    dir = options(argc, argv);
    if (conf_load(dir, NULL, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    service_open_log("postsuper", LOG_TOOL, true);
    msg_to_stderr(true);
    if (chdir(conf.queue_directory) < 0)
        msg_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
    take_queues(argv + optind);
    super.running = running_master() != 0; /* what cannot be told counts as running */
    become_mail_owner();
    if (super.structure || super.purge)
        check_structure();
    VEC_EACH (&super.orders, o)
        do_order(o);
    report();
    VEC_FREE(&super.orders);
    return super.failed ? 1 : 0;
}
