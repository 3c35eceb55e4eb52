/* command.h - a command that gets the message on standard input, and what its end means */
#ifndef LOCAL_COMMAND_H
#define LOCAL_COMMAND_H

#include "agent.h"

struct command {
    const char *const *argv; /* argv[0]: a path, or a name searched in PATH */
    const char *shown; /* in the log: the command as it was written */
    uid_t uid;
    gid_t gid;
    const char *root; /* chroot there; null or "/": not */
    const char *dir; /* working directory; "" is / */
    const char *const *env; /* "name=value", closed by null */
    int64_t time_limit_s; /* seconds */
    const char *prepend; /* in front of the message, with LF: From_ line and header fields */
    const char *eol; /* line ends of what the command reads: "\n" or "\r\n" */
    bool quote_dot; /* a line that begins with "." gets another (pipe's flags=) */
    bool quote_from; /* "From " at the start of a line gets a ">" */
    bool blank_at_end; /* an empty line at the end */
};

/*
 * (waits) 0: it ended with success. -1 and why: the meaning that sysexits(3) gives to the exit
 * status, with the command's output (at most command_output_limit bytes, on one line): "user
 * unknown. Command output: ...". An output that begins with a status code ("4.2.0 text") overrides
 * the exit status.
 */
int command_run(struct job *job, const struct command *c, struct why *why);

/* Splits a command line into words for exec, in mem. Null: it needs a shell. */
const char **command_words(struct arena *mem, const char *line);
/* The argv for a command line, in mem: if shell is not "", the words of shell and then line; else
 * the words of line, or "/bin/sh -c line" if it needs a shell. */
const char *const *command_argv(struct arena *mem, const char *line, const char *shell);

/* An environment being built; name=value pairs in mem. */
struct command_env {
    struct arena *mem;
    const char *at[64];
    size_t n;
};
/* Sets a variable. Characters that are not in filter become "_" (command_expansion_filter); filter
 * null: all are allowed. A variable that finds the table full is left out. */
void command_env_put(struct command_env *e, const char *name, const char *value,
                     const char *filter);
void command_env_export(struct command_env *e); /* sets the variables of export_environment */

#endif
