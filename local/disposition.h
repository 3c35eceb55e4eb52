/* disposition.h - what becomes of a message in a mailbox, decided when all of it is known */
#ifndef LOCAL_DISPOSITION_H
#define LOCAL_DISPOSITION_H

#include "store/mailbox.h"

#include "deliver_mailbox.h"

/*
 * The message is first written to a temporary file of the mailbox and parsed once. Then
 * disposition_decide says into which folders it goes, and only then it gets its names there.
 * Whoever sorts mail (a Sieve script, a rule of the administrator) does so in disposition_decide;
 * the agents only do what it says.
 */
enum { DISPOSITION_PLACES = 16 };
struct disposition {
    struct mail_place places[DISPOSITION_PLACES];
    size_t nplaces; /* at least one */
};

void disposition_decide(const struct job *job, const struct mailbox_target *t,
                        struct disposition *out);

#endif
