/*
 * The syslog daemon may be restarted: it then has a new socket, and who was connected to the old
 * one must connect again. Our processes could not (most have another root directory, all a filter),
 * so master keeps a copy of the socket that each of them logs by, and connects all of them again.
 */
#include <sys/stat.h>

#include "base/msg.h"
#include "conf/conf.h"

#include "master.h"

enum { LOOK_MS = 1000 };

static struct {
    struct stat seen; /* /dev/log, when all were connected to it */
    int64_t look_at; /* clock_ms */
} syslogd;

static bool is_new(const struct stat *st)
{
    return st->st_ino != syslogd.seen.st_ino || st->st_dev != syslogd.seen.st_dev ||
           st->st_ctim.tv_sec != syslogd.seen.st_ctim.tv_sec ||
           st->st_ctim.tv_nsec != syslogd.seen.st_ctim.tv_nsec;
}

static bool connect_all(void)
{
    bool all = msg_syslog_connect(msg_fd()) == 0;

    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        LIST_EACH (&s->children, k)
            if (msg_syslog_connect(LIST_OF(k, struct child, link)->log) < 0)
                all = false;
    }
    return all;
}

int64_t log_look(void)
{
    struct stat st;

    if (conf.maillog_file[0] != 0)
        return 0;
    if (master.now >= syslogd.look_at) {
        syslogd.look_at = master.now + LOOK_MS;
        if (stat("/dev/log", &st) == 0 && is_new(&st) && connect_all())
            syslogd.seen = st;
    }
    return syslogd.look_at;
}
