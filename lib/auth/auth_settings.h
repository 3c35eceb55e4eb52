/* auth_settings.h - are the settings of authd such that it can work? */
#ifndef AUTH_AUTH_SETTINGS_H
#define AUTH_AUTH_SETTINGS_H

#include "base/why.h"

/*
 * For check, start and reload: what authd would refuse when it starts. Unknown mechanisms and
 * schemes, tables of an unknown kind or that cannot be read, limits of users in them that would not
 * be enforced. What is wrong with single lines is logged as a warning. Reads the tables; blocks.
 * 0, or -1 and why (4.3.5), which names the parameter.
 */
int auth_check_settings(struct why *why);

/* The part of it that authd checks itself: the mechanisms and the scheme. */
int auth_check_words(struct why *why);

#endif
