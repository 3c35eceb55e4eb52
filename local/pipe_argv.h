/* pipe_argv.h - the service arguments of pipe, and its command line for some recipients */
#ifndef LOCAL_PIPE_ARGV_H
#define LOCAL_PIPE_ARGV_H

#include <sys/types.h>

#include "queue/delivery.h"

enum pipe_flag {
    PIPE_BLANK = 1, /* B: an empty line at the end */
    PIPE_DELIVERED = 2, /* D: Delivered-To, and look for loops; one recipient only */
    PIPE_FROM = 4, /* F: a From_ line in front */
    PIPE_ORIGINAL = 8, /* O: X-Original-To; one recipient only */
    PIPE_RETURN_PATH = 16, /* R */
    PIPE_FINAL = 32, /* X: this is final delivery: success notices say delivered */
    PIPE_FOLD_DOMAIN = 64, /* h: domains in lower case */
    PIPE_FOLD_USER = 128, /* u: local parts in lower case */
    PIPE_QUOTE = 256, /* q: addresses in external form */
    PIPE_DOT = 512, /* .: a line that begins with "." gets another */
    PIPE_QUOTE_FROM = 1024, /* > */
};

struct pipe_args {
    unsigned flags;
    uid_t uid;
    gid_t gid;
    const char *directory, *root, *eol, *null_sender;
    int64_t size_limit; /* 0: none */
    const char *const *argv; /* with macros */
};

/* "flags=... user=... argv=cmd args": what master.cf gives. -1 and why:
 * 4.3.5, it is wrong; 4.3.0, an account is not known (here, or yet). */
int pipe_args_parse(struct pipe_args *p, int argc, char **argv, struct why *why);

/*
 * The command for all recipients of d: ${sender} ${nexthop} ${size} ${queue_id} and the like once;
 * an argument with ${recipient}, ${original_recipient}, ${user}, ${extension}, ${mailbox} or
 * ${domain} once for each recipient. Null and why if a macro is not known.
 */
const char **pipe_argv(const struct pipe_args *p, const struct delivery *d, struct arena *mem,
                       struct why *why);

#endif
