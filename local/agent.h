/* agent.h - what all agents do with a delivery request: read it, take the message, answer */
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
 * Serves one request: relay is what the log shows ("local"); deliver ends every recipient of job->d
 * with an outcome. The queue file comes open with the request; without it, or if it is no valid
 * queue file, all recipients are deferred.
 */
void agent_serve(struct attrs *ask, struct attrs *answer, struct arena *mem, const char *relay,
                 void (*deliver)(struct job *job));

#endif
