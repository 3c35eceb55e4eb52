/* check_start.h - lets the program of each service try its start */
#ifndef SERVICE_CHECK_START_H
#define SERVICE_CHECK_START_H

#include <stdbool.h>

#include "base/buf.h"

struct conf_master;
struct hash;

/*
 * Runs each service's program with -T: it loads its settings and opens its tables, certificates and
 * lists as always, and ends before the jail and without listening. Whatever makes it fail is logged
 * as an error with the service's line in master.cf, and the parameter's in main.cf if the program
 * has begun with its name; nothing is said of the parameters whose names are keys of blamed. False:
 * some service would not start. After conf_load; takes at most service_check_timeout.
 */
bool check_starts(const struct conf_master *cf, struct hash *blamed);

/* A complaint begins with "name = value: " or "name: ", or with the place in main.cf and then that.
 * Writes the name of the parameter, or false: it names none. */
enum { PARAMETER_MAX = 1000 };
bool check_start_parameter(struct buf *name, struct str complaint);

#endif
