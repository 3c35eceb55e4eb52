/* tool_conf.h - configuration of commands that may be set-gid */
#ifndef TOOLS_TOOL_CONF_H
#define TOOLS_TOOL_CONF_H

#include <stdbool.h>

#include "base/why.h"

/*
 * As conf_load, for a program that other users may run with the rights of setgid_group (postdrop,
 * postqueue, postlog). If the program has more rights than the user who runs it, that user may only
 * choose a directory named in alternate_config_directories or multi_instance_directories of the
 * default main.cf, and only the variables in import_environment are kept of the environment. -1 and
 * why otherwise.
 */
int tool_conf_load(const char *dir, const char *service, struct why *why);

/* The administrator: root, or the owner of the mail system. */
bool tool_is_administrator(void);

#endif
