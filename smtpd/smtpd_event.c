/*
 * Who is asked at each stage of a session. One line here for each that has a say.
 */
#include "conf/conf.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_milter.h"

/* True: it says no, with s->denial set and logged. */
typedef bool subscriber(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);

static subscriber *const subscribers[] = {
    smtpd_check_event, /* the restriction lists */
    smtpd_milter_event, /* mail filters: of what the lists have let pass */
};

/* Who was asked while this process was to end may have waited for nothing: a list, a name, a
 * filter. Neither yes nor a final no is an answer then. RFC 5321 3.8 */
static bool is_ending(struct smtpd *s)
{
    if (!task_is_cancelled())
        return false;
    s->denial.code = 421;
    why_set(&s->denial.why, "4.3.2", "%s Error: service shutting down", conf.myhostname);
    return true;
}

bool smtpd_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts)
{
    for (size_t i = 0; i < sizeof subscribers / sizeof *subscribers; i++)
        if (subscribers[i](s, stage, facts)) {
            if (stage == SMTPD_RCPT && subscribers[i] != smtpd_milter_event)
                smtpd_milter_refused_rcpt(s, facts);
            is_ending(s);
            return false;
        }
    return !is_ending(s);
}
