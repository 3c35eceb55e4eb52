/* restrictions.h - the names of smtpd's restrictions, and whether a list of them can be read */
#ifndef CONF_RESTRICTIONS_H
#define CONF_RESTRICTIONS_H

#include "base/str.h"

/* What stands behind the name of a restriction in a list. */
enum restriction_arg { RESTRICTION_ALONE, RESTRICTION_TABLE, RESTRICTION_TEXT };

/* Is there a restriction of this name here? Case does not count. *arg, if not null, is set to what
 * must follow it. */
bool restriction_known(struct str name, enum restriction_arg *arg);

/*
 * Goes through the list of one parameter as smtpd reads it, and calls fault for each thing that is
 * wrong: a name that is no restriction here and no class, a word that is missing. Those of
 * conf_missing.h, which Postfix has, are no faults here. A table alone
 * ("hash:/file") is right in the lists of clients, HELO names, senders and recipients. classes is
 * smtpd_restriction_classes. Returns how many faults there are.
 */
typedef void restriction_fault(void *arg, const char *parameter, struct str name, const char *what);
int restrictions_check(const char *parameter, const char *list, const char *classes,
                       restriction_fault *fault, void *arg);
/* All eight lists and all classes of the configuration that was read (conf). */
int restrictions_check_all(restriction_fault *fault, void *arg);

#endif
