/* master.h - a service and its processes, as master sees them */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/vec.h"
#include "base/why.h"
#include "conf/conf_master.h"
#include "conf/conf_snapshot.h"
#include "ipc/trust.h"
#include "service/interfaces.h"

/* master_loop.c: descriptors and what is to be done when they are ready. */
struct watch {
    struct list link;
    int fd;
    short events; /* 0: not now */
    void (*fn)(struct watch *w);
    void *arg;
};
void loop_add(struct watch *w);
void loop_drop(struct watch *w); /* harmless if not added; also from within fn */
void loop_turn(int64_t until); /* clock_ms; waits once, calls what is ready */

struct svc;

struct endpoint { /* one listening socket or fifo */
    struct watch watch;
    char *at; /* "127.0.0.1:25", "private/bounce" */
    int datagrams_kept; /* it was made so; 0: it is not of datagrams */
    bool kept; /* found again in the new configuration */
};

struct child {
    struct list link; /* in svc.children, the oldest first */
    struct svc *svc;
    pid_t pid;
    struct watch status;
    int log; /* the socket by which it logs to syslog */
    int page; /* of the metrics file */
    int part; /* of the memory with the clients; -1: none was free */
    int limit; /* clients at a time */
    int64_t started; /* clock_ms */
    bool is_full, paused, draining;
    bool served; /* it has told that it finished a client or a piece of work */
};

struct svc {
    struct list link; /* in master.services */
    struct conf_service conf; /* texts are owned: see svc_copy */
    char *path; /* "private/name"; the name itself for inet */
    int64_t sessions; /* of one process, at a time */
    VEC(struct endpoint *) endpoints;
    struct interfaces places; /* of the configuration that is being loaded */
    struct list children;
    int nchildren;
    bool found; /* in the configuration that is being loaded */
    bool retired; /* no longer in master.cf: goes when its last child has gone */
    bool alone; /* said by its processes: never two of them, not even while one drains */
    bool sole; /* said by its processes: never two that accept clients */
    int shared_fd; /* memory of its processes */
    int clients_fd; /* memory with the clients of each of them: service/spawned.h */
    bool used; /* a client has connected (for a wakeup column with ?) */
    bool saturated; /* its processes have been told that all of them are full */
    int64_t next_wakeup; /* clock_ms; 0: none */
    int64_t throttled_until, backoff_ms; /* clock_ms; grows while its processes cannot start */
    bool stressed; /* the limit was reached, and its processes know */
    int64_t stressed_until, warned_at; /* clock_ms */
};

struct master {
    struct list services;
    int64_t now; /* clock_ms of this turn */
    bool foreground, stopping;
    int metrics_fd;
    VEC(bool) pages; /* of the metrics file: in use */
    bool metrics_full; /* the disk has no room for one more page; the warning has been logged */
    pid_t pid;
    struct conf_snapshot accepted; /* main.cf and master.cf that are in force */
};
extern struct master master; /* in master.c */

/* master_services.c */
int services_load(struct why *why); /* master.cf to services; keeps what did not change */
void services_close(void); /* all listening sockets */
void services_free(void);

/* master_ids.c: all do nothing, and all processes have the same ids, unless root starts master. */
void ids_choose(void); /* at the start: they stay until master ends */
const struct trust_ids *ids_of_suite(void);
void ids_open_dirs(void); /* private/ and public/, for network processes to pass */
struct socket_access {
    mode_t mode;
    gid_t gid;
};
struct socket_access
ids_access(const struct conf_service *s); /* as the table of ipc/trust.c implies */
/* Around the making of a socket or fifo: its owner is mail_owner, and its mode and group are these.
 * No other file is to be made in between. end keeps errno. */
void ids_begin_socket(const struct socket_access *a);
void ids_end_socket(const char *path, const struct socket_access *a);

/* master_listen.c */
/* A new configuration calls, in this order: listen_mark once, then for all services listen_keep,
 * then listen_open, then listen_drop. So an open socket moves to the service that now has its
 * address, and is never closed in between. -1 and why. */
void listen_mark(void); /* marks all open sockets as not wanted */
int listen_keep(struct svc *s, struct why *why); /* takes the open sockets that s wants */
int listen_open(struct svc *s, struct why *why); /* opens those that s wants and no service has */
void listen_drop(struct svc *s); /* closes the sockets of s that are not wanted */
void listen_close(struct svc *s);
/* After the end of a process of an inet service: it may have disconnected what all have in common.
 */
void listen_again(struct svc *s, pid_t ended);
void listen_remove(struct svc *s); /* also the name in the file system */
void listen_attend(struct svc *s, bool attend); /* is master to watch for clients? */

/* master_spawn.c */
void spawn_child(struct svc *s);
void spawn_reap(void); /* on SIGCHLD: collects the children that have ended */
bool spawn_has(pid_t pid); /* is it a process of a service? */
void spawn_signal(int signo, bool to_log); /* likewise */
/* The log's writer is started before the others and ends after them. */
bool services_is_log(const struct svc *s);
void spawn_log(void); /* starts it, if it does not run */
int spawn_count(bool of_log); /* children that live, of the log's writer or of all others */
void spawn_metrics_open(void);

/* master_status.c: who accepts; called after every change */
void status_balance(struct svc *s);
void status_watch(struct child *c, int fd);
void status_read(struct child *c); /* handles the status bytes that it has sent so far */
void status_calm(struct svc *s); /* at stressed_until: ends the stress */
int64_t status_room(const struct svc *s); /* clients that a new process may have */
bool status_refuses(
    const struct svc *s); /* clients are sent away: no process has started for long */
void status_drain(struct svc *s); /* its present processes finish their clients */
void status_drain_all(void); /* reload: those of all services */

/* master_log.c: connects master and all processes with a syslog daemon that is new. Called in each
 * turn; when it has to be called next (clock_ms), 0: never, there is a file. */
int64_t log_look(void);

/* master_wakeup.c */
void wakeup_plan(struct svc *s); /* sets next_wakeup, after loading */
void wakeup_due(struct svc *s); /* sends the wake-up if next_wakeup has come */

/* master_control.c */
void control_lock(void); /* pid file and lock; ends the process if another master runs */
bool control_is_locked(void); /* -t */
void control_find_manager(void);
void control_notify(const char *state); /* sd_notify(3): "READY=1" */
void control_reloaded(void); /* the pid file's time tells pombal(1) that a reload is over */
void control_unlock(void);

#endif
