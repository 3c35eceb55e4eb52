/* agent.h - what all agents do with a delivery request: read it, open the message, answer */
#ifndef LOCAL_AGENT_H
#define LOCAL_AGENT_H

#include "queue/outcome.h"

/* One request while it is served. outcome has d, file, result and the times filled in. */
struct job {
    struct delivery d;
    struct qfile *file;
    struct outcome outcome;
    struct delivery_result result;
    struct arena *mem;
};

/*
 * Serves one request: relay is what the log shows ("local"); deliver ends every recipient of
 * job->d with an outcome. Of a message that is gone (the administrator's tools may take it away at
 * any time) or cannot be opened all recipients come later, if it is still there then.
 */
void agent_serve(struct attrs *ask, struct attrs *answer, struct arena *mem, const char *relay,
                 void (*deliver)(struct job *job));

/* The queue's files and the tables that every agent may need. For service.paths. */
void agent_paths(void);

#endif
