/* spawned.h - what master and the processes it starts agree on */
#ifndef SERVICE_SPAWNED_H
#define SERVICE_SPAWNED_H

/*
 * Descriptors of a new process: the status channel (a socket pair with master), the metrics file
 * (the page is option -k), the memory that the processes of the service have in common (a memfd,
 * empty at first), that with the clients of each of them (client_count.h; which part is this
 * process's is option -i), the copies of main.cf and master.cf (conf_snapshot.h), the socket by
 * which it logs to syslog (msg.h), then the listening sockets (their number is option -s). Beside
 * the options of service.h master gives
 *
 *   -f         main.cf and master.cf are to be read from their copies
 *   -s COUNT   listening sockets
 *   -k PAGE    of the metrics file
 *   -m LIMIT   clients of this process at a time
 *   -i PART    of the memory with the clients; no other process of the service has it
 *   -q COUNT   datagrams that its sockets keep before senders have to wait
 *   -C         chroot to the queue directory
 *   -G GID     the first group number of the roles (ipc/trust.h); only where master is root
 *   -N UID     of network_owner
 *   -U         the unprivileged column says y: RIGHT_SETUID is not granted
 */
enum {
    SPAWN_STATUS_FD = 3,
    SPAWN_METRICS_FD = 4,
    SPAWN_SHARED_FD = 5,
    SPAWN_CLIENTS_FD = 6,
    SPAWN_MAIN_FD = 7,
    SPAWN_MASTER_FD = 8,
    SPAWN_LOG_FD = 9,
    SPAWN_LISTEN_FD = 10,
};

/*
 * The memory with the clients: first the limits (uint32_t) of the processes that have its parts,
 * which only master writes; then the parts. A part begins with the number of its places (uint32_t)
 * that may be in use, which master clears before it gives the part to a process. Behind the places
 * it has what the process has counted (client_rate.h), which holds for a while after its end, and
 * which the next one that gets the part goes on with.
 */
enum {
    SPAWN_PARTS = 1024,
    SPAWN_PARTS_AT = SPAWN_PARTS * 4,
    SPAWN_PLACES_SIZE = 0x28000, /* for the most that sessions_per_process may say */
    SPAWN_PART_SIZE = SPAWN_PLACES_SIZE + 0x60000,
    SPAWN_CLIENTS_SIZE = SPAWN_PARTS_AT + SPAWN_PARTS * SPAWN_PART_SIZE,
    /* Limits that say that nobody has the part: nobody ever had; who had it has ended. */
    SPAWN_PART_UNUSED = 0,
    SPAWN_PART_ENDED = 1 << 30,
};

/*
 * Bytes on the status channel. A process accepts clients from its start on; one that is told to
 * pause lets another one fill up first, and is told to go on when that one is full. The end of the
 * channel means that master has gone: finish the sessions and end.
 */
enum spawn_status {
    SPAWN_FULL = 'F', /* process: takes no more clients for now */
    SPAWN_ROOM = 'R', /* process: takes clients again */
    SPAWN_ALONE = 'A', /* process: never start a second one, not even while I drain */
    SPAWN_SOLE = 'S', /* process: start no second one before I drain */
    SPAWN_DRAINING = 'D', /* process: takes no more clients for good */
    SPAWN_SERVED = 'V', /* process: has finished its first client or piece of work; one that ends
                           with an error before that is started again only after a pause */
    SPAWN_PAUSE = 'P', /* master */
    SPAWN_GO = 'G', /* master */
    SPAWN_STRESS = '!', /* master: the service has reached its limit: stress=yes */
    SPAWN_CALM = '.', /* master: that was long ago */
    SPAWN_SATURATED = 'C', /* master: all are full, and there may be no more processes */
    SPAWN_UNSATURATED = 'E', /* master: no longer */
};

#endif
