/* pombal_check.h - are the directories, programs and files as the suite needs them? */
#ifndef TOOLS_POMBAL_CHECK_H
#define TOOLS_POMBAL_CHECK_H

#include <stdbool.h>

#include "base/buf.h"

/* Makes directories that are missing; says what is wrong and how to mend it. False if the suite
 * cannot start like this. After conf_load. */
bool pombal_check(void);

/* Part of it: warns of names that nothing stands behind, for example misspelt parameters. */
void pombal_check_names(void);
/* Appends the path that smtpd_sasl_path means; false: it is no socket of this host. */
bool pombal_sasl_socket(struct buf *path);

#endif
