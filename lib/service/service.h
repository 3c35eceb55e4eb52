/* service.h - what a daemon is: one struct, one call */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "ipc/attrs.h"

struct arena;
struct peer; /* net/peer.h: address, name, local end */

/* What the jail leaves open. Each program's main file sets these in one line, and that line
 * repeats its row of the process table of the design (section 2). */
enum service_right {
    RIGHT_NET = 1, /* outside connections: connect(2) over inet */
    RIGHT_DNS = 2, /* datagrams to the resolvers */
    RIGHT_EXEC = 4, /* fork and execute */
    RIGHT_SETUID = 8, /* stays root, with only the capabilities to become somebody else */
    RIGHT_READ = 16, /* open(2) for reading below service.read_paths */
    RIGHT_WRITE = 32, /* create, rename, unlink below service.write_paths */
};

/*
 * One of session and request must be set; wake may be set beside request. A client is a task
 * and has its arena, which is freed when the function returns; so is the stream.
 */
struct service {
    const char *name;
    unsigned rights; /* all else is closed by the jail */
    bool alone; /* at most one process of it */
    void (*open)(
        void); /* before the jail, maybe as root: tables, keys, certificates, directories */
    void (*start)(void); /* in the jail, in a task, before the first client */
    void (*session)(struct stream *client, const struct peer *peer, struct arena *mem);
    void (*request)(struct attrs *ask,
                    struct attrs *answer); /* a task per channel, one at a time in it */
    void (*stream_request)(
        struct stream *client, struct attrs *ask, struct attrs *answer,
        struct arena *mem); /* as request, when more than attributes follow on the stream */
    void (*wake)(
        char reason); /* one byte on the service's socket or fifo, or master's wake-up timer */
    void (*drain)(void); /* reload or stop: no more clients will come */
    void (*paths)(
        void); /* calls jail_read/jail_write (service/jail.h) for RIGHT_READ, RIGHT_WRITE */
};

/*
 * Started by master (or by hand with -c DIR for a test): options -c DIR, -n NAME (as master.cf
 * names the service), -o name=value, -t TYPE, -u (no chroot), -v. Loads main.cf, opens the log,
 * calls open, enters the jail, starts the loop; returns the exit status. service_name() is the name
 * in master.cf, so that one program can serve as smtp, relay, lmtp or as bounce, defer, trace.
 */
int service_main(const struct service *s, int argc, char **argv);
const char *service_name(void);
/* A table, certificate or the like that is open has changed on disk: finish the sessions, then let
 * master start a new process. Called by whoever notices. */
void service_refresh(const char *what_changed);
bool service_draining(void);

#endif
