/* mini.h - small worlds for tests: a task, a stream with somebody at its other end, the log */
#ifndef UNIT_MINI_H
#define UNIT_MINI_H

#include "base/buf.h"
#include "net/stream.h"

/* Runs fn as a task and the loop until all tasks have ended. An assertion that fails inside a task
 * aborts the program (CMOCKA_TEST_ABORT is set), since it cannot jump out of its stack. */
void mini_run(task_fn *fn, void *arg);

/*
 * Runs fn with one end of a socket pair (it must not free the stream). The other end sends input,
 * says that no more comes, and collects what fn writes, until fn returns.
 */
typedef void mini_fn(struct stream *s, void *arg);
void mini_talk(mini_fn *fn, void *arg, struct str input, struct buf *output);

/*
 * The same with a dialogue, line by line: "C: text" is sent with CRLF, "S: pattern" must match the
 * next line that fn writes (fnmatch(3)), "C! text" is sent without an end of line, "C." says that
 * no more will come. Fails the test with the line at fault. Five seconds at most.
 */
void mini_dialogue(mini_fn *fn, void *arg, const char *script);

/* From mini_log_start on log lines are kept, "level: text\n" each, until mini_log_end. */
void mini_log_start(void);
const char *mini_log(void);
void mini_log_end(void);

#endif
