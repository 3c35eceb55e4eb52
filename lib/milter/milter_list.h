/* milter_list.h - a list of mail filters, as smtpd_milters and non_smtpd_milters name them */
#ifndef MILTER_MILTER_LIST_H
#define MILTER_MILTER_LIST_H

#include <stdint.h>

#include "net/endpoint.h"

/*
 * Entries are parted by commas and blanks:
 *
 *   inet:host:port     unix:path     local:path
 *   { inet:host:port, connect_timeout=10s, command_timeout=10s, content_timeout=60s,
 *     default_action=accept, protocol=6, { name = value } }
 *
 * What an entry does not say is the value of milter_connect_timeout and so on. A path is relative
 * to the queue directory; an absolute one of a process with a root of its own is inside of that.
 */

/* What is done with mail, or the session, if the filter cannot be asked. */
enum milter_default {
    MILTER_DEFAULT_ACCEPT, /* as if there were no such filter */
    MILTER_DEFAULT_QUARANTINE, /* the same, but into the hold queue */
    MILTER_DEFAULT_REJECT,
    MILTER_DEFAULT_TEMPFAIL,
    MILTER_DEFAULT_SHUTDOWN, /* 421, and the connection ends */
};

/* Entries of a list. The descriptors of all travel from smtpd to cleanup with a message. */
enum { MILTERS_MOST = 8 };

struct milter_entry {
    char *name; /* as written: "inet:127.0.0.1:8891", for the log */
    struct endpoint at;
    int64_t connect_ms, command_ms, content_ms;
    enum milter_default otherwise;
    bool no_header_reply; /* milter_protocol's word no_header_reply */
    uint32_t version; /* 2, 3, 4 or 6 */
};

struct milter_list {
    struct milter_entry at[MILTERS_MOST];
    size_t n;
};

/* Reads text. Names of ports are those of /etc/services where it can be read. 0; -1: why says what
 * is wrong with which entry and what would be right; the list is then empty. The caller frees
 * *list. */
int milter_list_read(struct milter_list *list, const char *text, struct why *why);
void milter_list_free(struct milter_list *list); /* what it holds */

/* As milter_list_read for the value of a parameter of main.cf: a fault is told with conf_fault.
 * Call it before the jail. */
void milter_list_open(struct milter_list *list, const char *parameter, const char *text);

/* Is it a value of milter_protocol? -1: why. */
int milter_protocol_check(const char *text, struct why *why);
/* Has milter_macro_defaults the form that it must have? -1: why. */
int milter_macro_defaults_check(const char *text, struct why *why);

#endif
