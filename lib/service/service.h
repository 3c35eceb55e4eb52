/* service.h - what a daemon is: one struct, one call */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc/attrs.h"

struct arena;
struct peer; /* net/peer.h: address, name, local end */
struct stream;

/*
 * HOW TO WRITE A DAEMON
 *
 *   static struct { struct channel *cleanup; } state;        the one file-static of the program
 *
 *   static void open_tables(void)      as the starting user, before the jail; msg_fatal on errors
 *   static void paths(void)            jail_read("..."), jail_write("..."), jail_port(25)
 *   static void session(struct stream *client, const struct peer *peer, struct arena *mem) { ... }
 *
 *   int main(int argc, char **argv)
 *   {
 *       static const struct service smtpd = {
 *           .name = "smtpd", .rights = RIGHT_DNS | RIGHT_READ,
 *           .open = open_tables, .paths = paths, .session = session};
 *       return service_main(&smtpd, argc, argv);
 *   }
 *
 * It needs a role and a uid in the table of programs of ipc/trust.c, and a rule for each request,
 * trigger or connection that it takes from another process: what has no rule is refused.
 *
 * A working one is in t/unit/test_service.c. By hand, without master:
 *   smtpd -c DIR -n smtp -l 127.0.0.1:2525     or -l private/smtp (a path holds a slash)
 */

/* What the jail leaves open. Each program's main file sets these in one line, and that line
 * repeats its row of the process table of the design (section 2). Connections to UNIX sockets in
 * private/ and public/ are always possible, memory and time too; jail_seccomp.c has the table. */
enum service_right {
    RIGHT_NET = 1, /* outside connections: connect(2) over inet to any port */
    RIGHT_DNS = 2, /* sockets to the resolvers; also TCP, to the ports given to jail_port() */
    RIGHT_EXEC = 4, /* run commands as somebody else, through service/runner.h only */
    RIGHT_SETUID = 8, /* act as any other user but root; keeps only the capabilities for that */
    RIGHT_READ = 16, /* open(2) for reading below jail_read() paths */
    RIGHT_WRITE = 32, /* create, rename, unlink below jail_write() paths; task_fsync */
    RIGHT_OTHER = 128, /* act as one other user, without being root: given by jail_other_user() */
    RIGHT_ROOT = 256, /* with RIGHT_SETUID: stays root, whom no file refuses anything */
    RIGHT_SEARCH = 512, /* with RIGHT_READ: also what only root may read, below those paths */
    RIGHT_TIMES = 1024, /* with RIGHT_WRITE: set the times of files of its uid, wherever they are */
    RIGHT_SHUT = 2048, /* shut a socket for all that have it. A service with wake has it. Others may
                          not: it would be that of the whole service, or of its log */
    RIGHT_FORK = 64, /* fork, without exec: the mailbox broker's sessions */
};

/*
 * One of session, request, stream_request and datagram must be set; wake may be set beside them or
 * alone. A client is a task and has its arena, which is freed when the function returns; so is the
 * stream.
 */
struct service_sender {
    pid_t pid; /* 0: of another pid namespace */
    uid_t uid;
    bool is_private; /* it came by the socket in private/, which only processes of the suite open */
};

struct service {
    const char *name;
    unsigned rights; /* all else is closed by the jail */
    bool alone; /* at most one process, also while one drains; it takes all clients */
    /* Needs no path outside of the queue directory once it is in the jail. Then that is its root,
     * whatever the chroot column of master.cf says, so that it can reach no socket of the host. */
    bool in_queue;
    bool writes_log; /* postlogd: has maillog_file open */
    bool sole; /* as alone, but the next process may start while the old one drains */
    bool has_arguments; /* reads service_args(); for the others, words behind the options are an
                           error: as a rule the rest of a -o whose value has a blank */
    void (*open)(void); /* before the jail, maybe as root, in the queue directory: tables, keys,
                           certificates, directories */
    void (*paths)(void); /* calls jail_read/jail_write/jail_port (service/jail.h) */
    void (*start)(void); /* in the jail, in a task, before the first client */
    /* When the service reaches its limit or is calm again, parameters that refer to $stress change
     * and each session is woken once (task_wake), to look at them where it waits for its client. */
    void (*session)(struct stream *client, const struct peer *peer, struct arena *mem);
    /* A task per channel, one request at a time in it. What is left in answer is sent, status "ok"
     * put in front of it unless attrs_put_why was called; nothing is sent when the request has
     * A_ONE_WAY. mem is emptied after each request. */
    void (*request)(struct attrs *ask, struct attrs *answer, struct arena *mem);
    /* As request, when more than attributes follow the request on the stream. */
    void (*stream_request)(struct stream *client, struct attrs *ask, struct attrs *answer,
                           struct arena *mem);
    void (*wake)(char reason); /* one byte on the service's socket or fifo, or master's wake-up;
                                  in a task of its own, one at a time; the process does not end
                                  before it returns: a long one looks at service_draining() */
    /* For unix-dgram services. The sender is as the kernel says. */
    void (*datagram)(struct str bytes, const struct service_sender *from);
    void (*datagrams_end)(void); /* those that had come are read: what they led to can be done */
    void (*drain)(void); /* reload or stop: no more clients will come */
    /* Does something go on that clients have left behind (children)? While it does, a process that
     * drains does not end; only a stop ends it. Asked again and again, also after the last client,
     * whose request may have been under way when the process began to drain. May be null. */
    bool (*lingers)(void);
    int lone_clients; /* of a process that is alone or sole, at a time; 0: 10,000 */
    size_t request_limit; /* ceiling of one request in bytes; 0: 64 KiB */
};

/*
 * Started by master, or by hand with -c DIR for a test. Options: -c DIR, -n NAME (as master.cf
 * names the service), -o name=value, -t TYPE (inet unix fifo pass unix-dgram), -u (no chroot),
 * -z (no jail: for strace and gdb), -v (debug topics: all), -l ADDRESS (listen there, as often as
 * wanted), -T (only try the start: load, call open, end before the jail with status 0 or with what
 * is wrong on standard error); -s, -m, -k and -f are master's. Loads main.cf, opens the log, goes
 * to the queue directory, calls open, enters the jail, starts the loop; returns the exit status.
 */
int service_main(const struct service *s, int argc, char **argv);
/* The name in master.cf, so that one program can serve as smtp, relay, lmtp or as bounce, defer,
 * trace. */
const char *service_name(void);
/* The role (ipc/trust.h) of the process that connected this UNIX socket, from SO_PEERCRED. Works at
 * any time in the life of the stream. ROLE_TOOL for a stream over TCP. */
enum role service_peer_role(const struct stream *client);
/* May whoever has connected ask this, by the table of ipc/trust.c? If not, one line is logged: the
 * caller ends the connection. For text protocols; requests are checked before they are served. */
bool service_may_ask(const struct stream *client, const char *request);
/* From open(), where main.cf asks for them: rights beside those of struct service; and paths
 * outside of the queue directory, so that in_queue does not hold and master.cf says what the root
 * is. */
void service_add_rights(unsigned rights);
void service_leave_queue(void);
/* -T: open() is to check all that it would open, but to start no process and change no file. */
bool service_trying(void);
/* The arguments after the options: pipe's flags= and argv=, for example. */
int service_args(char ***argv);
/*
 * Before the jail, once: memory that all processes of this service have in common while master
 * runs, zeros at first. What a process writes there, its successor finds after a reload. During a
 * reload the old, draining process and the new one use it at the same time and must synchronise. In
 * a process started by hand it is private memory.
 */
void *service_shared(size_t size);
/* Before the jail: the descriptor of the memory with the clients of all processes of this service
 * (spawned.h), and which part is this process's; -1: by hand, or there was none free. */
int service_clients_memory(int *part);
/* The most clients of this process at a time. */
int service_limit(void);
/* To be called when a table, certificate or similar file that the process has open has changed on
 * disk: the process finishes its sessions and ends, and master starts a new one. */
void service_refresh(const char *what_changed);
/* To be called when a directory could not be read or written: if one that was given to
 * jail_read_queue, jail_write_queue or jail_note is another one than when the process started, its
 * jail keeps the process out, and service_refresh follows. True: it is so. A new connection asks
 * the same before it is taken, a request on one that is kept asks jail_glance. */
bool service_look_at_dirs(void);
/*
 * Called by a session: marks its own client as evictable, or no longer so. When the process is full
 * and master may start no other one, the evictable client that came first is cancelled for each new
 * client.
 */
void service_may_evict(bool evictable);
/* Reload or stop: a long session may look at this between two commands and say good-bye. */
bool service_draining(void);

/*
 * In a child that a task has forked (RIGHT_FORK), which is no longer a daemon: only that task
 * continues; all descriptors except 0, 1, 2, the log's and those in keep are closed; metrics are
 * counted in memory of its own.
 */
void service_forked(const int *keep, size_t n);

#endif
