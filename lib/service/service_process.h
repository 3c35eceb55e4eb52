/* service_process.h - a daemon's process, between the service_*.c */
#ifndef SERVICE_SERVICE_PROCESS_H
#define SERVICE_SERVICE_PROCESS_H

#include "base/list.h"
#include "base/vec.h"
#include "conf/conf_master.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

struct listener {
    int fd; /* never waited for */
    int active; /* a copy to wait for; closed while we may not accept, so that the kernel wakes
                   only who may; -1: none */
    bool is_private; /* of datagrams */
    struct process *process;
    struct task *task; /* accepts; null once it has ended */
};

struct process {
    const struct service *service;
    const char *program; /* base name of argv[0]: "smtp", also when it runs as relay */
    const char *name; /* in master.cf */
    const char *conf_dir;
    VEC(const char *) overrides; /* name=value, ends in null when loaded */
    VEC(const char *) listen_at; /* -l */
    enum conf_service_type type;
    bool chroot, unprivileged, debug, free_of_jail;
    bool leaves_queue; /* service_leave_queue */
    unsigned more_rights; /* service_add_rights */
    bool snapshot; /* -f: main.cf and master.cf are copies, from master */
    bool only_try; /* -T */
    bool spawned; /* by master */
    gid_t group_base; /* of the roles' group numbers, from master; 0: all have one group */
    uid_t network_uid; /* from master; 0: that of mail_owner */
    int inherited; /* listening sockets from master */
    int metrics_page, clients_part;
    int limit; /* clients at a time */
    int datagrams_kept; /* by a socket of theirs before senders have to wait; 0: not known */
    int argc;
    char **argv; /* behind the options */

    VEC(struct listener) listeners;
    struct reader *reader; /* of datagrams; null: no task needs it */
    struct list clients; /* struct client */
    int nclients;
    int64_t uses, max_uses; /* clients so far, and how many are enough; 0: any number */
    int64_t last_used; /* task_now() */
    bool told_full, told_served, paused, draining, stopping;
    bool saturated; /* no other process can take the next client either */
    int nevictable; /* clients that may be ended for the next one */
    struct task *waker; /* runs service.wake while reasons are pending; null if none */
    uint32_t reasons; /* bit n: 'A' + n */
    struct task *idler, *ender; /* wait for idleness; for the last client */
    bool drained; /* service.drain has returned, and nothing lingers */
    struct metrics_page *page;
};

/* service_options.c */
void service_options(struct process *p, int argc, char **argv); /* exits after a usage error */

/* service_clients.c: accepting, and the life of a client */
void clients_start(struct process *p);
void clients_accept_more(struct process *p); /* there is room again, or master said so */
void clients_stop_accepting(struct process *p); /* and closes the listening sockets */
void clients_cancel(struct process *p, bool idle_only);
void clients_may_evict(struct process *p, bool evictable); /* the client whose task calls */
/* By the table of ipc/trust.c; false: the refusal has been logged. */
bool clients_may_ask(const struct process *p, enum role role, const char *request);
void clients_served(struct process *p); /* counts one that has been finished */
void clients_wake(struct process *p, char reason);
void clients_stress(struct process *p, bool on); /* for all sessions, also those in progress */
void clients_forked(struct process *p); /* a child has none */
void clients_listener_gone(struct listener *l); /* its task ends */

/* service_datagrams.c: (waits) the task of a listener of datagrams, until the process drains */
void datagrams_read(void *listener);

/* service_drain.c: how a process ends, and what it says to master */
void drain_start(struct process *p); /* signals, master's channel, idle timer */
bool service_glance_at_dirs(void); /* service.c: jail_glance, as service_look_at_dirs */
/* Has a table's file changed since it was opened, or a directory been replaced? Then the process
 * drains: true. look_at_dirs: one of the two, for a new connection service_look_at_dirs. */
bool drain_if_stale(struct process *p, bool (*look_at_dirs)(void));
void drain_begin(struct process *p, const char *because);
void drain_check(struct process *p); /* a client has gone */
void drain_tell(struct process *p, char status);

#endif
