#include "agent.h"

#include "base/clock.h"
#include "base/msg.h"
#include "conf/conf.h"

void agent_serve(struct attrs *ask, struct attrs *answer, struct arena *mem, const char *relay,
                 void (*deliver)(struct job *job))
{
    struct job job = {.mem = mem};
    struct why why = WHY;
    int64_t begin_us = clock_wall_us();

    if (delivery_decode(ask, (size_t)conf.agent_recipient_limit, mem, &job.d, &why) < 0) {
        attrs_put_why(answer, &why);
        why_free(&why);
        return;
    }
    delivery_result_start(&job.result, job.d.nrcpts);
    job.file = delivery_file(ask, &job.d, &why);
    job.outcome = (struct outcome){
        .d = &job.d,
        .file = job.file,
        .relay = relay,
        .begin_us = begin_us,
        .result = &job.result,
    };
    if (job.file == NULL)
        outcome_no_file(&job.outcome, &why);
    else
        deliver(&job);
    delivery_answer(answer, &job.result);
    delivery_result_free(&job.result);
    qfile_close(&job.file);
    why_free(&why);
}
