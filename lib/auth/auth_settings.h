/* auth_settings.h - are the settings of authd such that it can work? */
#ifndef AUTH_AUTH_SETTINGS_H
#define AUTH_AUTH_SETTINGS_H

#include "base/why.h"

/*
 * For check, start and reload: what authd would refuse when it starts. Unknown mechanisms and
 * schemes, tables of an unknown kind or that cannot be read, limits of users in them that would not
 * be enforced, unknown accounts. Each is told with conf_fault; what is wrong with single lines of a
 * table is logged as a warning. Reads the tables; blocks.
 */
void auth_check_settings(void);

/* The part of it that authd checks itself: the mechanisms and the scheme. */
int auth_check_words(struct why *why);

#endif
