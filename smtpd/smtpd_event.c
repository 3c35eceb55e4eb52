/*
 * Who is asked at each stage of a session. One line here for each that has a say.
 */
#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_milter.h"

/* True: it says no, with s->denial set and logged. */
typedef bool subscriber(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);

static subscriber *const subscribers[] = {
    smtpd_check_event, /* the restriction lists */
    smtpd_milter_event, /* mail filters: of what the lists have let pass */
};

bool smtpd_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts)
{
    for (size_t i = 0; i < sizeof subscribers / sizeof *subscribers; i++)
        if (subscribers[i](s, stage, facts)) {
            if (stage == SMTPD_RCPT && subscribers[i] != smtpd_milter_event)
                smtpd_milter_refused_rcpt(s, facts);
            return false;
        }
    return true;
}
